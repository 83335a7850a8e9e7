package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// on makes a simulation of a kind of share with faults.
func on(share string, seed uint64, f simfs.Faults) simfs.Options {
	return simfs.Case{Seed: seed, Share: share, Faults: f}.Options()
}

// A listing misses a name where listings are weak, and repeats one anywhere
// (H48, H55).
func TestSpoiltLists(t *testing.T) {
	files := []string{"a", "b", "c", "d"}
	for _, c := range []struct {
		share string
		f     simfs.Faults
		want  int // names in a listing
	}{
		{"fuse", simfs.Faults{MissList: 1}, 3},
		{"nfs4", simfs.Faults{MissList: 1}, 4},
		{"fuse", simfs.Faults{TwiceList: 1}, 5},
		{"nfs4", simfs.Faults{TwiceList: 1}, 5},
	} {
		simfs.Run(t, on(c.share, 1, c.f), func(t *testing.T, s *simfs.Sim) {
			for _, f := range files {
				_ = s.Server().WriteFile(f, nil)
			}
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				seen := map[string]bool{}
				for range 30 {
					names, err := h.Share.ReadDir(ctx, ".")
					if err != nil || len(names) != c.want || !slices.IsSorted(names) {
						t.Errorf("%s %+v: %q, %v", c.share, c.f, names, err)
					}
					seen[fmt.Sprint(names)] = true
				}
				if (c.want != len(files)) != (len(seen) > 1) {
					t.Errorf("%s %+v: %d different listings", c.share, c.f, len(seen))
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// Where listings are weak a client gives one again that is old, but not by
// more than a minute.
func TestOldList(t *testing.T) {
	for share, want := range map[string]int{"fuse": 0, "nfs4": 1} {
		simfs.Run(t, on(share, 1, simfs.Faults{OldList: 1}), func(t *testing.T, s *simfs.Sim) {
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				look := func(want int) {
					if names, err := h.Share.ReadDir(ctx, "."); err != nil || len(names) != want {
						t.Errorf("%s: %q, %v, want %d", share, names, err, want)
					}
				}
				look(0)
				_ = s.Server().WriteFile("new", nil)
				_ = h.Sleep(ctx, 50*time.Second)
				look(want)
				_ = h.Sleep(ctx, 11*time.Second)
				look(1)
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// What was done is reported as failed with every error that leaves it open,
// and EACCES (H108); a client that knows general errors only tells those (H17).
func TestLostErrors(t *testing.T) {
	for share, want := range map[string][]error{
		"nfs4": {syscall.EIO, syscall.ETIMEDOUT, syscall.EINTR, syscall.ESTALE, syscall.EACCES},
		"fuse": {syscall.EIO, syscall.EPERM},
	} {
		for _, done := range []bool{true, false} {
			f := simfs.Faults{Fail: 1}
			if done {
				f = simfs.Faults{Lost: 1}
			}
			seen := map[error]bool{}
			for seed := range uint64(60) {
				simfs.Run(t, on(share, seed, f), func(t *testing.T, s *simfs.Sim) {
					s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
						err := h.Share.Mkdir(ctx, "d", 0o700)
						errno, _ := errors.AsType[syscall.Errno](err)
						seen[errno] = true
					})
					if err := s.Run(); err != nil {
						t.Fatal(err)
					}
					if names, _ := s.Server().List("."); (len(names) == 1) != done {
						t.Errorf("the tree has %q", names)
					}
				})
			}
			for _, e := range want {
				if !seen[e] {
					t.Errorf("%s, done %t: never %v", share, done, e)
				}
			}
			if len(seen) != len(want) {
				t.Errorf("%s, done %t: errors %v", share, done, seen)
			}
		}
	}
}
