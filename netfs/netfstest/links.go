package netfstest

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// linkCases are about symbolic links, which are never followed, and hard ones.
var linkCases = []testCase{
	{"symlink", symlink},
	{"readlink", readlink},
	{"links are not opened", linksNotOpened},
	{"links are names", linksAreNames},
	{"links lead nowhere", linksLeadNowhere},
	{"a directory becomes a link", becomesLink},
	{"hard link", hardLink},
}

// noDirectory is how a link in the place of a directory is refused.
var noDirectory = []error{syscall.ENOTDIR, syscall.ELOOP}

// plant makes files, and links to them.
func plant(t testing.TB, p *pair) {
	t.Helper()
	needSymlinks(t, p)
	ctx := t.Context()
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	write(t, p.fs, "dir/f", "inside")
	write(t, p.fs, "target", "text")
	must(t, p.fs.Symlink(ctx, "target", "near"))
	must(t, p.fs.Symlink(ctx, "none", "dangling"))
	must(t, p.fs.Symlink(ctx, "dir", "in"))
}

// unhurt checks that what the links name is as it was.
func unhurt(t testing.TB, p *pair) {
	t.Helper()
	holds(t, p.fs, "target", "text")
	holds(t, p.fs, "dir/f", "inside")
	lists(t, p.fs, "dangling", "dir", "in", "near", "target")
}

func symlink(t testing.TB, p *pair) {
	plant(t, p)
	ctx := t.Context()
	for _, name := range []string{"dir", "target", "near", "dangling", "in"} {
		wantErr(t, "symlink over "+name, p.fs.Symlink(ctx, "x", name), fs.ErrExist)
	}
	wantErr(t, "symlink below nothing", p.fs.Symlink(ctx, "x", "none/l"), fs.ErrNotExist)
	wantErr(t, "symlink below a file", p.fs.Symlink(ctx, "x", "target/l"), syscall.ENOTDIR)
	unhurt(t, p)
	see(t, p.b, "near")
	wantErr(t, "symlink over what another host made", p.b.Share.Symlink(ctx, "x", "near"), fs.ErrExist)
}

// readlink: a target is text, and comes back as it was given.
func readlink(t testing.TB, p *pair) {
	plant(t, p)
	ctx := t.Context()
	for i, target := range []string{
		"target", "/etc/passwd", "../up", "a//b/./c/../", "with space | % : =", strings.Repeat("long", p.a.Profile.RecordMax/4)[:500],
	} {
		name := "l" + string(rune('0'+i))
		must(t, p.fs.Symlink(ctx, target, name))
		see(t, p.b, name)
		for _, h := range []*netfs.Host{p.a, p.b} {
			if got, err := h.Share.Readlink(ctx, name); got != target || err != nil {
				t.Errorf("the target is %q, want %q (%v)", got, target, err)
			}
		}
		must(t, p.fs.Remove(ctx, name))
	}
	for _, name := range []string{"target", "dir"} {
		_, err := p.fs.Readlink(ctx, name)
		wantErr(t, "readlink of "+name, err, syscall.EINVAL)
	}
	_, err := p.fs.Readlink(ctx, "none")
	wantErr(t, "readlink of what is missing", err, fs.ErrNotExist)
	unhurt(t, p)
}

func linksNotOpened(t testing.TB, p *pair) {
	plant(t, p)
	ctx := t.Context()
	for _, name := range []string{"near", "dangling", "in"} {
		wantErr(t, "create "+name, closing(p.fs.Create(ctx, name, 0o600)), netfs.ErrIrregular)
		wantErr(t, "open "+name, closing(p.fs.Open(ctx, name)), netfs.ErrIrregular)
		if i, err := p.fs.Stat(ctx, name); err != nil || i.Mode.Type() != fs.ModeSymlink {
			t.Errorf("stat of %s: %v, %v", name, i.Mode, err)
		}
		wantErr(t, "mkdir over "+name, p.fs.Mkdir(ctx, name, 0o700), fs.ErrExist)
	}
	unhurt(t, p)
}

// linksAreNames: what renames, replaces and removes a link leaves alone what
// it names.
func linksAreNames(t testing.TB, p *pair) {
	plant(t, p)
	ctx := t.Context()
	must(t, p.fs.Rename(ctx, "near", "moved"))
	must(t, p.fs.Rename(ctx, "moved", "near"))
	unhurt(t, p)
	for _, name := range []string{"near", "dangling"} {
		write(t, p.fs, "new", "new")
		must(t, p.fs.Rename(ctx, "new", name))
		holds(t, p.fs, name, "new")
		must(t, p.fs.Remove(ctx, name))
		must(t, p.fs.Symlink(ctx, "target", name))
	}
	unhurt(t, p)
	for _, name := range []string{"near", "dangling", "in"} {
		must(t, p.fs.Remove(ctx, name))
	}
	holds(t, p.fs, "target", "text")
	holds(t, p.fs, "dir/f", "inside")
	lists(t, p.fs, "dir", "target")
}

// linksLeadNowhere: a link to a directory is not walked through, even if it
// stays inside the tree.
func linksLeadNowhere(t testing.TB, p *pair) {
	plant(t, p)
	ctx := t.Context()
	for what, err := range map[string]error{
		"create":      closing(p.fs.Create(ctx, "in/g", 0o600)),
		"open":        closing(p.fs.Open(ctx, "in/f")),
		"stat":        second(p.fs.Stat(ctx, "in/f")),
		"readdir":     second(p.fs.ReadDir(ctx, "in")),
		"readlink":    second(p.fs.Readlink(ctx, "in/f")),
		"symlink":     p.fs.Symlink(ctx, "x", "in/l"),
		"rename":      p.fs.Rename(ctx, "in/f", "g"),
		"rename to":   p.fs.Rename(ctx, "target", "in/g"),
		"remove":      p.fs.Remove(ctx, "in/f"),
		"mkdir":       p.fs.Mkdir(ctx, "in/d", 0o700),
		"syncdir":     p.fs.SyncDir(ctx, "in"),
		"sub":         closing(p.fs.Sub(ctx, "in")),
		"sub through": closing(p.fs.Sub(ctx, "in/f")),
	} {
		wantErr(t, what+" through a link", err, noDirectory...)
	}
	unhurt(t, p)
	must(t, p.fs.Mkdir(ctx, "dir/sub", 0o700))
	must(t, p.fs.Symlink(ctx, "..", "dir/sub/up"))
	s, err := p.fs.Sub(ctx, "dir/sub")
	must(t, err)
	defer s.Close()
	wantErr(t, "open above the root by a link", closing(s.Open(ctx, "up/f")), noDirectory...)
	wantErr(t, "sub above the root by a link", closing(s.Sub(ctx, "up")), noDirectory...)
}

func second[T any](_ T, err error) error { return err }

// becomesLink: a directory that somebody put a link in the place of is not
// reached through it by a client that had walked there before.
func becomesLink(t testing.TB, p *pair) {
	plant(t, p)
	ctx := t.Context()
	must(t, p.fs.Mkdir(ctx, "d", 0o700))
	write(t, p.fs, "d/f", "mine")
	see(t, p.b, "d/f")
	must(t, errors.Join(p.b.Share.Remove(ctx, "d/f"), p.b.Share.Remove(ctx, "d"), p.b.Share.Symlink(ctx, "dir", "d")))
	soon(t, p.a, "seeing that d is a link", func() bool {
		_, err := netfs.Fresh(ctx, p.fs, ".")
		must(t, err)
		i, err := p.fs.Stat(ctx, "d")
		return err == nil && i.Mode.Type() == fs.ModeSymlink
	})
	wantErr(t, "open", closing(p.fs.Open(ctx, "d/f")))
	wantErr(t, "create", closing(p.fs.Create(ctx, "d/g", 0o600)))
	wantErr(t, "remove", p.fs.Remove(ctx, "d/f"))
	wantErr(t, "sub", closing(p.fs.Sub(ctx, "d")))
	must(t, p.fs.Remove(ctx, "d"))
	unhurt(t, p)
}

func hardLink(t testing.TB, p *pair) {
	needLinks(t, p)
	ctx := t.Context()
	write(t, p.fs, "f", "text")
	write(t, p.fs, "other", "other")
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	must(t, p.fs.Link(ctx, "f", "g"))
	for _, name := range []string{"f", "g"} {
		holds(t, p.fs, name, "text")
		if i, err := p.fs.Stat(ctx, name); i.Nlink != 2 || err != nil {
			t.Errorf("%s has %d links, want 2 (%v)", name, i.Nlink, err)
		}
	}
	for _, name := range []string{"g", "other", "dir"} {
		wantErr(t, "link over "+name, p.fs.Link(ctx, "f", name), fs.ErrExist)
	}
	wantErr(t, "link what is missing", p.fs.Link(ctx, "none", "h"), fs.ErrNotExist)
	wantErr(t, "link below nothing", p.fs.Link(ctx, "f", "none/h"), fs.ErrNotExist)
	wantErr(t, "link a directory", p.fs.Link(ctx, "dir", "h"))
	see(t, p.b, "g")
	wantErr(t, "link over what another host made", p.b.Share.Link(ctx, "other", "g"), fs.ErrExist)
	must(t, p.fs.Remove(ctx, "f"))
	holds(t, p.fs, "g", "text")
	holds(t, p.fs, "other", "other")
	lists(t, p.fs, "dir", "g", "other")
}
