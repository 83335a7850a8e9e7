package commitlog_test

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// A change that is superfluous by what a view knows may be called for by what
// it does not know yet.
func TestNothingToDo(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	a, c := f.log()
	f.commit(t, a, 1)
	other, _ := f.log()
	f.commit(t, other, 1)
	err := a.Commit(t.Context(), func() ([]string, error) {
		if c.sum == 1 {
			return nil, nil
		}
		return []string{"add:-1"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh, sum := f.log()
	if _, err := fresh.Refresh(t.Context()); err != nil || sum.sum != 1 {
		t.Errorf("the sum is %d after it was made 1, %v", sum.sum, err)
	}
}

// A view that could not read to the end puts nothing where a slot was lost.
func TestNothingGoesIntoAGap(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	f.commit(t, l, 3)
	if err := os.Remove(f.slot(2)); err != nil {
		t.Fatal(err)
	}
	other, _ := f.log()
	for range 2 {
		if _, err := other.Refresh(t.Context()); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("refresh: %v, want ErrCorrupt", err)
		}
		if err := other.Commit(t.Context(), add(1)); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("commit: %v, want ErrCorrupt", err)
		}
	}
	if _, err := os.Lstat(f.slot(2)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the gap was filled: %v", err)
	}
}

// farFS is a share to which links have a long way.
type farFS struct {
	netfs.FS
	h *netfs.Host
}

func (f farFS) Symlink(ctx context.Context, target, name string) error {
	if err := f.h.Sleep(ctx, 3*time.Millisecond); err != nil {
		return err
	}
	return f.FS.Symlink(ctx, target, name)
}

// A host with a long way to the server gets its turn beside one that commits
// without a pause.
func TestFairness(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 1}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		done := false
		near, far := s.Host("near"), s.Host("far")
		far.Share = farFS{far.Share, far}
		s.Go(near, func(ctx context.Context, h *netfs.Host) {
			l, _ := idsLog(h, commitlog.Tuning{})
			for n := 0; !done; n++ {
				if n == 1000 {
					t.Error("the far host did not get its turn in 1,000 commits of the near one")
					return
				}
				if err := l.Commit(ctx, func() ([]string, error) { return []string{"id:near"}, nil }); err != nil {
					t.Error(err)
					return
				}
			}
		})
		s.Go(far, func(ctx context.Context, h *netfs.Host) {
			defer func() { done = true }()
			l, _ := idsLog(h, commitlog.Tuning{})
			for range 10 {
				if err := l.Commit(ctx, func() ([]string, error) { return []string{"id:far"}, nil }); err != nil {
					t.Error(err)
				}
			}
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
	})
}
