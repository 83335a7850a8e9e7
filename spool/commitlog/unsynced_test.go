package commitlog_test

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// unsyncedFS is a share on which syncs of directories fail.
type unsyncedFS struct{ netfs.FS }

func (unsyncedFS) SyncDir(context.Context, string) error { return syscall.EIO }

// A power failure takes away a slot that its writer could not sync. Nobody was
// shown it who could not sync it either: no other host, and not its writer, who
// finds it in the way of his next record.
func TestUnsyncedSlot(t *testing.T) {
	for _, share := range simfs.Shares() {
		if !share.Profile.DirSync || share.Able.DirSync != 0 {
			continue
		}
		for _, works := range []bool{false, true} {
			lost := 0
			for seed := range uint64(20) {
				if unsyncedSlot(t, simfs.Case{Seed: seed, Share: share.Name}, works) == 0 {
					lost++
				}
			}
			if (lost == 0) != works {
				t.Errorf("%s: the reader's sync works: %v; the slot was lost in %d runs of 20", share.Name, works, lost)
			}
		}
	}
}

// unsyncedSlot lets a host put a slot that it cannot sync, another one, whose
// syncs may work, look for it, and then the power fail. It returns how many
// records are left.
func unsyncedSlot(t *testing.T, c simfs.Case, works bool) (left int) {
	simfs.Run(t, c.Options(), func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		s.SetFaults(simfs.Faults{Forget: 1e-9}) // the past is kept from here on
		view := func(name string, works bool) (*commitlog.Log, *ids) {
			h := s.Host(name)
			if !works {
				h.Share = unsyncedFS{h.Share}
			}
			return idsLog(h, commitlog.Tuning{})
		}
		writer, written := view("writer", false)
		for _, id := range []string{"id:one", "id:two"} { // the second finds the first
			if err := writer.Commit(t.Context(), func() ([]string, error) { return []string{id}, nil }); err == nil {
				t.Errorf("%s is acknowledged and not synced", id)
			}
		}
		reader, seen := view("reader", works)
		if _, err := reader.Refresh(t.Context()); (err == nil) != works {
			t.Errorf("refresh: %v", err)
		}
		s.Go(s.Host("last"), func(ctx context.Context, h *netfs.Host) {
			s.SetFaultsKeepingPast(simfs.Faults{PowerLoss: 1})
			if _, err := h.Share.Stat(ctx, "."); !errors.Is(err, simfs.ErrDead) {
				t.Errorf("after the power failed: %v", err)
			}
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		s.SetFaults(simfs.Faults{})
		after, there := view("after", true)
		if _, err := after.Refresh(t.Context()); err != nil {
			t.Error(err)
		}
		for who, list := range map[string][]string{"reader": seen.list, "writer": written.list} {
			if len(list) > len(there.list) || !slices.Equal(list, there.list[:len(list)]) {
				t.Errorf("the %s was shown %q, and there is %q", who, list, there.list)
			}
		}
		left = len(there.list)
	})
	return left
}
