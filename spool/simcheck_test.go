package spool_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// plantedText is the message that inspectors damage: a worker does not touch
// one whose size is not what the log says.
const plantedText = "Subject: planted\n\nthis will be cut\n"

// inspector is a process that checks a mailbox while others work. At some time
// it damages a message: from then on each check must report that, and none may
// report anything else that is wrong.
type inspector struct {
	worker
	s       *simfs.Sim
	plant   int // after so many checks
	planted bool
	checks  int
	missed  int // checks that ended with an error
}

// checksDone counts the checks that ended well, in each state of the mailbox.
type checksDone struct{ whole, damaged int }

func (w *inspector) run(ctx context.Context, done *checksDone, rest func() bool) {
	for ctx.Err() == nil && (!rest() || w.checks <= w.plant+1 && w.missed < 100) {
		_ = w.h.Sleep(ctx, time.Duration(w.rng.IntN(200))*time.Millisecond)
		if w.box == nil && !w.connect(ctx) {
			w.missed++
			continue
		}
		if w.checks >= w.plant && !w.planted {
			w.planted = w.damage()
		}
		was := w.planted
		found, err := w.box.Check(ctx)
		w.judge(ctx, err)
		if err != nil {
			w.missed++
			continue
		}
		w.checks++
		all := slices.Clone(found)
		found = slices.DeleteFunc(found, func(f spool.Finding) bool { return !f.Wrong })
		for _, f := range found {
			if !was || f.Code != "message-size" {
				w.t.Errorf("%s: check %d while others work: %s: %s", w.id, w.checks, f.Code, f)
			}
		}
		if was && len(found) == 0 && !w.expunged() {
			w.t.Errorf("%s: check %d misses the message that was cut: it says %v", w.id, w.checks, all)
		}
		if was {
			done.damaged++
		} else {
			done.whole++
		}
	}
}

// damage cuts the planted message, wherever its file is now.
func (w *inspector) damage() bool {
	if w.expunged() {
		return false
	}
	for _, dir := range []string{"users/alice/new", "users/alice/cur"} {
		names, _ := w.s.Server().List(dir)
		for _, n := range names {
			b, err := w.s.Server().ReadFile(dir + "/" + n)
			if err == nil && string(b) == plantedText {
				return w.s.Server().Corrupt(dir+"/"+n, func(b []byte) []byte { return b[:20] }) == nil
			}
		}
	}
	return false
}

// expunged tells whether a worker read the planted message before it was cut,
// and may have expunged it.
func (w *inspector) expunged() bool {
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	return w.hist.expunged[plantedText]
}

func simulateChecks(t *testing.T, c simfs.Case, done *checksDone) (ops int) {
	o := c.Options()
	if c.Seed%5 == 0 {
		o = shortRecords(o)
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		s.SetFaults(simfs.Faults{})
		init := s.Host("init")
		makeAlice(t, init, slotsOf(o, c.Seed))
		b, err := spoolBox(t.Context(), init)
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, b, plantedText)
		open(t, b).Close(t.Context())
		s.SetFaults(c.Faults)
		hist := newHistory()
		hist.tuning = commitlog.Tuning{Slots: 3 + int(c.Seed%7), KeepFor: 2*150*time.Millisecond + o.Tick, Inline: 100 << (c.Seed % 5)}
		end := newSettling(c.Hosts)
		var procs []*netfs.Host
		for i := range c.Hosts + 1 {
			h, id := newProcess(s, nil, procs, i+1)
			procs = append(procs, h)
			w := worker{t: t, hist: hist, h: h, id: id, text: map[string]string{}, rng: rand.New(rand.NewPCG(c.Seed, uint64(i)))}
			if i < c.Hosts {
				s.Go(h, func(ctx context.Context, _ *netfs.Host) {
					w.run(ctx, c.Steps)
					end.done()
				})
				continue
			}
			in := &inspector{worker: w, s: s, plant: 2 + w.rng.IntN(6)}
			s.Go(h, func(ctx context.Context, _ *netfs.Host) { in.run(ctx, done, end.resting) })
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		for _, h := range procs {
			ops += s.OpsOf(h)
		}
	})
	return ops
}

// TestSimulatedChecks runs checks beside processes that deliver, flag, expunge
// and rotate: they give no false alarm, and miss nothing.
func TestSimulatedChecks(t *testing.T) {
	var done checksDone
	simfs.Plan{
		Ops: 60_000, Full: 600_000,
		Run: func(t *testing.T, c simfs.Case) int { return simulateChecks(t, c, &done) },
		Case: func(seed uint64) simfs.Case {
			c := simfs.Case{Seed: seed, Share: simfs.ShareFor(seed), Hosts: 2 + int(seed%2), Steps: 40, Rounds: 1, Faults: allFaults}
			c.Faults.PowerLoss, c.Faults.Crash = 0, c.Faults.Crash/4 // or nobody is left
			if seed%3 == 0 {
				c.Faults = simfs.Faults{Pause: 0.05, SplitList: 0.5}
			}
			return c
		},
	}.Test(t)
	t.Logf("%d checks of a whole mailbox, %d of a damaged one", done.whole, done.damaged)
	if !t.Failed() && min(done.whole, done.damaged) == 0 {
		t.Error("the runs prove nothing")
	}
}
