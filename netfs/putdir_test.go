package netfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

func TestWayNames(t *testing.T) {
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		if got, err := netfs.ParseWay(way.String()); got != way || err != nil {
			t.Errorf("%s is read as %v, %v", way, got, err)
		}
	}
	if _, err := netfs.ParseWay("carrier pigeon"); err == nil || !strings.Contains(err.Error(), "directory") {
		t.Errorf("an unknown way: %v, want an error that names those there are", err)
	}
	if got := netfs.ViaDir.Max(netfs.Profile{RecordMax: 1000}); got != 64<<10 {
		t.Errorf("a record may have %d bytes", got)
	}
}

// litter lists the names in dir but for the slots.
func litter(t *testing.T, dir string, slots ...string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.Contains(" "+strings.Join(slots, " ")+" ", " "+e.Name()+" ") {
			names = append(names, e.Name())
		}
	}
	return names
}

// Every error of a call that makes the temporary directory or gives it its
// name is resolved, whether the call was done or not.
func TestPutDirResolve(t *testing.T) {
	errnos := []error{
		syscall.EIO, syscall.EEXIST, syscall.ENOTEMPTY, syscall.ENOENT, syscall.EINTR, syscall.ESTALE,
		syscall.EACCES, syscall.EBUSY, syscall.ETIMEDOUT,
	}
	for _, op := range []string{"rename", "mkdir"} {
		for _, after := range []bool{false, true} {
			for _, e := range errnos {
				t.Run(fmt.Sprintf("%s, done %v, %v", op, after, e), func(t *testing.T) {
					if op == "mkdir" && e == syscall.ENOENT {
						t.Skip("the server's word that there is no such directory")
					}
					h, _ := newHost(t)
					f := &faultFS{FS: h.Share, op: op, times: 2, after: after, err: &fs.PathError{Op: op, Err: e}}
					if _, err := netfs.ViaDir.Put(t.Context(), h, f, "slot", "data"); err != nil {
						t.Errorf("put: %v", err)
					}
					if got, err := netfs.ViaDir.Get(t.Context(), h.Share, "slot"); got != "data" || err != nil {
						t.Errorf("get: %q, %v", got, err)
					}
					if got, err := netfs.ViaDir.Put(t.Context(), h, h.Share, "slot", "late"); got != "data" || !errors.Is(err, fs.ErrExist) {
						t.Errorf("put again: %q, %v", got, err)
					}
				})
			}
		}
	}
}

// rivalFS puts a record of somebody else just before each rename, which then
// fails with err, or as it does.
type rivalFS struct {
	netfs.FS
	h   *netfs.Host
	err error
}

func (r rivalFS) Rename(ctx context.Context, o, n string) error {
	if _, err := netfs.ViaDir.Put(ctx, r.h, r.FS, n, "theirs"); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if r.err != nil {
		return &os.LinkError{Op: "rename", Old: o, New: n, Err: r.err}
	}
	return r.FS.Rename(ctx, o, n)
}

// Servers say in many words that a directory with something in it is not
// replaced. The loser reads what is there, and leaves nothing behind.
func TestPutDirLoses(t *testing.T) {
	for _, e := range []error{
		nil, syscall.ENOTEMPTY, syscall.EEXIST, syscall.EACCES, syscall.EPERM, syscall.EBUSY,
		syscall.EIO, syscall.EINVAL, syscall.ENOTDIR, syscall.EISDIR,
	} {
		h, dir := newHost(t)
		got, err := netfs.ViaDir.Put(t.Context(), h, rivalFS{h.Share, h, e}, "slot", "mine")
		if got != "theirs" || !errors.Is(err, fs.ErrExist) {
			t.Errorf("%v: %q, %v; want theirs and fs.ErrExist", e, got, err)
		}
		if left := litter(t, dir, "slot"); len(left) > 0 {
			t.Errorf("%v: left %q", e, left)
		}
	}
}

// A rename whose outcome is not known keeps its source, so that it moves a
// whole record when it comes late.
func TestPutDirLate(t *testing.T) {
	h, dir := newHost(t)
	f := &faultFS{FS: h.Share, op: "rename", times: 1 << 30, err: syscall.ETIMEDOUT}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := netfs.ViaDir.Put(ctx, h, f, "slot", "data"); !errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("put: %v, want ErrUncertain", err)
	}
	left := litter(t, dir)
	if len(left) != 1 || !strings.HasPrefix(left[0], ".t.") {
		t.Fatalf("left %q", left)
	}
	if err := os.Rename(filepath.Join(dir, left[0]), filepath.Join(dir, "slot")); err != nil {
		t.Fatal(err)
	}
	if got, err := netfs.ViaDir.Get(t.Context(), h.Share, "slot"); got != "data" || err != nil {
		t.Errorf("the late record: %q, %v", got, err)
	}
}

// What cannot be written is not done, and leaves nothing.
func TestPutDirNotDone(t *testing.T) {
	for _, op := range []string{"mkdir", "rename"} {
		h, dir := newHost(t)
		f := &faultFS{FS: h.Share, op: op, times: 1, err: syscall.ENOSPC}
		if _, err := netfs.ViaDir.Put(t.Context(), h, f, "slot", "data"); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, netfs.ErrUncertain) {
			t.Errorf("%s, full disk: %v, want ENOSPC and nothing done", op, err)
		}
		if left := litter(t, dir); len(left) > 0 {
			t.Errorf("%s, full disk: left %q", op, left)
		}
	}
}

// contraryFS says that a name exists to who wants to make it, and that it does
// not to who looks.
type contraryFS struct{ netfs.FS }

func (contraryFS) Symlink(context.Context, string, string) error { return syscall.EEXIST }
func (contraryFS) Link(context.Context, string, string) error    { return syscall.EEXIST }
func (contraryFS) Rename(context.Context, string, string) error  { return syscall.ENOTEMPTY }

// Nobody may take the server's contradiction for a record of somebody else.
func TestPutContradiction(t *testing.T) {
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		h, _ := newHost(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := way.Put(ctx, h, contraryFS{h.Share}, "slot", "data")
		cancel()
		if !errors.Is(err, netfs.ErrUncertain) || errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v, want ErrUncertain and not fs.ErrExist", way, err)
		}
	}
}

// A slot that is not a directory with a record is neither read nor replaced.
func TestPutDirIrregular(t *testing.T) {
	h, dir := newHost(t)
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "empty"), 0o700),
		os.WriteFile(filepath.Join(dir, "file"), []byte("x"), 0o600),
		os.Mkdir(filepath.Join(dir, "odd"), 0o700),
		os.Symlink("../file", filepath.Join(dir, "odd/r")),
		os.Symlink("full", filepath.Join(dir, "link")),
		os.Mkdir(filepath.Join(dir, "full"), 0o700),
		os.WriteFile(filepath.Join(dir, "full/r"), []byte("x"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"empty", "file", "odd", "link"} {
		if _, err := netfs.ViaDir.Get(t.Context(), h.Share, name); !errors.Is(err, netfs.ErrIrregular) || !strings.Contains(err.Error(), name) {
			t.Errorf("get %s: %v, want ErrIrregular that names it", name, err)
		}
		if _, err := netfs.ViaDir.Put(t.Context(), h, h.Share, name, "data"); !errors.Is(err, netfs.ErrIrregular) {
			t.Errorf("put %s: %v, want ErrIrregular", name, err)
		}
	}
	if left := litter(t, dir, "empty", "file", "odd", "link", "full"); len(left) > 0 {
		t.Errorf("left %q", left)
	}
}

// Slots are not held open: a log has thousands of them.
func TestPutDirHoldsNothing(t *testing.T) {
	h, _ := newHost(t)
	open := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(names)
	}
	before := open()
	lost := &faultFS{FS: h.Share, op: "rename", err: syscall.EIO, after: true}
	for n := range 50 {
		name := fmt.Sprint(n)
		if n%2 == 0 {
			lost.times = 1
		}
		if _, err := netfs.ViaDir.Put(t.Context(), h, lost, name, "data"); err != nil {
			t.Fatal(err)
		}
		if got, err := netfs.ViaDir.Get(t.Context(), h.Share, name); got != "data" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if after := open(); after > before+5 {
		t.Errorf("%d descriptors before 50 slots, %d after", before, after)
	}
}

// What a record costs on a share where a directory's fsync is nothing.
func TestPutDirCost(t *testing.T) {
	h, _ := newHost(t)
	h.Profile.DirSync = false
	before := h.Ops.Read()
	if _, err := netfs.ViaDir.Put(t.Context(), h, h.Share, "slot", "data"); err != nil {
		t.Fatal(err)
	}
	put := h.Ops.Read()
	if got, want := put.Sub(before).String(), "open 1 write 1 close 1 lookup 2 rename 1 mkdir 1"; got != want {
		t.Errorf("put: %s, want %s", got, want)
	}
	if _, err := netfs.ViaDir.Get(t.Context(), h.Share, "slot"); err != nil {
		t.Fatal(err)
	}
	if got, want := h.Ops.Read().Sub(put).String(), "open 1 read 1 close 1 lookup 1"; got != want {
		t.Errorf("get: %s, want %s", got, want)
	}
}
