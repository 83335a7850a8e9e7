package locking_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// holders is a model of processes that take the token lock once each, do two
// things while they believe in it, and give it back.
func holders(n int) simfs.Model {
	return simfs.Model{
		Options: simfs.Options{Faults: simfs.Faults{Crash: 1, Fail: 1, Lost: 1, Twice: 1, Late: 1, Echo: 1, SplitList: 1}},
		Setup: func(s *simfs.Sim) error {
			h := s.Host("init")
			_, release, err := locking.NewToken(locking.TokenConfig{Host: h, FS: h.Share, Dir: "lk"}).Acquire(context.Background())
			if err == nil {
				err = release(context.Background())
			}
			return err
		},
		Start: func(s *simfs.Sim) func() error {
			held := make([]context.Context, n)
			hosts := make([]*netfs.Host, n)
			for i := range n {
				hosts[i] = s.Host("h" + strconv.Itoa(i))
				s.Go(hosts[i], func(ctx context.Context, h *netfs.Host) {
					mine, release, err := locking.NewToken(locking.TokenConfig{Host: h, FS: h.Share, Dir: "lk"}).Acquire(ctx)
					if err != nil {
						return
					}
					for k, other := range held {
						if other != nil && locking.Epoch(other) == locking.Epoch(mine) {
							s.Stop(fmt.Errorf("h%d and h%d have epoch %d", i, k, locking.Epoch(mine)))
						}
						if other != nil && other.Err() == nil && !s.Crashed(hosts[k]) {
							s.Stop(fmt.Errorf("h%d and h%d believe in the lock", i, k))
						}
					}
					held[i] = mine
					for range 2 {
						_, _ = h.Share.Stat(ctx, "lk")
					}
					_ = release(ctx)
				})
			}
			return func() error {
				h := s.Host("after")
				last, release, err := locking.NewToken(locking.TokenConfig{Host: h, FS: h.Share, Dir: "lk"}).Acquire(context.Background())
				if err != nil {
					return fmt.Errorf("whatever happened, the lock can be had: %w", err)
				}
				for i, other := range held {
					if other != nil && locking.Epoch(other) >= locking.Epoch(last) {
						return fmt.Errorf("h%d had epoch %d, and then comes %d", i, locking.Epoch(other), locking.Epoch(last))
					}
				}
				return release(context.Background())
			}
		},
	}
}

// TestExplore runs processes with the token lock in every way within a bound:
// no two believe in it, no epoch is had twice, and in the end it can be had.
func TestExplore(t *testing.T) {
	for _, c := range []struct {
		processes   int
		small, full simfs.Bound
	}{
		{2, simfs.Bound{Switches: 1}, simfs.Bound{Faults: 1, Until: 3 * time.Minute}},
		{3, simfs.Bound{}, simfs.Bound{Faults: 1, Until: time.Second}},
	} {
		t.Run(strconv.Itoa(c.processes), func(t *testing.T) {
			bound := c.small
			if os.Getenv("BOBBIN_TEST_FULL") != "" {
				bound = c.full
			}
			got := simfs.Explore(t, holders(c.processes), bound)
			if got.Failure != nil {
				t.Fatalf("%v\n%s", got.Failure, got.Trace)
			}
			t.Logf("%d faults, %d switches: %s", bound.Faults, bound.Switches, got)
			if !got.Complete {
				t.Error("not all was explored")
			}
		})
	}
}
