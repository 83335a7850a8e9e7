package simfs

import (
	"fmt"
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

const (
	minCost = 50 * time.Microsecond
	maxCost = time.Millisecond
	// stuckAfter is how much fake time may pass without an operation.
	stuckAfter = 30 * 24 * time.Hour
)

// lateCall is a request that the server carries out when nobody waits for it.
type lateCall struct {
	call
	due time.Duration
}

// Run schedules until all processes have ended and no late operation is
// outstanding. It may be called again after further calls of [Sim.Go]. The
// error wraps [ErrStuck]; then all processes were killed.
func (s *Sim) Run() error {
	s.mu.Lock()
	s.running = true
	s.mu.Unlock()
	var err error
	for more := true; more && err == nil; {
		more, err = s.turn()
	}
	s.mu.Lock()
	s.running = false
	s.mu.Unlock()
	if err != nil {
		s.kill()
	}
	return err
}

// turn lets one operation happen, or waits until one can.
func (s *Sim) turn() (more bool, err error) {
	if s.walk != nil {
		return s.chosenTurn()
	}
	time.Sleep(minCost + time.Duration(s.rng.Int64N(int64(maxCost-minCost))))
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reap()
	now := s.now()
	n, next := s.ready(now)
	switch {
	case n > 0:
		s.pick(now, s.rng.IntN(n))
	case s.live == 0 && len(s.parked) == 0 && len(s.late) == 0:
		return false, nil
	default:
		return true, s.idle(next - now)
	}
	if s.steps > s.opt.MaxOps {
		return false, s.stuck("too many operations")
	}
	return true, nil
}

// idle lets fake time pass until a call arrives or, if wait is positive, until
// something that is delayed falls due. It is called with the lock held.
func (s *Sim) idle(wait time.Duration) error {
	select {
	case <-s.arrived:
	default:
	}
	s.mu.Unlock()
	defer s.mu.Lock()
	limit := wait
	if limit <= 0 {
		limit = stuckAfter
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-s.arrived:
	case <-t.C:
		if wait <= 0 {
			return s.stuck("no operation in " + stuckAfter.String())
		}
	}
	return nil
}

func (s *Sim) stuck(why string) error {
	var b strings.Builder
	for _, p := range s.procs {
		if p.live > 0 {
			fmt.Fprintf(&b, " %s#%d", p.name, p.num)
		}
	}
	return fmt.Errorf("%s; processes that go on:%s: %w", why, b.String(), ErrStuck)
}

// ready counts what can happen now, and tells when else the next thing could.
func (s *Sim) ready(now time.Duration) (n int, next time.Duration) {
	wait := func(due time.Duration) {
		if due <= now {
			n++
		} else if next == 0 || due < next {
			next = due
		}
	}
	for _, c := range s.parked {
		wait(max(c.p.resume, c.due))
	}
	for i := range s.late {
		wait(s.late[i].due)
	}
	return n, next
}

// pick lets the i-th thing happen that can.
func (s *Sim) pick(now time.Duration, i int) {
	if len(s.parked) > 1 {
		slices.SortFunc(s.parked, (*call).compare)
	}
	for _, c := range s.parked {
		if max(c.p.resume, c.due) > now {
			continue
		}
		if i--; i < 0 {
			s.serve(c, now)
			return
		}
	}
	for k := range s.late {
		if s.late[k].due > now {
			continue
		}
		if i--; i < 0 {
			c := s.late[k].call
			s.late = slices.Delete(s.late, k, k+1)
			s.steps++
			c.deliver()
			s.record(&c, "arrives late")
			return
		}
	}
}

// release ends a call.
func (s *Sim) release(c *call) {
	if i := slices.Index(s.parked, c); i >= 0 {
		s.parked = slices.Delete(s.parked, i, i+1)
	}
	c.wake <- struct{}{}
}

// reap ends the processes whose functions have all returned.
func (s *Sim) reap() {
	if s.left == 0 {
		return
	}
	s.left = 0
	for _, p := range s.procs {
		if p.lanes > 0 && p.live == 0 && !p.dead {
			s.end(p)
		}
	}
}

// end makes a process dead: its pages are lost, its calls return.
func (s *Sim) end(p *proc) {
	for _, f := range p.files {
		s.writeBack(f)
		f.lose()
	}
	files := p.files
	p.files = nil
	for _, f := range files {
		f.closedLast(p.crashed)
	}
	p.dead = true
	p.cancel(ErrDead)
	for _, c := range slices.Clone(s.parked) {
		if c.p == p {
			c.res = result{err: ErrDead}
			s.release(c)
		}
	}
}

// kill ends all processes.
func (s *Sim) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.procs {
		if !p.dead {
			s.end(p)
		}
	}
}
