package spool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// A message on its way from hold to cur is missing in listings, and is never
// taken for one that another program removed.
func TestHeldAreNoRemovals(t *testing.T) {
	seeds := uint64(100)
	if full() {
		seeds = 2000
	}
	for seed := range seeds {
		simfs.Run(t, simfs.Options{Seed: seed, Faults: simfs.Faults{SplitList: 0.9}}, func(t *testing.T, s *simfs.Sim) {
			makeAlice(t, s.Host("init"), "")
			var acked atomic.Int64
			var ended atomic.Bool
			s.Go(s.Host("writer"), func(ctx context.Context, h *netfs.Host) {
				defer ended.Store(true)
				appendSlowly(ctx, t, h, &acked, rand.New(rand.NewPCG(seed, 1)))
			})
			for i := range 2 {
				s.Go(s.Host(fmt.Sprintf("h%d", i)), func(ctx context.Context, h *netfs.Host) {
					for !ended.Load() {
						m := openIn(ctx, t, h)
						for range 20 {
							if m == nil || ended.Load() {
								return
							}
							least := int(acked.Load())
							if err := m.Refresh(ctx); err != nil {
								t.Error(err)
								return
							}
							if n := len(m.Messages()); n < least {
								t.Errorf("%s: %d messages, want %d", h.Tag, n, least)
								return
							}
							_ = h.Sleep(ctx, 5*time.Millisecond)
						}
					}
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func openIn(ctx context.Context, t *testing.T, h *netfs.Host) *spool.Mailbox {
	b, err := spoolBox(ctx, h)
	if err != nil {
		t.Error(err)
		return nil
	}
	m, err := b.Open(ctx)
	if err != nil {
		t.Error(err)
	}
	return m
}

// appendSlowly appends messages and gives them flags, at such intervals that a
// scan which waits for the directories to rest is caught in the middle when
// they go to cur.
func appendSlowly(ctx context.Context, t *testing.T, h *netfs.Host, acked *atomic.Int64, rng *rand.Rand) {
	m := openIn(ctx, t, h)
	if m == nil {
		return
	}
	b, err := spoolBox(ctx, h)
	if err != nil {
		t.Error(err)
		return
	}
	for range 12 {
		in, err := b.Receive(ctx)
		if err == nil {
			err = in.Finish(0, false)
		}
		if err != nil {
			t.Error(err)
			return
		}
		uids, err := m.Append(ctx, spool.NewMessage{In: in, Flags: spool.Flags(rng.IntN(64))})
		if err != nil {
			t.Error(err)
			return
		}
		acked.Add(1)
		_ = h.Sleep(ctx, time.Duration(95+rng.IntN(30))*time.Millisecond)
		if rng.IntN(2) == 0 {
			if _, err := m.SetFlags(ctx, spool.SetOf(uids...), spool.FlagChange{Add: spool.Flags(rng.IntN(64))}); err != nil {
				t.Error(err)
			}
		}
		if err := m.Project(ctx); err != nil {
			t.Error(err)
		}
	}
}

func spoolBox(ctx context.Context, h *netfs.Host) (*spool.Box, error) {
	s, err := spool.Open(ctx, h)
	if err != nil {
		return nil, err
	}
	return s.Box(ctx, "alice", spool.Inbox)
}
