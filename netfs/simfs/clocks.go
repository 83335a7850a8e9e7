package simfs

import (
	"context"
	"maps"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Clone returns a host that is a copy of another computer, made while that
// runs: it has its name, its clocks and what its kernel and disk remember. Only its
// random bytes are its own, since kernels seed them anew in a copy (H114).
func (s *Sim) Clone(of *netfs.Host) *netfs.Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.proc(of)
	h := s.process(p.name, p.client.copy(), len(s.procs), copyMemory(of.Memory))
	q := s.proc(h)
	q.boot, q.skew = p.boot, p.skew
	return h
}

func (c *client) copy() *client {
	if c == nil {
		return nil
	}
	d := newClient(c.rules, c.server)
	maps.Copy(d.links, c.links)
	for n, known := range c.dirs {
		k := *known
		k.names = maps.Clone(known.names)
		d.dirs[n] = &k
	}
	return d
}

// wall is the host's Wall.
func (p *proc) wall() time.Time {
	p.sim.mu.Lock()
	defer p.sim.mu.Unlock()
	return time.Now().Add(p.skew)
}

// sleep is the host's Sleep. A deadline that has come counts before the end
// of the sleep, whichever timer the bubble fired first.
func (p *proc) sleep(ctx context.Context, d time.Duration) error {
	defer p.sim.asleep()()
	for before := p.wasFrozen(); ; {
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-ctx.Done():
		case <-p.ctx.Done():
		}
		t.Stop()
		if p.ctx.Err() != nil {
			return ErrDead
		}
		if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
			return context.DeadlineExceeded
		}
		now := p.wasFrozen()
		if d = now - before; d == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		before = now // timers stand still while the computer does (H95)
	}
}

func (p *proc) wasFrozen() time.Duration {
	p.sim.mu.Lock()
	defer p.sim.mu.Unlock()
	return p.frozen
}

// suspended perhaps suspends the computer of c's process, and tells whether it
// did.
func (s *Sim) suspended(c *call, now time.Duration) bool {
	if !s.spare() || !s.chance(s.faults.Suspend) {
		return false
	}
	s.faulty++
	d := s.within(s.faults.SuspendMax)
	for _, q := range s.procs {
		if q.host == c.p.host {
			q.resume = max(q.resume, now) + d
			q.frozen += d
		}
	}
	s.record(c, "computer suspended")
	return true
}

// jump perhaps lets a clock jump.
func (s *Sim) jump(c *call) {
	if !s.spare() || !s.chance(s.faults.Jump) {
		return
	}
	s.faulty++
	by := time.Duration(s.rng.Int64N(2*int64(s.faults.JumpMax)+1)) - s.faults.JumpMax
	if s.rng.IntN(2) == 0 {
		s.server.ahead += by
		s.record(c, "the server's clock jumps")
		return
	}
	for _, q := range s.procs {
		if q.host == c.p.host {
			q.skew += by
		}
	}
	s.record(c, "the clock jumps")
}
