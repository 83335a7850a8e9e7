package simfs_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// oblique looks for the names of a rename, and lets something happen before it.
type oblique struct {
	netfs.FS
	before func()
}

func (f *oblique) Rename(ctx context.Context, o, n string) error {
	for _, name := range []string{o, n} {
		_, _ = f.Stat(ctx, name)
	}
	f.before()
	return f.FS.Rename(ctx, o, n)
}

// Move believes that a name is absent only if the server says so, whatever the
// client remembers (H34).
func TestMoveRemembersAbsent(t *testing.T) {
	for _, share := range simfs.Shares() {
		t.Run(share.Name, func(t *testing.T) {
			var o simfs.Options
			share.Set(&o)
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				h := s.Host("a")
				// put makes a file by another hand, later than the look by a tick.
				put := func(name string) func() {
					return func() {
						if _, err := s.Server().Stat(name); err != nil {
							time.Sleep(2*share.Tick + share.Cache.Absent)
							_ = s.Server().WriteFile(name, nil)
						}
					}
				}
				for _, c := range []struct {
					old, new string
					before   func()
					vanished bool
				}{
					{"a", "b", put("b"), false},
					{"c", "d", put("c"), false},
					{"e", "f", func() {}, true},
				} {
					err := netfs.Move(t.Context(), h, &oblique{h.Share, c.before}, c.old, c.new)
					if errors.Is(err, netfs.ErrVanished) != c.vanished {
						t.Errorf("move %s to %s: %v", c.old, c.new, err)
					}
				}
			})
		})
	}
}

// late carries a RENAME out after the first look for the new name.
type late struct {
	netfs.FS
	old, new string
}

func (f *late) Rename(_ context.Context, o, n string) error {
	f.old, f.new = o, n
	return syscall.EINTR
}

func (f *late) Stat(ctx context.Context, name string) (netfs.Info, error) {
	i, err := f.FS.Stat(ctx, name)
	if name != f.new {
		return i, err
	}
	f.new = ""
	return i, errors.Join(err, f.FS.Rename(ctx, f.old, name))
}

// A RENAME that comes late, after the client was told that there is no new
// name and remembers it.
func TestMoveLateRemembersAbsent(t *testing.T) {
	for _, share := range simfs.Shares() {
		t.Run(share.Name, func(t *testing.T) {
			var o simfs.Options
			share.Set(&o)
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				h, other := s.Host("a"), s.Host("b")
				_ = s.Server().WriteFile("a", nil)
				f := &late{FS: split{h.Share, other.Share}}
				if err := netfs.Move(t.Context(), h, f, "a", "b"); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// split sends a rename through another client.
type split struct {
	netfs.FS
	other netfs.FS
}

func (s split) Rename(ctx context.Context, o, n string) error { return s.other.Rename(ctx, o, n) }
