package netfs_test

import (
	"context"
	"errors"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// tardyFS carries a RENAME out after the next look, having said that it failed.
type tardyFS struct {
	netfs.FS
	old, new string
}

func (f *tardyFS) Rename(_ context.Context, o, n string) error {
	f.old, f.new = o, n
	return syscall.EINTR
}

func (f *tardyFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	i, err := f.FS.Stat(ctx, name)
	if f.old != "" {
		if rerr := f.FS.Rename(ctx, f.old, f.new); rerr != nil {
			return i, rerr
		}
		f.old = ""
	}
	return i, err
}

// A RENAME that comes between the look for the new name and that for the old
// one was done: nobody took the file away (found by seed 299 of the folder
// races).
func TestMoveComesLate(t *testing.T) {
	h, _ := newHost(t)
	if err := netfs.WriteFile(t.Context(), h.Share, "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := netfs.Move(t.Context(), h, &tardyFS{FS: h.Share}, "a", "b"); err != nil {
		t.Error(err)
	}
	if _, err := h.Share.Stat(t.Context(), "b"); err != nil {
		t.Error(err)
	}
}

// mutedFS carries no RENAME out, and cannot tell what is there.
type mutedFS struct{ netfs.FS }

func (mutedFS) Rename(context.Context, string, string) error { return syscall.EACCES }

func (f mutedFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	if name == "b" {
		return netfs.Info{}, syscall.EIO
	}
	return f.FS.Stat(ctx, name)
}

// A RENAME that was refused, perhaps in answer to a second one, while nobody
// can look for the new name, is not told as "not done".
func TestMoveInDoubt(t *testing.T) {
	h, _ := newHost(t)
	if err := netfs.WriteFile(t.Context(), h.Share, "a", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := netfs.Move(t.Context(), h, mutedFS{h.Share}, "a", "b"); !errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("got %v, want ErrUncertain", err)
	}
}
