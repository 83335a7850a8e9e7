package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// write makes a file and returns the first error.
func write(ctx context.Context, f netfs.FS, name, text string) error {
	w, err := f.Create(ctx, name, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, text)
	return errors.Join(err, w.Sync(), w.Close())
}

// prepare makes the tree that the cases start from.
func prepare(ctx context.Context, f netfs.FS) error {
	return errors.Join(
		f.Mkdir(ctx, "empty", 0o700), f.Mkdir(ctx, "dir", 0o700), f.Mkdir(ctx, "dir/sub", 0o700),
		write(ctx, f, "file", "abc"), write(ctx, f, "dir/x", "x"),
		f.Symlink(ctx, "target", "link"), f.Symlink(ctx, "dir", "dirlink"),
		f.Link(ctx, "file", "twin"),
	)
}

// semantics are single calls on the tree of prepare and the errors they give;
// nil means success. The real host must agree in each.
var semantics = []struct {
	name string
	call func(ctx context.Context, f netfs.FS) error
	want []error
}{
	{"create on a directory", create("dir"), []error{netfs.ErrIrregular, syscall.EISDIR}},
	{"create on a link", create("link"), []error{netfs.ErrIrregular, syscall.ELOOP}},
	{"create below nothing", create("none/x"), []error{fs.ErrNotExist}},
	{"create below a link", create("dirlink/y"), []error{syscall.ENOTDIR}},
	{"create below a file", create("file/y"), []error{syscall.ENOTDIR}},
	{"create existing", create("file"), nil},
	{"create long", create(long(256)), []error{syscall.ENAMETOOLONG}},
	{"create longest", create(long(255)), nil},
	{"create invalid", create("../x"), []error{fs.ErrInvalid}},
	{"create .", create("."), []error{netfs.ErrIrregular}},
	{"open missing", open("none"), []error{fs.ErrNotExist}},
	{"open a directory", open("dir"), []error{netfs.ErrIrregular}},
	{"open a link", open("link"), []error{netfs.ErrIrregular, syscall.ELOOP}},
	{"open below a link", open("dirlink/x"), []error{syscall.ENOTDIR}},
	{"open", open("dir/x"), nil},
	{"stat missing", stat("none"), []error{fs.ErrNotExist}},
	{"stat below a link", stat("dirlink/x"), []error{syscall.ENOTDIR}},
	{"stat .", stat("."), nil},
	{"stat invalid", stat("/file"), []error{fs.ErrInvalid}},
	{"list a file", list("file"), []error{syscall.ENOTDIR}},
	{"list a link", list("dirlink"), []error{syscall.ENOTDIR}},
	{"list missing", list("none"), []error{fs.ErrNotExist}},
	{"readlink a file", readlink("file"), []error{syscall.EINVAL}},
	{"readlink a directory", readlink("dir"), []error{syscall.EINVAL}},
	{"readlink missing", readlink("none"), []error{fs.ErrNotExist}},
	{"symlink over a file", symlink("t", "file"), []error{fs.ErrExist}},
	{"symlink over a link", symlink("t", "link"), []error{fs.ErrExist}},
	{"symlink below nothing", symlink("t", "none/l"), []error{fs.ErrNotExist}},
	{"symlink to nothing", symlink("", "l"), []error{fs.ErrNotExist}},
	{"symlink long", symlink(long(5000), "l"), []error{syscall.ENAMETOOLONG}},
	{"symlink longest", symlink(long(4000), "l"), nil},
	{"link", link("file", "dir/new"), nil},
	{"link missing", link("none", "new"), []error{fs.ErrNotExist}},
	{"link over a file", link("file", "dir/x"), []error{fs.ErrExist}},
	{"link a directory", link("dir", "new"), []error{syscall.EPERM}},
	{"link a link", link("link", "new"), nil},
	{"link invalid", link("file", "a//b"), []error{fs.ErrInvalid}},
	{"rename", rename("file", "dir/new"), nil},
	{"rename missing", rename("none", "new"), []error{fs.ErrNotExist}},
	{"rename into nothing", rename("file", "none/new"), []error{fs.ErrNotExist}},
	{"rename over a file", rename("dir/x", "file"), nil},
	{"rename a file over a directory", rename("file", "empty"), []error{syscall.EISDIR}},
	{"rename a directory over a file", rename("empty", "file"), []error{syscall.ENOTDIR}},
	{"rename over a full directory", rename("empty", "dir"), []error{syscall.ENOTEMPTY}},
	{"rename over an empty directory", rename("dir", "empty"), nil},
	{"rename into itself", rename("dir", "dir/sub/d"), []error{syscall.EINVAL}},
	{"rename to the twin", rename("file", "twin"), nil},
	{"remove missing", remove("none"), []error{fs.ErrNotExist}},
	{"remove a full directory", remove("dir"), []error{syscall.ENOTEMPTY}},
	{"remove an empty directory", remove("empty"), nil},
	{"remove a link", remove("dirlink"), nil},
	{"mkdir over a directory", mkdir("dir"), []error{fs.ErrExist}},
	{"mkdir over a link", mkdir("link"), []error{fs.ErrExist}},
	{"mkdir .", mkdir("."), []error{fs.ErrExist}},
	{"mkdir below nothing", mkdir("none/d"), []error{fs.ErrNotExist}},
	{"mkdir long", mkdir(long(256)), []error{syscall.ENAMETOOLONG}},
	{"sub missing", sub("none"), []error{fs.ErrNotExist}},
	{"sub of a file", sub("file"), []error{syscall.ENOTDIR}},
	{"sub of a link", sub("dirlink"), []error{syscall.ENOTDIR}},
	{"sub", sub("dir/sub"), nil},
	{"syncdir missing", syncdir("none"), []error{fs.ErrNotExist}},
	{"read a handle for writing", readWriter, []error{syscall.EBADF}},
	{"read a handle for writing at", readAt("file", true, 0), []error{syscall.EBADF}},
	{"read at", readAt("file", false, 1), nil},
	{"read across the end", readAt("file", false, 2), []error{io.EOF}},
	{"read beyond the end", readAt("file", false, 7), []error{io.EOF}},
	{"write a handle for reading", writeReader, []error{syscall.EBADF}},
	{"use after close", useClosed, []error{fs.ErrClosed}},
}

type single = func(ctx context.Context, f netfs.FS) error

func long(n int) string { return strings.Repeat("n", n) }

func create(name string) single {
	return func(ctx context.Context, f netfs.FS) error { return write(ctx, f, name, "new") }
}

func open(name string) single {
	return func(ctx context.Context, f netfs.FS) error {
		_, err := netfs.ReadFile(ctx, f, name, 100)
		return err
	}
}

func stat(name string) single {
	return func(ctx context.Context, f netfs.FS) error {
		_, err := f.Stat(ctx, name)
		return err
	}
}

func list(name string) single {
	return func(ctx context.Context, f netfs.FS) error {
		_, err := f.ReadDir(ctx, name)
		return err
	}
}

func readlink(name string) single {
	return func(ctx context.Context, f netfs.FS) error {
		_, err := f.Readlink(ctx, name)
		return err
	}
}

func symlink(target, name string) single {
	return func(ctx context.Context, f netfs.FS) error { return f.Symlink(ctx, target, name) }
}

func link(o, n string) single {
	return func(ctx context.Context, f netfs.FS) error { return f.Link(ctx, o, n) }
}

func rename(o, n string) single {
	return func(ctx context.Context, f netfs.FS) error { return f.Rename(ctx, o, n) }
}

func remove(name string) single {
	return func(ctx context.Context, f netfs.FS) error { return f.Remove(ctx, name) }
}

func mkdir(name string) single {
	return func(ctx context.Context, f netfs.FS) error { return f.Mkdir(ctx, name, 0o700) }
}

func sub(name string) single {
	return func(ctx context.Context, f netfs.FS) error {
		s, err := f.Sub(ctx, name)
		if err == nil {
			err = s.Close()
		}
		return err
	}
}

func syncdir(name string) single {
	return func(ctx context.Context, f netfs.FS) error { return f.SyncDir(ctx, name) }
}

func readWriter(ctx context.Context, f netfs.FS) error {
	w, err := f.Create(ctx, "file", 0o600)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = w.Read(make([]byte, 10))
	return err
}

// readAt reads two bytes at off and compares them with the file's "abc".
func readAt(name string, forWriting bool, off int64) single {
	return func(ctx context.Context, f netfs.FS) error {
		r, err := f.Open(ctx, name)
		if forWriting {
			r, err = f.Create(ctx, name, 0o600)
		}
		if err != nil {
			return err
		}
		b := make([]byte, 2)
		n, err := r.ReadAt(b, off)
		if want := "abc"[min(off, 3):min(off+2, 3)]; err != nil && err != io.EOF {
			err = errors.Join(err, r.Close())
		} else if string(b[:n]) != want {
			err = fmt.Errorf("read %q, want %q", b[:n], want)
		}
		return err
	}
}

func writeReader(ctx context.Context, f netfs.FS) error {
	r, err := f.Open(ctx, "file")
	if err != nil {
		return err
	}
	defer r.Close()
	_, err = r.Write([]byte("x"))
	return err
}

func useClosed(ctx context.Context, f netfs.FS) error {
	r, err := f.Open(ctx, "file")
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	_, err = r.Read(make([]byte, 1))
	return err
}

// TestSemantics runs the cases on the simulator, with and without held
// directories, and on the real host, whose tree afterwards must be the same.
func TestSemantics(t *testing.T) {
	for _, c := range semantics {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			h, err := netfs.OpenHost(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer h.Share.Close()
			want := outcome(t, h, c.call, c.want)
			for _, hold := range []bool{false, true} {
				simfs.Run(t, simfs.Options{HoldDirs: hold}, func(t *testing.T, s *simfs.Sim) {
					if got := outcome(t, s.Host("a"), c.call, c.want); got != want {
						t.Errorf("hold %v: the tree is\n%s\nin the simulator,\n%s\nreally", hold, got, want)
					}
				})
			}
		})
	}
}

// outcome makes one call on a prepared tree and returns the tree after it.
func outcome(t *testing.T, h *netfs.Host, call single, want []error) string {
	t.Helper()
	ctx := context.Background()
	if err := prepare(ctx, h.Share); err != nil {
		t.Fatal(err)
	}
	err := call(ctx, h.Share)
	if (err == nil) != (want == nil) {
		t.Errorf("got error %v, want %v", err, want)
	}
	for _, w := range want {
		if !errors.Is(err, w) {
			t.Errorf("got error %v, want %v", err, w)
		}
	}
	if err != nil && err != io.EOF {
		_, isPath := errors.AsType[*fs.PathError](err)
		_, isLink := errors.AsType[*os.LinkError](err)
		if !isPath && !isLink {
			t.Errorf("error %T carries no name", err)
		}
	}
	return tree(t, h.Share, ".")
}

// tree describes all names with what Stat tells of them.
func tree(t *testing.T, f netfs.FS, dir string) string {
	ctx := context.Background()
	names, err := f.ReadDir(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, n := range names {
		if dir != "." {
			n = dir + "/" + n
		}
		i, err := f.Stat(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case i.Mode.IsDir():
			fmt.Fprintf(&b, "%s %v\n%s", n, i.Mode, tree(t, f, n))
		case i.Mode.IsRegular():
			data, err := netfs.ReadFile(ctx, f, n, 1000)
			fmt.Fprintf(&b, "%s %v %d %d %q %v\n", n, i.Mode, i.Nlink, i.Size, data, err)
		default:
			to, err := f.Readlink(ctx, n)
			fmt.Fprintf(&b, "%s %v %d %d %.40q %v\n", n, i.Mode, i.Nlink, i.Size, to, err)
		}
	}
	return b.String()
}

// A stamp moves with the server's tick, not with every change; after Settled
// every change moves it.
func TestStamps(t *testing.T) {
	simfs.Run(t, simfs.Options{Tick: 50 * time.Millisecond}, func(t *testing.T, s *simfs.Sim) {
		h := s.Host("a")
		stamps := map[netfs.Stamp]bool{}
		s.Go(h, func(ctx context.Context, h *netfs.Host) {
			for i := range 400 {
				_ = h.Share.Symlink(ctx, "x", fmt.Sprint("l", i))
				st, err := netfs.Fresh(ctx, h.Share, ".")
				if err != nil {
					t.Error(err)
				}
				stamps[st] = true
			}
			if _, _, err := netfs.Settled(ctx, h, h.Share, "."); err != nil {
				t.Error(err)
			}
		})
		before := time.Now()
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		ticks := int(time.Since(before) / (50 * time.Millisecond))
		if len(stamps) < ticks/2 || len(stamps) > ticks+1 {
			t.Errorf("%d stamps in %d ticks", len(stamps), ticks)
		}
		h = s.Host("b")
		ctx := context.Background()
		settled, _, err := netfs.Settled(ctx, h, h.Share, ".")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Share.Remove(ctx, "l7"); err != nil {
			t.Fatal(err)
		}
		if now, err := netfs.Fresh(ctx, h.Share, "."); err != nil || now == settled {
			t.Errorf("the stamp stood still over a change after Settled (%v)", err)
		}
	})
}

// An open file keeps the content of the moment in which it was opened.
func TestSnapshot(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		ctx := context.Background()
		a, b := s.Host("a"), s.Host("b")
		if err := write(ctx, a.Share, "f", "old content"); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func() error{
			"overwritten": func() error { return write(ctx, b.Share, "f", "new") },
			"replaced":    func() error { return s.Server().WriteFile("f", []byte("other")) },
			"corrupted": func() error {
				return s.Server().Corrupt("f", func(b []byte) []byte { b[0] ^= 1; return b })
			},
			"unlinked": func() error { return b.Share.Remove(ctx, "f") },
		} {
			if err := s.Server().WriteFile("f", []byte("old content")); err != nil {
				t.Fatal(err)
			}
			r, err := a.Share.Open(ctx, "f")
			if err != nil {
				t.Fatal(err)
			}
			if err := change(); err != nil {
				t.Fatal(err)
			}
			size, _ := r.Size()
			got, err := io.ReadAll(r)
			if err != nil || string(got) != "old content" || size != 11 {
				t.Errorf("%s: read %q, size %d (%v)", name, got, size, err)
			}
		}
	})
}
