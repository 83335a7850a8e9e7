package netfstest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// TestShareEarlyLook lets one host ask for names just before the other makes
// them. Whoever follows Watch then finds them; on NFSv3 and SMB, whoever
// thinks that the client's names follow the server's does not (H34, H35).
func TestShareEarlyLook(t *testing.T) {
	mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
	if len(mounts) < 2 {
		t.Skip("BOBBIN_TEST_SHARE names no two mounts of a share")
	}
	on(mounts[0], mounts[1])(t, func(t *testing.T, a, b *netfs.Host) {
		const tries = 10
		if n := earlyLooks(t, a, b, tries); n > 0 {
			t.Errorf("%s: %d of %d names are not found", b.Profile.Kind, n, tries)
		}
		if b.Profile.NamesFollow {
			return
		}
		b.Profile.NamesFollow, b.Profile.EarlyLookSticks = true, false
		n := earlyLooks(t, a, b, 3*tries)
		t.Logf("%s: without the rule %d of %d names are not found", b.Profile.Kind, n, 3*tries)
		if kind := b.Profile.Kind; n == 0 && (kind == "nfs3" || kind == "smb") {
			t.Error("all names are found without the rule: it is not needed, or not tested")
		}
	})
}

// earlyLooks counts the names that b does not find when Watch sends it to look.
func earlyLooks(t *testing.T, a, b *netfs.Host, tries int) (missed int) {
	t.Helper()
	ctx := t.Context()
	token, err := a.Token()
	if err != nil {
		t.Fatal(err)
	}
	dir := "early." + token
	if err := a.Share.Mkdir(ctx, dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer func() {
		for n := range tries {
			_ = a.Share.Remove(ctx, dir+"/"+strconv.Itoa(n))
		}
		_ = a.Share.Remove(ctx, dir)
	}()
	var w netfs.Watch
	look := func(name string) bool {
		f, err := b.Share.Open(ctx, name)
		if err == nil {
			_ = f.Close() // it was only read
		} else if !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	}
	for n := range tries {
		if _, err := w.Changed(ctx, b, b.Share, dir); err != nil {
			t.Fatal(err)
		}
		name := dir + "/" + strconv.Itoa(n)
		if look(name) {
			t.Fatalf("%s is there before it was made", name)
		}
		if err := netfs.WriteFile(ctx, a.Share, name, []byte("x")); err != nil {
			t.Fatal(err)
		}
		changed, err := w.Changed(ctx, b, b.Share, dir)
		if err != nil {
			t.Fatal(err)
		}
		if !changed || !look(name) {
			missed++
		}
	}
	return missed
}
