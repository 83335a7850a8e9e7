package simfs_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// A full disk refuses whatever needs a block, and nothing else.
func TestLeaveRoom(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		ctx, h := context.Background(), s.Host("a")
		if err := write(ctx, h.Share, "old", "x"); err != nil {
			t.Fatal(err)
		}
		s.Server().LeaveRoom(3)
		f, err := h.Share.Create(ctx, "new", 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, strings.Repeat("x", 3*4096)); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("sync of three blocks into two: %v", err)
		}
		_ = f.Close()
		full := func(want bool) {
			t.Helper()
			for what, err := range map[string]error{
				"mkdir": h.Share.Mkdir(ctx, "dir", 0o700), "symlink": h.Share.Symlink(ctx, "x", "link"),
				"create": write(ctx, h.Share, "third", "x"),
			} {
				if errors.Is(err, syscall.ENOSPC) != want {
					t.Errorf("%s: %v, want a full disk: %v", what, err, want)
				}
			}
		}
		s.Server().LeaveRoom(0)
		full(true)
		if err := h.Share.Link(ctx, "old", "second"); err != nil {
			t.Errorf("a second name needs no block: %v", err)
		}
		if err := h.Share.Rename(ctx, "second", "cur"); err != nil {
			t.Error(err)
		}
		if err := h.Share.Remove(ctx, "cur"); err != nil {
			t.Error(err)
		}
		full(true) // the file has a name still
		s.Server().LeaveRoom(4)
		full(false)
	})
}
