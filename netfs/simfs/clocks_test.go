package simfs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// A suspended computer stops as a whole, for hours by its boot clock, and its
// sleepers do not sleep meanwhile; other computers go on.
func TestSuspend(t *testing.T) {
	const max = 8 * time.Hour
	stopped, slept := 0, 0
	for seed := range uint64(40) {
		o := simfs.Options{Seed: seed, Faults: simfs.Faults{Suspend: 0.3, SuspendMax: max}, MaxFaults: 1}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			a, b := s.Host("a"), s.Host("b")
			start := a.Boot()
			var reader, twin, other, sleeper time.Duration
			look := func(h *netfs.Host, took *time.Duration) {
				s.Go(h, func(ctx context.Context, h *netfs.Host) {
					for range 5 {
						_, _ = h.Share.Stat(ctx, ".")
					}
					*took = a.Boot() - start
				})
			}
			look(a, &reader)
			look(s.Process(a, "a2"), &twin)
			look(b, &other)
			s.Go(a, func(ctx context.Context, h *netfs.Host) {
				_ = h.Sleep(ctx, time.Second)
				sleeper = h.Boot() - start
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			if long := time.Minute; reader > long && twin > long && other < long {
				stopped++
				if sleeper > reader {
					slept++
				}
			}
		})
	}
	if stopped < 5 || slept != stopped {
		t.Errorf("the computer was suspended %d times, with a sleeper that went on sleeping %d times", stopped, slept)
	}
}

// Wall clocks and the server's stamps jump, one at a time; Boot does not.
func TestJump(t *testing.T) {
	const max = 24 * time.Hour
	walls, stamps := 0, 0
	for seed := range uint64(20) {
		o := simfs.Options{Seed: seed, Faults: simfs.Faults{Jump: 1, JumpMax: max}, MaxFaults: 1}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				wall, boot := h.Wall(), h.Boot()
				before, _ := h.Share.Stat(ctx, ".") // the root was made before the jump
				_ = h.Share.Mkdir(ctx, "d", 0o700)
				after, err := h.Share.Stat(ctx, ".")
				if err != nil {
					t.Error(err)
				}
				took := h.Boot() - boot
				if d := (h.Wall().Sub(wall) - took).Abs(); d > time.Second && d <= max {
					walls++
				}
				if d := after.Mtime.Sub(before.Mtime).Abs(); d > time.Second && d <= max+time.Second {
					stamps++
				}
				if took > time.Second {
					t.Errorf("the boot clock went on by %v", took)
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if walls < 5 || stamps < 5 {
		t.Errorf("%d wall clocks and %d servers' clocks jumped", walls, stamps)
	}
}

// A cloned host has all of its original but the random bytes.
func TestClone(t *testing.T) {
	var o simfs.Options
	share, _ := simfs.ShareNamed("nfs4")
	share.Set(&o)
	o.WallSkew = time.Hour
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		a, b := s.Host("a"), s.Host("b")
		if _, err := a.Share.Readlink(t.Context(), "l"); err == nil {
			t.Fatal("a link that nobody made")
		}
		if err := b.Share.Symlink(t.Context(), "x", "l"); err != nil {
			t.Fatal(err)
		}
		c := s.Clone(a)
		if c.Tag != a.Tag || !c.Wall().Equal(a.Wall()) || c.Boot() != a.Boot() {
			t.Error("the clone is another host")
		}
		if _, err := c.Share.Readlink(t.Context(), "l"); err == nil {
			t.Error("the clone does not remember what its original did not find")
		}
		mine, err := a.Token()
		his, err2 := c.Token()
		if err = errors.Join(err, err2); err != nil || mine == his {
			t.Errorf("tokens %s and %s, %v", mine, his, err)
		}
	})
}

// A reply from the reply cache is the true one, and late: what others did
// meanwhile is not undone. Only the goroutine that asked waits.
func TestResent(t *testing.T) {
	late := 0
	for seed := range uint64(20) {
		o := simfs.Options{Seed: seed, Faults: simfs.Faults{Resent: 1, LateMax: 10 * time.Second}, MaxFaults: 1}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			h := s.Host("a")
			start, lane := h.Boot(), time.Duration(0)
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				if err := h.Share.Symlink(ctx, "x", "l"); err != nil {
					t.Errorf("the reply came: %v", err)
				}
				if took := h.Boot() - start; took > 500*time.Millisecond && lane < 100*time.Millisecond {
					late++
				}
			})
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				_, _ = h.Share.Stat(ctx, ".")
				lane = h.Boot() - start
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if late < 3 {
		t.Errorf("%d replies were late", late)
	}
}
