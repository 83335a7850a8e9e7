package simfs_test

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// With HoldDirs a client goes on in a directory that another host renamed,
// and notices one that was removed.
func TestHoldDirs(t *testing.T) {
	for _, hold := range []bool{false, true} {
		simfs.Run(t, simfs.Options{HoldDirs: hold}, func(t *testing.T, s *simfs.Sim) {
			ctx := context.Background()
			a, b := s.Host("a"), s.Host("b")
			srv := s.Server()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			must(write(ctx, b.Share, "one", "x"))
			must(a.Share.Mkdir(ctx, "box", 0o700))
			must(write(ctx, a.Share, "box/1", "x"))
			must(b.Share.Rename(ctx, "box", "trash"))
			must(b.Share.Mkdir(ctx, "box", 0o700))
			must(write(ctx, a.Share, "box/2", "y"))
			sub, err := a.Share.Sub(ctx, "box")
			must(err)
			if _, err := sub.Stat(ctx, "1"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("hold %v: sub entered the renamed directory: %v", hold, err)
			}
			_, err = srv.ReadFile("trash/2")
			if got := err == nil; got != hold {
				t.Errorf("hold %v: written to the renamed directory: %v\n%s", hold, got, srv.Dump())
			}
			must(srv.RemoveAll("trash"))
			must(write(ctx, a.Share, "box/3", "z"))
			must(a.Share.Rename(ctx, "box", "own"))
			must(b.Share.Mkdir(ctx, "box", 0o700))
			must(write(ctx, a.Share, "box/4", "z"))
			for _, name := range []string{"own/3", "box/4"} {
				if _, err := srv.ReadFile(name); err != nil {
					t.Errorf("hold %v: %v\n%s", hold, err, srv.Dump())
				}
			}
			must(srv.RemoveAll("box"))
			if _, err := a.Share.Stat(ctx, "box"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("hold %v: stat of a removed directory: %v", hold, err)
			}
		})
	}
}

// A directory counts its sub-directories.
func TestDirLinks(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		ctx := context.Background()
		f := s.Host("a").Share
		if err := prepare(ctx, f); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			call      single
			root, dir uint64
		}{
			{stat("."), 4, 3},
			{mkdir("dir/more"), 4, 4},
			{rename("empty", "dir/empty"), 3, 5},
			{rename("dir/empty", "dir/more"), 3, 4},
			{remove("dir/sub"), 3, 3},
		} {
			err := c.call(ctx, f)
			root, _ := f.Stat(ctx, ".")
			dir, _ := f.Stat(ctx, "dir")
			if err != nil || root.Nlink != c.root || dir.Nlink != c.dir {
				t.Errorf("links: %d and %d, want %d and %d (%v)", root.Nlink, dir.Nlink, c.root, c.dir, err)
			}
		}
	})
}

// Tests reach the server past the gate.
func TestServer(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		srv := s.Server()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(srv.WriteFile("a/b/f", []byte("one")))
		must(srv.Symlink("target", "a/l"))
		first, err := srv.Stat("a/b/f")
		must(err)
		time.Sleep(time.Second)
		flip := func(b []byte) []byte { return append(b, '!') }
		must(srv.Corrupt("a/b/f", flip))
		must(srv.Corrupt("a/l", flip))
		if now, _ := srv.Stat("a/b/f"); now.Mtime != first.Mtime || now.Size != 4 {
			t.Errorf("corrupted: %+v, before %+v", now, first)
		}
		if to, err := srv.Readlink("a/l"); to != "target!" || err != nil {
			t.Errorf("the link says %q (%v)", to, err)
		}
		must(srv.WriteFile("a/b/f", []byte("two\n")))
		if now, _ := srv.Stat("a/b/f"); now.Mtime == first.Mtime {
			t.Error("writing left the stamp")
		}
		must(srv.Rename("a/b", "c"))
		const want = "a/\na/l -> \"target!\"\nc/\nc/f \"two\\n\"\n"
		if got := srv.Dump(); got != want {
			t.Errorf("dump:\n%swant:\n%s", got, want)
		}
		if err := srv.Remove("c"); !errors.Is(err, syscall.ENOTEMPTY) {
			t.Errorf("remove of a full directory: %v", err)
		}
		if err := srv.Rename("none", "x"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("rename of nothing: %v", err)
		}
		if err := srv.MkdirAll("c/f/x"); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("mkdir below a file: %v", err)
		}
		must(srv.RemoveAll("c"))
		must(srv.RemoveAll("c"))
		if names, err := srv.List("."); len(names) != 1 || names[0] != "a" || err != nil {
			t.Errorf("list: %v (%v)", names, err)
		}
	})
}

// In a directory that was removed nothing can be done, not even late.
func TestRemovedDir(t *testing.T) {
	o := simfs.Options{FailAt: &simfs.At{Host: "a", Op: 2, Late: true}}
	run(t, o, func(t *testing.T, ctx context.Context, f netfs.FS) {
		_ = f.Mkdir(ctx, "box", 0o700)
		d, err := f.Sub(ctx, "box")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Rename(ctx, "old", "box/new"); !errors.Is(err, syscall.EIO) {
			t.Errorf("rename: %v", err)
		}
		if err := f.Remove(ctx, "box"); err != nil {
			t.Fatal(err)
		}
		for _, call := range []single{create("x"), stat("."), list("."), symlink("t", "l"), syncdir(".")} {
			if err := call(ctx, d); !errors.Is(err, syscall.ESTALE) {
				t.Errorf("in a removed directory: %v", err)
			}
		}
	}, func(t *testing.T, s *simfs.Sim) {
		if got := s.Server().Dump(); got != undone {
			t.Errorf("the tree is\n%s", got)
		}
	})
}
