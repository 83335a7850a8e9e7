package netfs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// cachedFS is a client whose kernel does not know that one rename was done: it
// goes on reaching what was renamed under its old name (H33), and says that
// the new one is missing (H34).
type cachedFS struct {
	netfs.FS
	err           error  // of the rename
	mode          string // "forget": at the next stat of the directory; "both": it finds the new name
	oldname, newn string
}

func (c *cachedFS) Rename(ctx context.Context, o, n string) error {
	if c.oldname != "" {
		return c.FS.Rename(ctx, o, n) // at the server, whatever the client knows
	}
	if err := c.FS.Rename(ctx, o, n); err != nil {
		return err
	}
	c.oldname, c.newn = o, n
	return c.err
}

func (c *cachedFS) real(name string) (string, error) {
	switch {
	case c.oldname != "" && name == c.oldname:
		return c.newn, nil
	case c.oldname != "" && name == c.newn && c.mode != "both":
		return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ENOENT}
	}
	return name, nil
}

func (c *cachedFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	if name == "." && c.mode == "forget" {
		c.oldname, c.newn = "", ""
	}
	name, err := c.real(name)
	if err != nil {
		return netfs.Info{}, err
	}
	return c.FS.Stat(ctx, name)
}

func (c *cachedFS) Sub(ctx context.Context, name string) (netfs.FS, error) {
	name, err := c.real(name)
	if err != nil {
		return nil, err
	}
	return c.FS.Sub(ctx, name)
}

// Whatever the client believes of the names, a slot that was made keeps its
// record, and nobody is told that it was not made.
func TestPutDirOldNames(t *testing.T) {
	for _, e := range []error{syscall.EACCES, syscall.EINVAL, syscall.EIO} {
		for _, mode := range []string{"", "forget", "both"} {
			h, dir := newHost(t)
			clock := h.Boot
			h.Sleep = func(context.Context, time.Duration) error { return nil }
			slept := 0
			h.Boot = func() time.Duration { slept++; return clock() + time.Duration(slept)*time.Second }
			_, err := netfs.ViaDir.Put(t.Context(), h, &cachedFS{FS: h.Share, err: e, mode: mode}, "slot", "data")
			if mode != "" && err != nil || mode == "" && !errors.Is(err, netfs.ErrUncertain) {
				t.Errorf("%v, %q: %v", e, mode, err)
			}
			if b, err := os.ReadFile(filepath.Join(dir, "slot/r")); string(b) != "data" {
				t.Errorf("%v, %q: the slot holds %q, %v", e, mode, b, err)
			}
		}
	}
}

// laterFS says of the first attempt that the name exists, of the second that
// the disk is full, and of every look that there is nothing.
type laterFS struct {
	blindFS
	n *int
}

func (l laterFS) Symlink(context.Context, string, string) error {
	if *l.n++; *l.n > 1 {
		return syscall.ENOSPC
	}
	return syscall.EEXIST
}

// What existed once may be our own, whatever is said later.
func TestPutExistedOnce(t *testing.T) {
	h, _ := newHost(t)
	_, err := netfs.ViaSymlink.Put(t.Context(), h, laterFS{blindFS{h.Share}, new(int)}, "slot", "data")
	if !errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("got %v, want ErrUncertain", err)
	}
}

// A caller that has already given up is told that nothing was done, and
// nothing was.
func TestPutGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		h, _ := newHost(t)
		_, err := way.Put(ctx, h, h.Share, "slot", "data")
		if !errors.Is(err, context.Canceled) || errors.Is(err, netfs.ErrUncertain) || h.Ops.Read().Total() != 0 {
			t.Errorf("%s: %v after %s", way, err, h.Ops.Read())
		}
	}
}

// staleSlot says of a slot's directory that it is gone: ESTALE.
type staleSlot struct{ netfs.FS }

type staleDir struct{ netfs.FS }

func (s staleSlot) Sub(ctx context.Context, name string) (netfs.FS, error) {
	f, err := s.FS.Sub(ctx, name)
	return staleDir{f}, err
}

func (staleDir) Open(context.Context, string) (netfs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: "r", Err: syscall.ESTALE}
}

// A slot that is removed while it is read is missing; one that is there is not.
func TestGetDirStale(t *testing.T) {
	h, _ := newHost(t)
	if _, err := netfs.ViaDir.Put(t.Context(), h, h.Share, "slot", "data"); err != nil {
		t.Fatal(err)
	}
	if _, err := netfs.ViaDir.Get(t.Context(), staleSlot{h.Share}, "slot"); !errors.Is(err, syscall.ESTALE) || errors.Is(err, netfs.ErrIrregular) {
		t.Errorf("a slot that cannot be read: %v", err)
	}
	if _, err := netfs.ViaDir.Get(t.Context(), removing{staleSlot{h.Share}, h}, "slot"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a slot removed under us: %v", err)
	}
}

// removing removes a slot just after it was entered.
type removing struct {
	netfs.FS
	h *netfs.Host
}

func (r removing) Sub(ctx context.Context, name string) (netfs.FS, error) {
	f, err := r.FS.Sub(ctx, name)
	return f, errors.Join(err, netfs.ViaDir.Remove(ctx, r.h, r.h.Share, name))
}

func TestRemove(t *testing.T) {
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		h, dir := newHost(t)
		for _, name := range []string{"slot", ".t.left"} {
			if _, err := way.Put(t.Context(), h, h.Share, name, "data"); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := way.Remove(t.Context(), h, h.Share, name); err != nil {
					t.Errorf("%s: remove %s: %v", way, name, err)
				}
			}
		}
		if left := litter(t, dir); len(left) > 0 {
			t.Errorf("%s: left %q", way, left)
		}
		f := &faultFS{FS: h.Share, op: map[bool]string{true: "rename", false: "remove"}[way == netfs.ViaDir], times: 100, err: syscall.EROFS}
		if _, err := way.Put(t.Context(), h, h.Share, "slot", "data"); err != nil {
			t.Fatal(err)
		}
		if err := way.Remove(t.Context(), h, f, "slot"); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: remove on a share that cannot be written: %v", way, err)
		}
		if got, err := way.Get(t.Context(), h.Share, "slot"); got != "data" || err != nil {
			t.Errorf("%s: after that: %q, %v", way, got, err)
		}
	}
}

func TestTemporary(t *testing.T) {
	h, dir := newHost(t)
	f := &faultFS{FS: h.Share, op: "rename", times: 1 << 30, err: syscall.ETIMEDOUT}
	ctx, cancel := context.WithCancel(t.Context())
	h.Sleep = func(context.Context, time.Duration) error { cancel(); return context.Canceled }
	if _, err := netfs.ViaDir.Put(ctx, h, f, "slot", "data"); !errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("put: %v", err)
	}
	left := litter(t, dir)
	if len(left) != 1 || !netfs.Temporary("log/g.1/"+left[0]) {
		t.Errorf("left %q: no temporary name", left)
	}
	for _, name := range []string{"1", "tmp", "log/.t.x/r", ".nfs0001"} {
		if netfs.Temporary(name) {
			t.Errorf("%s is no temporary name", name)
		}
	}
}

// replacingFS puts one directory over another, whatever is in it.
type replacingFS struct{ netfs.FS }

func (r replacingFS) Rename(ctx context.Context, o, n string) error {
	if _, err := r.FS.Stat(ctx, n); err == nil && strings.HasPrefix(n, "try") {
		if err := r.FS.Rename(ctx, n, "old."+n); err != nil {
			return err
		}
	}
	return r.FS.Rename(ctx, o, n)
}

// forgetfulFS makes a link where one is.
type forgetfulFS struct{ netfs.FS }

func (f forgetfulFS) Symlink(ctx context.Context, target, name string) error {
	_ = f.FS.Remove(ctx, name)
	return f.FS.Symlink(ctx, target, name)
}

func TestTry(t *testing.T) {
	ways := []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir}
	for _, way := range ways {
		h, dir := newHost(t)
		if err := way.Try(t.Context(), h, h.Share, "try", 500); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		if left := litter(t, dir); len(left) > 0 {
			t.Errorf("%s: left %q", way, left)
		}
	}
	h, _ := newHost(t)
	if err := netfs.ViaDir.Try(t.Context(), h, replacingFS{h.Share}, "try", 500); err == nil || !strings.Contains(err.Error(), "replaced") {
		t.Errorf("a server that replaces directories: %v", err)
	}
	if err := netfs.ViaSymlink.Try(t.Context(), h, forgetfulFS{h.Share}, "try", 500); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a server that replaces links: %v", err)
	}
	if err := netfs.ViaSymlink.Try(t.Context(), h, h.Share, "try", 100000); !errors.Is(err, syscall.ENAMETOOLONG) {
		t.Errorf("a record that is too long: %v", err)
	}
}
