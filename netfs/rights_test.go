package netfs_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// What is made in a tree has its root's group and mode, whatever the umask.
func TestRightsOfATree(t *testing.T) {
	const group = 4242
	for _, tt := range []struct{ root, dir, file fs.FileMode }{
		{0o700, 0o700, 0o600},
		{0o770, 0o770, 0o660},
		{0o750, 0o750, 0o640},
		{0o770 | fs.ModeSetgid, 0o770 | fs.ModeSetgid, 0o660},
		{0o777, 0o777, 0o666},
	} {
		for _, umask := range []int{0, 0o022, 0o077} {
			t.Run(fmt.Sprintf("%v %03o", tt.root, umask), func(t *testing.T) {
				dir := t.TempDir()
				gid := os.Getegid()
				if os.Geteuid() == 0 {
					gid = group
				}
				if err := os.Chown(dir, -1, gid); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(dir, tt.root); err != nil {
					t.Fatal(err)
				}
				defer syscall.Umask(syscall.Umask(umask))
				h, err := netfs.OpenHost(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer h.Share.Close()
				before := h.Ops.Read()
				if err := netfs.MkdirAll(t.Context(), h, h.Share, "a/b"); err != nil {
					t.Fatal(err)
				}
				if err := netfs.WriteFile(t.Context(), h.Share, "a/b/f", []byte("x")); err != nil {
					t.Fatal(err)
				}
				if got := h.Ops.Read().Sub(before); got.String() != "open 1 write 1 close 1 getattr 1 mkdir 3 sync 2" {
					t.Errorf("it took %s", got)
				}
				wantRights(t, filepath.Join(dir, "a"), gid, tt.dir)
				wantRights(t, filepath.Join(dir, "a/b"), gid, tt.dir)
				wantRights(t, filepath.Join(dir, "a/b/f"), gid, tt.file)
				if err := netfs.MkdirPrivate(t.Context(), h, h.Share, "p"); err != nil {
					t.Fatal(err)
				}
				wantRights(t, filepath.Join(dir, "p"), gid, tt.dir&^0o077)
				// A tree below has the rights of its own root.
				sub, err := h.Share.Sub(t.Context(), "p")
				if err != nil {
					t.Fatal(err)
				}
				defer sub.Close()
				if err := netfs.WriteFile(t.Context(), sub, "f", nil); err != nil {
					t.Fatal(err)
				}
				wantRights(t, filepath.Join(dir, "p/f"), gid, 0o600)
			})
		}
	}
}

func wantRights(t *testing.T, name string, gid int, mode fs.FileMode) {
	t.Helper()
	i, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	if got := i.Mode() &^ fs.ModeDir; got != mode || int(i.Sys().(*syscall.Stat_t).Gid) != gid {
		t.Errorf("%s has %v and group %d, want %v and %d", name, got, i.Sys().(*syscall.Stat_t).Gid, mode, gid)
	}
}

func TestRootInfo(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "d"), 0o710|fs.ModeSticky|fs.ModeSetgid); err != nil {
		t.Fatal(err)
	}
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Share.Close()
	sub, err := h.Share.Sub(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	i, ok := netfs.RootInfo(sub)
	want := fs.ModeDir | 0o710 | fs.ModeSticky | fs.ModeSetgid
	if !ok || i.Mode != want || int(i.UID) != os.Geteuid() {
		t.Errorf("%+v, %v; want %v", i, ok, want)
	}
	now, err := h.Share.Stat(t.Context(), "d")
	if err != nil || now.Mode != want || now.UID != i.UID || now.GID != i.GID {
		t.Errorf("stat says %+v, %v", now, err)
	}
	if _, ok := netfs.RootInfo(struct{ netfs.FS }{sub}); ok {
		t.Error("a file system that does not know its root has one")
	}
}
