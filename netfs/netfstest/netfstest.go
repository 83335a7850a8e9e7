// Package netfstest is the conformance suite of package netfs: it checks that
// a file system and its host keep the contract in the comments of [netfs.FS],
// [netfs.File] and the functions above them, and that two hosts see of each
// other what they must. It is for tests alone; it runs on the simulator, on a
// local directory and on any mount.
//
// What depends on the share (links, lengths, characters) is tried first, and
// its tests are skipped with a message where the share cannot do it.
package netfstest

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Open calls fn with two hosts whose roots are one directory. They may be
// one mount opened twice or two mounts of one share. Both are valid until fn
// returns, which it may do by t.FailNow or t.SkipNow.
type Open func(t *testing.T, fn func(t *testing.T, a, b *netfs.Host))

// Run runs the suite. Each test works in a directory of its own below the
// hosts' root, and removes it.
func Run(t *testing.T, open Open) {
	for _, c := range allCases() {
		t.Run(c.name, func(t *testing.T) {
			open(t, func(t *testing.T, a, b *netfs.Host) { c.try(t, a, b) })
		})
	}
}

func allCases() []testCase {
	cases := slices.Concat(fileCases, nameCases, linkCases, hostCases, primitiveCases)
	for _, way := range ways {
		for _, c := range putCases {
			cases = append(cases, testCase{c.name + " by " + way.String(), func(t testing.TB, p *pair) {
				skipUnless(t, p, way)
				c.run(t, p, way)
			}})
		}
	}
	return cases
}

// try runs one test in a directory of its own.
func (c testCase) try(t testing.TB, a, b *netfs.Host) {
	p, remove := newPair(t, a, b)
	defer remove()
	c.run(t, p)
}

type testCase struct {
	name string
	run  func(t testing.TB, p *pair)
}

// pair is two hosts whose roots are one directory that nothing else uses.
type pair struct {
	a, b *netfs.Host
	fs   netfs.FS // a's
	dir  string   // below what they were opened on
}

// newPair makes the directory. The function that it returns removes it.
func newPair(t testing.TB, a, b *netfs.Host) (p *pair, remove func()) {
	ctx := context.WithoutCancel(t.Context())
	token, err := a.Token()
	must(t, err)
	dir := "conformance." + token
	must(t, netfs.MkdirAll(ctx, a, a.Share, dir))
	sub := func(h *netfs.Host) *netfs.Host {
		see(t, h, dir)
		f, err := h.Share.Sub(ctx, dir)
		must(t, err)
		c := *h
		c.Share = f
		return &c
	}
	p = &pair{a: sub(a), b: sub(b), dir: dir}
	p.fs = p.a.Share
	return p, func() {
		err := errors.Join(p.a.Share.Close(), p.b.Share.Close())
		rerr := removeAll(ctx, a, a.Share, dir)
		// On SMB a removed file keeps its name while a client holds its handle
		// back (H27, H60).
		for start := a.Boot(); errors.Is(rerr, syscall.ENOTEMPTY) && a.Boot()-start < patience; {
			_ = a.Sleep(ctx, patience/20)
			rerr = removeAll(ctx, a, a.Share, dir)
		}
		if err = errors.Join(err, rerr); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	}
}

func removeAll(ctx context.Context, h *netfs.Host, f netfs.FS, name string) error {
	i, err := f.Stat(ctx, name)
	if err == nil && i.Mode.IsDir() {
		var names []string
		names, err = f.ReadDir(ctx, name)
		for _, n := range names {
			err = errors.Join(err, removeAll(ctx, h, f, name+"/"+n))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, netfs.Unlink(ctx, h, f, name))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr checks that err is there, matches one of want, if there are any, and
// says what it is about.
func wantErr(t testing.TB, what string, err error, want ...error) {
	t.Helper()
	_, isPath := errors.AsType[*fs.PathError](err)
	_, isLink := errors.AsType[*os.LinkError](err)
	switch {
	case err == nil:
		t.Errorf("%s: no error, want one of %v", what, want)
	case !isPath && !isLink:
		t.Errorf("%s: %v: %T has no name in it", what, err, err)
	case len(want) > 0 && !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }):
		t.Errorf("%s: %v, want one of %v", what, err, want)
	}
}

// patience is how long what was done may take to show.
const patience = 10 * time.Second

// soon waits until done says true. What one host did becomes visible to
// another within a second or so; the simulator and a local disk do not need it.
func soon(t testing.TB, h *netfs.Host, what string, done func() bool) {
	t.Helper()
	for start := h.Boot(); !done(); {
		if h.Boot()-start > patience {
			t.Fatalf("%s: not within %v", what, patience)
		}
		must(t, h.Sleep(t.Context(), 20*time.Millisecond))
	}
}

// see waits until h sees name.
func see(t testing.TB, h *netfs.Host, name string) {
	t.Helper()
	soon(t, h, "seeing "+name, func() bool {
		_, err := netfs.Fresh(t.Context(), h.Share, ".")
		if err == nil {
			_, err = h.Share.Stat(t.Context(), name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// unmake removes a name that may be that of a directory in which removed files
// are still listed, because a client on SMB holds their handles back (H27, H60).
func unmake(t testing.TB, h *netfs.Host, name string) {
	t.Helper()
	soon(t, h, "removing "+name, func() bool {
		err := h.Share.Remove(t.Context(), name)
		if !errors.Is(err, syscall.ENOTEMPTY) {
			must(t, err)
		}
		return err == nil
	})
}

// rest waits until the root has stood still for a grain, where a look that is
// made earlier may stay old: names that are there or not (H35), and listings.
func rest(t testing.TB, h *netfs.Host) {
	t.Helper()
	if h.Profile.EarlyLookSticks {
		_, _, err := netfs.Settled(t.Context(), h, h.Share, ".")
		must(t, err)
	}
}

// write makes a file of text.
func write(t testing.TB, f netfs.FS, name, text string) {
	t.Helper()
	must(t, netfs.WriteFile(t.Context(), f, name, []byte(text)))
}

// holds checks what a file holds.
func holds(t testing.TB, f netfs.FS, name, text string) {
	t.Helper()
	b, err := netfs.ReadFile(t.Context(), f, name, int64(max(1000, len(text))))
	if string(b) != text || err != nil {
		t.Errorf("%s holds %.60q, want %.60q (%v)", name, b, text, err)
	}
}

// lists checks the names in the root.
func lists(t testing.TB, f netfs.FS, want ...string) {
	t.Helper()
	got, err := f.ReadDir(t.Context(), ".")
	slices.Sort(want)
	if !slices.Equal(got, want) || err != nil {
		t.Errorf("the names are %.1000q, want %.1000q (%v)", got, want, err)
	}
}

// needSymlinks skips the test where there are none.
func needSymlinks(t testing.TB, p *pair) {
	t.Helper()
	err := p.fs.Symlink(t.Context(), "to", "try")
	if err == nil {
		err = p.fs.Remove(t.Context(), "try")
	}
	skipIf(t, "symbolic links", err)
}

// needLinks skips the test where there are no hard links.
func needLinks(t testing.TB, p *pair) {
	t.Helper()
	write(t, p.fs, "try", "")
	err := p.fs.Link(t.Context(), "try", "link")
	if errors.Is(err, fs.ErrPermission) {
		err = errors.ErrUnsupported // as Samba says it of vfat
	}
	err = cmp.Or(err, p.fs.Remove(t.Context(), "try"))
	if err == nil {
		err = p.fs.Remove(t.Context(), "link")
	}
	skipIf(t, "hard links", err)
}

func skipIf(t testing.TB, what string, err error) {
	t.Helper()
	switch {
	case err == nil:
	case netfs.Unsupported(err):
		t.Skipf("this share has no %s: %v", what, err)
	default:
		t.Fatal(err)
	}
}
