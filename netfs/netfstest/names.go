package netfstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// nameCases are about names of files and directories.
var nameCases = []testCase{
	{"stat", stat},
	{"list", list},
	{"list 1000 names", listMany},
	{"rename", rename},
	{"rename over a directory", renameOver},
	{"rename a directory", renameDir},
	{"remove", remove},
	{"mkdir", mkdir},
	{"sync a directory", syncDir},
	{"sub", sub},
	{"names", names},
	{"flags in names", flags},
	{"invalid names", invalid},
	{"goroutines", goroutines},
}

func stat(t testing.TB, p *pair) {
	ctx := t.Context()
	_, err := p.fs.Stat(ctx, "none")
	wantErr(t, "stat what is missing", err, fs.ErrNotExist)
	_, err = p.fs.Stat(ctx, "none/f")
	wantErr(t, "stat below nothing", err, fs.ErrNotExist)
	write(t, p.fs, "f", "text")
	i, err := p.fs.Stat(ctx, "f")
	if err != nil || !i.Mode.IsRegular() || i.Size != 4 || i.Nlink != 1 || i.Mtime.IsZero() || i.Ctime.IsZero() {
		t.Errorf("stat of a file: %+v, %v", i, err)
	}
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	for _, name := range []string{"dir", "."} {
		if i, err := p.fs.Stat(ctx, name); err != nil || !i.Mode.IsDir() {
			t.Errorf("stat of %s: %+v, %v", name, i, err)
		}
	}
	_, err = p.fs.Stat(ctx, "f/f")
	wantErr(t, "stat below a file", err, syscall.ENOTDIR)
}

func list(t testing.TB, p *pair) {
	ctx := t.Context()
	lists(t, p.fs)
	for _, n := range []string{"b", "a.b", "a", ".dot", "c"} {
		write(t, p.fs, n, "")
	}
	must(t, p.fs.Mkdir(ctx, "d", 0o700))
	lists(t, p.fs, ".dot", "a", "a.b", "b", "c", "d")
	see(t, p.b, "d")
	lists(t, p.b.Share, ".dot", "a", "a.b", "b", "c", "d")
	must(t, p.fs.Remove(ctx, "a"))
	lists(t, p.fs, ".dot", "a.b", "b", "c", "d")
	_, err := p.fs.ReadDir(ctx, "none")
	wantErr(t, "list what is missing", err, fs.ErrNotExist)
	_, err = p.fs.ReadDir(ctx, "b")
	wantErr(t, "list a file", err, syscall.ENOTDIR)
}

// listMany: each of many names is listed once. A share with weak lists may
// leave some out.
func listMany(t testing.TB, p *pair) {
	ctx := t.Context()
	var want []string
	for i := range 1000 {
		name := fmt.Sprintf("17%08d.%026d.host,S=%d,W=%d", i*7919%100000000, i, i, i)
		w, err := p.fs.Create(ctx, name, 0o600)
		must(t, err)
		must(t, w.Close())
		want = append(want, name)
	}
	slices.Sort(want)
	see(t, p.b, want[999])
	got, err := p.b.Share.ReadDir(ctx, ".")
	must(t, err)
	if !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
		t.Error("the list is not sorted, or has a name twice")
	}
	strange := slices.DeleteFunc(slices.Clone(got), func(n string) bool { return slices.Contains(want, n) })
	if len(strange) > 0 || len(got) != len(want) && !p.b.Profile.WeakLists {
		t.Errorf("%d names of %d are listed, strange ones are %.500q", len(got), len(want), strange)
	}
}

func rename(t testing.TB, p *pair) {
	ctx := t.Context()
	write(t, p.fs, "f", "text")
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	must(t, p.fs.Rename(ctx, "f", "g"))
	must(t, p.fs.Rename(ctx, "g", "dir/h"))
	holds(t, p.fs, "dir/h", "text")
	lists(t, p.fs, "dir")
	wantErr(t, "rename what is missing", p.fs.Rename(ctx, "f", "i"), fs.ErrNotExist)
	wantErr(t, "rename into nothing", p.fs.Rename(ctx, "dir/h", "none/i"), fs.ErrNotExist)
	holds(t, p.fs, "dir/h", "text")
}

// renameOver: a directory with something in it is not replaced, by nothing.
func renameOver(t testing.TB, p *pair) {
	ctx := t.Context()
	for _, dir := range []string{"full", "other", "empty"} {
		must(t, p.fs.Mkdir(ctx, dir, 0o700))
	}
	write(t, p.fs, "full/f", "full")
	write(t, p.fs, "other/f", "other")
	write(t, p.fs, "file", "file")
	for _, name := range []string{"other", "empty", "file"} {
		wantErr(t, "rename "+name+" over a full directory", p.fs.Rename(ctx, name, "full"))
	}
	wantErr(t, "rename a directory over a file", p.fs.Rename(ctx, "other", "file"))
	holds(t, p.fs, "full/f", "full")
	holds(t, p.fs, "other/f", "other")
	holds(t, p.fs, "file", "file")
	lists(t, p.fs, "empty", "file", "full", "other")
}

// renameDir: whoever went through a directory reaches it under its new name
// alone.
func renameDir(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, netfs.MkdirAll(ctx, p.a, p.fs, "old/sub"))
	write(t, p.fs, "old/sub/f", "text")
	must(t, p.fs.Rename(ctx, "old", "new"))
	holds(t, p.fs, "new/sub/f", "text")
	_, err := p.fs.Open(ctx, "old/sub/f")
	wantErr(t, "open under the old name", err, fs.ErrNotExist)
	must(t, netfs.MkdirAll(ctx, p.a, p.fs, "old/sub"))
	write(t, p.fs, "old/sub/g", "other")
	if l, err := p.fs.ReadDir(ctx, "new/sub"); !slices.Equal(l, []string{"f"}) || err != nil {
		t.Errorf("in the renamed directory are %q, %v", l, err)
	}
}

func remove(t testing.TB, p *pair) {
	ctx := t.Context()
	write(t, p.fs, "f", "")
	must(t, p.fs.Remove(ctx, "f"))
	wantErr(t, "remove what is missing", p.fs.Remove(ctx, "f"), fs.ErrNotExist)
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	write(t, p.fs, "dir/f", "text")
	wantErr(t, "remove a full directory", p.fs.Remove(ctx, "dir"))
	holds(t, p.fs, "dir/f", "text")
	must(t, p.fs.Remove(ctx, "dir/f"))
	must(t, p.fs.Remove(ctx, "dir"))
	lists(t, p.fs)
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	write(t, p.fs, "dir/g", "text")
	if l, err := p.fs.ReadDir(ctx, "dir"); !slices.Equal(l, []string{"g"}) || err != nil {
		t.Errorf("in the directory that was made again are %q, %v", l, err)
	}
}

func mkdir(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	write(t, p.fs, "f", "")
	for _, name := range []string{"dir", "f"} {
		wantErr(t, "mkdir over "+name, p.fs.Mkdir(ctx, name, 0o700), fs.ErrExist)
	}
	wantErr(t, "mkdir below nothing", p.fs.Mkdir(ctx, "none/d", 0o700), fs.ErrNotExist)
	lists(t, p.fs, "dir", "f")
}

// syncDir: the errno of a share that does not know it is passed over.
func syncDir(t testing.TB, p *pair) {
	must(t, p.fs.Mkdir(t.Context(), "dir", 0o700))
	for _, dir := range []string{".", "dir"} {
		must(t, netfs.SyncDir(t.Context(), p.a, p.fs, dir))
	}
	if err := p.fs.SyncDir(t.Context(), "none"); err != nil {
		wantErr(t, "sync what is missing", err, fs.ErrNotExist)
	}
}

func sub(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, netfs.MkdirAll(ctx, p.a, p.fs, "dir/sub"))
	write(t, p.fs, "outside", "secret")
	write(t, p.fs, "dir/f", "text")
	_, err := p.fs.Sub(ctx, "none")
	wantErr(t, "sub of nothing", err, fs.ErrNotExist)
	_, err = p.fs.Sub(ctx, "outside")
	wantErr(t, "sub of a file", err, syscall.ENOTDIR)
	s, err := p.fs.Sub(ctx, "dir")
	must(t, err)
	holds(t, s, "f", "text")
	lists(t, s, "f", "sub")
	write(t, s, "sub/g", "deep")
	holds(t, p.fs, "dir/sub/g", "deep")
	_, err = s.Open(ctx, "../outside")
	wantErr(t, "open above the root", err, fs.ErrInvalid)
	deeper, err := s.Sub(ctx, "sub")
	must(t, err)
	must(t, s.Close())
	_, err = s.Open(ctx, "f")
	wantErr(t, "open in a closed tree", err, fs.ErrClosed)
	holds(t, deeper, "g", "deep")
	must(t, deeper.Close())
	holds(t, p.fs, "dir/f", "text")
}

// names: those that Bobbin makes, and the longest there are.
func names(t testing.TB, p *pair) {
	ctx := t.Context()
	long := strings.Repeat("n", 255)
	want := []string{"1700000000.abcdefghijklmnopqrstuvwxyz.host,S=1,W=2,M", ".t.234567", "a=b+c@d_e-f", long}
	for _, name := range want {
		write(t, p.fs, name, name)
		see(t, p.b, name)
		holds(t, p.b.Share, name, name)
	}
	lists(t, p.b.Share, want...)
	_, err := p.fs.Create(ctx, long+"n", 0o600)
	wantErr(t, "a name of 256 bytes", err)
	lists(t, p.fs, want...)
}

// flags: one of the separators between a name and its flags works, and one
// that does not is refused rather than changed.
func flags(t testing.TB, p *pair) {
	ctx := t.Context()
	works := 0
	for _, sep := range []string{":", ";", "!"} {
		name := "base,S=1" + sep + "2,S"
		err := netfs.WriteFile(ctx, p.fs, name, []byte("x"))
		if err != nil {
			t.Logf("%q is refused: %v", name, err)
			continue
		}
		works++
		see(t, p.b, name)
		rest(t, p.b)
		lists(t, p.b.Share, name)
		must(t, p.fs.Rename(ctx, name, name+"T"))
		lists(t, p.fs, name+"T")
		must(t, p.fs.Remove(ctx, name+"T"))
	}
	if works == 0 {
		t.Error("no file name can have flags")
	}
}

// invalid: what is no valid path goes nowhere.
func invalid(t testing.TB, p *pair) {
	ctx := t.Context()
	write(t, p.fs, "f", "")
	must(t, p.fs.Mkdir(ctx, "d", 0o700))
	for _, name := range []string{"", "/", "/f", "f/", "d//f", "..", "../f", "d/../f", "./f", "d/.", "a\x00b"} {
		for what, call := range map[string]func() error{
			"create":   func() error { return closing(p.fs.Create(ctx, name, 0o600)) },
			"open":     func() error { return closing(p.fs.Open(ctx, name)) },
			"stat":     func() error { _, err := p.fs.Stat(ctx, name); return err },
			"readlink": func() error { _, err := p.fs.Readlink(ctx, name); return err },
			"symlink":  func() error { return p.fs.Symlink(ctx, "x", name) },
			"link":     func() error { return p.fs.Link(ctx, name, "l") },
			"link to":  func() error { return p.fs.Link(ctx, "f", name) },
			"rename":   func() error { return p.fs.Rename(ctx, name, "g") },
			"renameto": func() error { return p.fs.Rename(ctx, "f", name) },
			"remove":   func() error { return p.fs.Remove(ctx, name) },
			"mkdir":    func() error { return p.fs.Mkdir(ctx, name, 0o700) },
			"readdir":  func() error { _, err := p.fs.ReadDir(ctx, name); return err },
			"sub":      func() error { return closing(p.fs.Sub(ctx, name)) },
			"syncdir":  func() error { return p.fs.SyncDir(ctx, name) },
		} {
			wantErr(t, fmt.Sprintf("%s %q", what, name), call(), fs.ErrInvalid)
		}
	}
	lists(t, p.fs, "d", "f")
}

// closing closes what should not have been opened.
func closing(c io.Closer, err error) error {
	if err == nil {
		_ = c.Close()
	}
	return err
}

// goroutines: calls on one tree may be made at the same time.
func goroutines(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	see(t, p.b, "dir")
	var wg sync.WaitGroup
	for i := range 8 {
		f := []netfs.FS{p.a.Share, p.b.Share}[i%2]
		wg.Go(func() {
			for n := range 10 {
				if err := passBy(ctx, f, fmt.Sprintf("dir/%d.%d", i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l, err := p.fs.ReadDir(ctx, "dir"); len(l) != 0 || err != nil {
		t.Errorf("left %q, %v", l, err)
	}
}

// passBy makes a file, renames it, reads it and removes it.
func passBy(ctx context.Context, f netfs.FS, name string) error {
	if err := netfs.WriteFile(ctx, f, name, []byte(name)); err != nil {
		return err
	}
	if err := f.Rename(ctx, name, name+".new"); err != nil {
		return err
	}
	b, err := netfs.ReadFile(ctx, f, name+".new", 100)
	if err == nil && string(b) != name {
		err = fmt.Errorf("%s holds %q", name, b)
	}
	return errors.Join(err, f.Remove(ctx, name+".new"))
}
