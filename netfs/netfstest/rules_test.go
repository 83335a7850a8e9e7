package netfstest

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// needed runs try on a share's two mounts: some times with a rule, where nothing
// may go wrong, and then without it until something does. On the shares of these
// kinds something must, or the rule is not needed, or not tested.
func needed(t *testing.T, try func(t *testing.T, p *pair, rule bool) (wrong bool), kinds ...string) {
	t.Helper()
	mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
	if len(mounts) < 2 {
		t.Skip("BOBBIN_TEST_SHARE names no two mounts of a share")
	}
	on(mounts[0], mounts[1])(t, func(t *testing.T, a, b *netfs.Host) {
		once := func(rule bool) bool {
			p, remove := newPair(t, a, b)
			defer remove()
			return try(t, p, rule)
		}
		const tries = 8
		for n := range tries {
			if once(true) {
				t.Errorf("%s: try %d goes wrong", b.Profile.Kind, n)
			}
		}
		if !slices.Contains(kinds, b.Profile.Kind) {
			return
		}
		// It may take luck, such as a tick between two calls.
		for n := range 20 * tries {
			if once(false) {
				t.Logf("%s: without the rule try %d goes wrong", b.Profile.Kind, n)
				return
			}
		}
		t.Errorf("%s: nothing goes wrong without the rule", b.Profile.Kind)
	})
}

// TestShareNoReplacing: what is new gets a new name. Who has a file open under
// a name that another host gives to another file goes on getting the old one under
// that name (NFSv4, SMB), or loses it once the server has forgotten it (NFSv3).
func TestShareNoReplacing(t *testing.T) {
	needed(t, func(t *testing.T, p *pair, rule bool) (wrong bool) {
		ctx := t.Context()
		write(t, p.fs, "f", "old")
		rest(t, p.b)
		see(t, p.b, "f")
		held, err := p.b.Share.Open(ctx, "f")
		must(t, err)
		name := "f"
		if rule {
			name = "g"
		}
		write(t, p.fs, "temp", "new")
		must(t, p.fs.Rename(ctx, "temp", name))
		now, err := netfs.ReadFile(ctx, p.b.Share, name, 100)
		was, herr := io.ReadAll(held)
		_ = held.Close() // it was only read
		return err != nil || string(now) != "new" || herr != nil || string(was) != "old"
	}, "nfs4", "smb")
}

// TestShareForcedStat: attributes are asked of the server each time. What a
// client tells by itself is seconds old.
func TestShareForcedStat(t *testing.T) {
	needed(t, func(t *testing.T, p *pair, rule bool) (wrong bool) {
		mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
		write(t, p.fs, "f", "x")
		see(t, p.b, "f")
		size := func() (int64, error) {
			if rule {
				i, err := p.b.Share.Stat(t.Context(), "f")
				return i.Size, err
			}
			i, err := os.Stat(filepath.Join(mounts[1], p.dir, "f"))
			if err != nil {
				return 0, err
			}
			return i.Size(), nil
		}
		_, err := size()
		must(t, err)
		f, err := os.OpenFile(filepath.Join(mounts[0], p.dir, "f"), os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		_, err = f.WriteString("yz")
		must(t, errors.Join(err, f.Close()))
		n, err := size()
		must(t, err)
		return n != 3
	}, "nfs3", "nfs4", "smb")
}
