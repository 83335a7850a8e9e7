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

// once answers the first rename with an error, whether it was carried out or not.
type once struct {
	netfs.FS
	err     error
	applied bool
	calls   int
}

func (f *once) Rename(ctx context.Context, o, n string) error {
	if f.calls++; f.calls > 1 {
		return f.FS.Rename(ctx, o, n)
	}
	if f.applied {
		if err := f.FS.Rename(ctx, o, n); err != nil {
			return err
		}
	}
	return f.err
}

// What is not there is left to others at once; another error is looked into.
func TestMoveIfThere(t *testing.T) {
	tests := []struct {
		name    string
		err     error
		applied bool
		want    error
		calls   int
	}{
		{"somebody else was first", syscall.ENOENT, true, netfs.ErrVanished, 1},
		{"done, and reported failed", syscall.EIO, true, nil, 2},
		{"not done", syscall.EIO, false, nil, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, _ := newHost(t)
			if err := netfs.WriteFile(t.Context(), h.Share, "a", []byte("x")); err != nil {
				t.Fatal(err)
			}
			f := &once{FS: h.Share, err: tt.err, applied: tt.applied}
			if err := netfs.MoveIfThere(t.Context(), h, f, "a", "b"); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
			if _, err := h.Share.Stat(t.Context(), "b"); err != nil {
				t.Error(err)
			}
			if f.calls != tt.calls {
				t.Errorf("%d renames, want %d", f.calls, tt.calls)
			}
		})
	}
}
