package locking_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// register is what the processes of one run were told: who believed when.
type register struct {
	t       *testing.T
	s       *simfs.Sim
	strict  bool // no process stands still as a whole, so there is one believer at a time
	mu      sync.Mutex
	epochs  map[uint64]string
	current *believer // who entered last
	lost    int
}

type believer struct {
	id    string
	h     *netfs.Host
	epoch uint64
	held  context.Context
}

// enter is called right after a lock was acquired.
func (r *register) enter(b *believer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if was, ok := r.epochs[b.epoch]; ok || b.epoch == 0 {
		r.t.Errorf("%s has epoch %d, which %q had", b.id, b.epoch, was)
	}
	r.epochs[b.epoch] = b.id
	if c := r.current; c != nil && r.strict {
		if c.held.Err() == nil && !r.s.Crashed(c.h) {
			r.t.Errorf("%s has epoch %d while %s believes in %d", b.id, b.epoch, c.id, c.epoch)
		}
		if c.epoch >= b.epoch {
			r.t.Errorf("%s has epoch %d after %d", b.id, b.epoch, c.epoch)
		}
	}
	r.current = b
}

// leave is called with whether b was the last to enter when it began to give
// the lock back, and with the outcome.
func (r *register) leave(b *believer, last bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil && !last {
		r.t.Errorf("%s gave epoch %d back and was not told that it was stolen", b.id, b.epoch)
	}
	if errors.Is(err, locking.ErrLost) {
		r.lost++
	}
}

func (r *register) isLast(b *believer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current == b
}

// contender is one process: it takes the lock again and again.
type contender struct {
	r   *register
	rng *rand.Rand
	h   *netfs.Host // the simulation's
	cfg locking.TokenConfig
}

func (c *contender) run(ctx context.Context, rounds int) {
	tok := locking.NewToken(c.cfg)
	for range rounds {
		if ctx.Err() != nil {
			return
		}
		patient, cancel := context.WithTimeout(ctx, 4*time.Minute)
		held, release, err := tok.Acquire(patient)
		cancel()
		if err != nil {
			c.judge(err)
			continue
		}
		b := &believer{c.h.Tag, c.h, locking.Epoch(held), held}
		c.r.enter(b)
		for n := c.rng.IntN(40); n > 0 && held.Err() == nil; n-- {
			if c.cfg.Host.Sleep(ctx, time.Duration(c.rng.Int64N(int64(time.Second)))) != nil {
				return
			}
		}
		if err := held.Err(); err != nil && !errors.Is(context.Cause(held), locking.ErrLost) && ctx.Err() == nil {
			c.r.t.Errorf("%s: held ended with %v", b.id, context.Cause(held))
		}
		if c.rng.IntN(15) == 0 {
			return // like a crash at rest
		}
		last := c.r.isLast(b)
		err = release(ctx)
		c.r.leave(b, last, err)
		if held.Err() == nil {
			c.r.t.Errorf("%s: held goes on after release", b.id)
		}
		_ = c.cfg.Host.Sleep(ctx, time.Duration(c.rng.Int64N(int64(3*time.Second))))
	}
}

// judge accepts the errors that faults explain, and no other.
func (c *contender) judge(err error) {
	if errors.Is(err, fs.ErrInvalid) || errors.Is(err, netfs.ErrIrregular) || errors.Is(err, fs.ErrExist) {
		c.r.t.Errorf("%s: %v", c.h.Tag, err)
	}
}

// freezer stops a whole process at given times, like SIGSTOP: wherever it
// looks at the clock, wakes up or talks to the share. stopClock is what a
// hypervisor does: the process's clock stands still meanwhile.
type freezer struct {
	netfs.FS
	h         *netfs.Host
	at        []frost
	stopClock bool
}

// frost is a time at which a process stands still, from the start of the run.
type frost struct{ from, to time.Duration }

// host returns the host of a process that f governs.
func (f *freezer) host(h *netfs.Host) *netfs.Host {
	c := *h
	f.h, f.FS = h, h.Share
	c.Share = f
	start := h.Boot()
	for i := range f.at {
		f.at[i].from += start
		f.at[i].to += start
	}
	c.Boot = func() time.Duration {
		f.step()
		now := h.Boot()
		clock := now
		for _, w := range f.at {
			if f.stopClock && now > w.from {
				clock -= min(now, w.to) - w.from
			}
		}
		return clock
	}
	c.Sleep = func(ctx context.Context, d time.Duration) error {
		err := h.Sleep(ctx, d)
		f.step()
		return err
	}
	return &c
}

func (f *freezer) step() {
	for _, w := range f.at {
		if now := f.h.Boot(); now >= w.from && now < w.to {
			time.Sleep(w.to - now)
		}
	}
}

// frosts is a random choice of times, in their order.
func frosts(rng *rand.Rand) (at []frost) {
	for now := time.Duration(0); now < 10*time.Minute; {
		from := now + time.Duration(rng.Int64N(int64(100*time.Second)))
		now = from + time.Duration(rng.Int64N(int64(100*time.Second)))
		at = append(at, frost{from, now})
	}
	return at
}

func (f *freezer) Stat(ctx context.Context, name string) (netfs.Info, error) {
	f.step()
	defer f.step()
	return f.FS.Stat(ctx, name)
}

func (f *freezer) ReadDir(ctx context.Context, name string) ([]string, error) {
	f.step()
	defer f.step()
	return f.FS.ReadDir(ctx, name)
}

func (f *freezer) Symlink(ctx context.Context, o, n string) error {
	f.step()
	defer f.step()
	return f.FS.Symlink(ctx, o, n)
}

func (f *freezer) Rename(ctx context.Context, o, n string) error {
	f.step()
	defer f.step()
	return f.FS.Rename(ctx, o, n)
}

var tokenFaults = simfs.Faults{
	Crash: 0.001, Pause: 0.01, Fail: 0.01, Lost: 0.02, Twice: 0.02, Late: 0.01, Echo: 0.02,
	Full: 0.002, SplitList: 0.3,
	Resent: 0.02, MissList: 0.1, OldList: 0.1, TwiceList: 0.1, Suspend: 0.0005, Jump: 0.001,
}

// outcome is what a run came to.
type outcome struct {
	ops, lost int
	digest    uint64
}

// contend runs processes that contend for a lock.
func contend(t *testing.T, c simfs.Case) (out outcome) {
	seed := c.Seed
	rng := rand.New(rand.NewPCG(seed, 1))
	o := c.Options()
	freeze := seed%4 == 3
	way := netfs.Way(seed / 2 % 3)
	if share, ok := simfs.ShareNamed(c.Share); ok && (way == netfs.ViaSymlink && o.Able.NoSymlinks != 0 || way == netfs.ViaLink && o.Able.NoLinks != 0) {
		way = share.Way()
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		r := &register{t: t, s: s, strict: !freeze && c.Faults.Suspend == 0, epochs: map[uint64]string{}}
		config := func(h *netfs.Host) locking.TokenConfig {
			return locking.TokenConfig{Host: h, FS: h.Share, Dir: "lk", Way: way}
		}
		var procs []*netfs.Host
		for i := range c.Hosts {
			h := s.Host("h" + strconv.Itoa(i))
			procs = append(procs, h)
			who := &contender{r: r, rng: rand.New(rand.NewPCG(seed, uint64(i+2))), h: h, cfg: config(h)}
			if freeze {
				f := &freezer{at: frosts(rng)}
				who.cfg = config(f.host(h))
			}
			s.Go(h, func(ctx context.Context, _ *netfs.Host) { who.run(ctx, c.Steps) })
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		for _, h := range procs {
			out.ops += s.OpsOf(h)
		}
		s.SetFaults(simfs.Faults{})
		h := s.Host("last")
		s.Go(h, func(ctx context.Context, h *netfs.Host) {
			r.strict = true
			start := h.Boot()
			held, release, err := locking.NewToken(config(h)).Acquire(ctx)
			if err != nil {
				t.Errorf("whatever happened, the lock can be had: %v", err)
				return
			}
			if d := h.Boot() - start; d > time.Minute {
				t.Errorf("waited %v for dead holders", d)
			}
			r.enter(&believer{h.Tag, h, locking.Epoch(held), held})
			if err := release(ctx); err != nil {
				t.Error(err)
			}
			if names, _ := h.Share.ReadDir(ctx, "lk"); len(names) > 30 {
				t.Errorf("left: %q", names)
			}
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		out.lost, out.digest = r.lost, s.Digest()
	})
	return out
}

// TestTokenSimulation runs contending processes on faulty shares of every kind.
func TestTokenSimulation(t *testing.T) {
	lost, again := 0, 0
	plan := simfs.Plan{Ops: 40_000, Full: 1_000_000, Case: func(seed uint64) simfs.Case {
		long := []time.Duration{0, 20 * time.Second, 100 * time.Second}[seed%3]
		c := simfs.Case{Seed: seed, Share: simfs.ShareFor(seed), Hosts: 3 + int(seed%3), Steps: 8, Rounds: 1, Faults: tokenFaults}
		if seed%5 == 0 { // nothing but races
			c.Faults = simfs.Faults{Pause: 0.05, SplitList: 0.3}
		}
		if seed%4 != 3 { // a holder that stands still cannot know that it lost the lock
			c.Faults.Suspend = 0
		}
		c.Faults.PauseMax, c.Faults.LateMax = long, long
		return c
	}}
	plan.Run = func(t *testing.T, c simfs.Case) int {
		out := contend(t, c)
		lost += out.lost
		if again++; again <= 20 && contend(t, c) != out {
			t.Error("the run cannot be repeated")
		}
		return out.ops
	}
	plan.Test(t)
	if t.Logf("%d locks were stolen from a holder that was told so", lost); lost == 0 && again > 20 {
		t.Error("no lock was stolen: the test tests little")
	}
}
