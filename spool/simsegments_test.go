package spool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Hosts that stand still for whole generations write segments while others
// sweep: what the log names is there in the end, and what it does not name any
// more goes.
func TestSegmentsRace(t *testing.T) {
	seeds := []uint64{360} // a host that stood still swept what others had named meanwhile
	most := uint64(25)
	if full() {
		most = 400
	}
	for seed := range most {
		seeds = append(seeds, seed)
	}
	for _, seed := range seeds {
		o := simfs.Options{
			Seed: seed, TraceLen: 2000,
			Faults: simfs.Faults{Pause: 0.02, PauseMax: 4 * time.Second, Fail: 0.002, Lost: 0.002},
		}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) { segmentsRace(t, s, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// raceBox opens alice's INBOX with short generations.
func raceBox(ctx context.Context, h *netfs.Host) (*spool.Box, error) {
	s, err := spool.Open(ctx, h)
	if err != nil {
		return nil, err
	}
	s.Tuning = commitlog.Tuning{Slots: 5, KeepFor: 300 * time.Millisecond, Inline: 500}
	return s.Box(ctx, "alice", spool.Inbox)
}

func segmentsRace(t *testing.T, s *simfs.Sim, seed uint64) {
	makeAlice(t, s.Host("init"), "")
	for i := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		s.Go(s.Host(fmt.Sprintf("host%d", i)), func(ctx context.Context, h *netfs.Host) {
			var m *spool.Mailbox
			b, err := raceBox(ctx, h)
			for tries := 0; err != nil && tries < 5; tries++ {
				b, err = raceBox(ctx, h)
			}
			for range 60 {
				if err != nil || b == nil {
					return
				}
				if m == nil {
					m, _ = b.Open(ctx)
					continue
				}
				segmentStep(ctx, t, rng, b, m)
			}
		})
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	s.SetFaults(simfs.Faults{})
	auditSegments(t, s.Host("audit"))
	if t.Failed() {
		t.Log(s.Trace())
	}
}

// segmentStep does one thing. What faults make fail is tried again later.
func segmentStep(ctx context.Context, t *testing.T, rng *rand.Rand, b *spool.Box, m *spool.Mailbox) {
	switch rng.IntN(5) {
	case 0:
		_, _ = put(ctx, b, subjectText(rng.IntN(1000)))
	case 1:
		_ = m.Refresh(ctx)
	case 2:
		if msgs := m.Messages(); len(msgs) > 0 {
			uid := msgs[rng.IntN(len(msgs))].UID
			if rng.IntN(4) == 0 {
				_, _ = m.Expunge(ctx, spool.SetOf(uid))
			} else {
				_, _ = m.SetFlags(ctx, spool.SetOf(uid), spool.FlagChange{AddKeywords: []string{fmt.Sprintf("k%d", rng.IntN(9))}})
			}
		}
	default:
		for s, err := range m.Summaries(ctx, spool.AllUIDs(), spool.Columns) {
			if err == nil && !strings.HasPrefix(s.Subject, "number ") {
				t.Errorf("UID %d has the subject %q", s.UID, s.Subject)
			}
		}
		m.KeepAll(ctx)
		if rng.IntN(3) == 0 {
			noSegmentLost(ctx, t, b)
		}
	}
}

// noSegmentLost looks for segments that are gone and that the log, read
// afterwards, still names.
func noSegmentLost(ctx context.Context, t *testing.T, b *spool.Box) {
	lost := func() map[string]bool {
		names := map[string]bool{}
		found, _ := b.Check(ctx)
		for _, f := range found {
			if strings.Contains(f.Text, "summaries of") {
				names[f.Where] = true
			}
		}
		return names
	}
	if first := lost(); len(first) > 0 {
		for name := range lost() {
			if first[name] {
				t.Errorf("%s is gone and named", name)
			}
		}
	}
}

func auditSegments(t *testing.T, h *netfs.Host) {
	b, err := raceBox(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	found, err := b.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Wrong || strings.Contains(f.Text, "summaries of") {
			t.Errorf("check: %s", f)
		}
	}
	m, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	checkSummaries(t, m, spool.Structure, len(m.Messages()))
	m.KeepAll(t.Context())
	if len(m.Messages()) == 0 {
		return
	}
	// Two generations and the time that slots are kept, later.
	for i := range 40 {
		_, err := m.SetFlags(t.Context(), spool.UIDSet{{First: 1, Last: 1 << 31}}, spool.FlagChange{AddKeywords: []string{fmt.Sprintf("x%d", i)}})
		if err = errors.Join(err, h.Sleep(t.Context(), 100*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	names, err := h.Share.ReadDir(t.Context(), "users/alice/bobbin/s")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) > 30 {
		t.Errorf("%d files are left: %q", len(names), names)
	}
	checkSummaries(t, m, spool.Columns, len(m.Messages()))
}
