package simfs

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing/synctest"
)

// walk is the run of an exploration that is under way.
type walk struct {
	*search
	spent
	depth int   // choices made
	last  *proc // whose call came last

	stopped error // what a process found wrong
}

func (s *Sim) setWalk(w *walk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.walk = w
}

// Stop ends a run that is explored: a process saw what must not be, and
// whoever comes to the same state by another way would see it too. Only the
// first error of a run counts.
func (s *Sim) Stop(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.walk != nil && s.walk.stopped == nil {
		s.walk.stopped = err
	}
}

// choice is one thing that can happen next.
type choice struct {
	c     *call // nil if time passes or a late request arrives
	fate  fate
	split bool // a listing that is read in two parts
	late  int  // of Sim.late, from 1
	cost  spent
}

// asleep counts a sleeper until the function that it returns is called.
func (s *Sim) asleep() func() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sleepers++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sleepers--
		if s.walk != nil {
			s.notify()
		}
	}
}

// passTime lets time pass until a sleeper that woke up asks for something, or
// none is left.
func (s *Sim) passTime() error {
	for n, left := len(s.parked), s.left; s.sleepers > 0 && len(s.parked) == n && s.left == left; {
		if err := s.idle(0); err != nil {
			return err
		}
		s.mu.Unlock()
		synctest.Wait()
		s.mu.Lock()
	}
	return nil
}

// chosenTurn is turn for a run whose schedule is explored.
func (s *Sim) chosenTurn() (more bool, err error) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reap()
	if s.walk.stopped != nil {
		return false, s.walk.stopped
	}
	if len(s.parked)+len(s.late)+s.sleepers == 0 {
		if s.live == 0 {
			return false, nil
		}
		return true, s.idle(0)
	}
	w := s.walk
	list := s.choices()
	if s.now() >= w.b.Until {
		list = list[:1]
	}
	k := 0
	if len(list) > 1 {
		if w.depth < len(w.path) {
			k = w.path[w.depth].taken
			if w.path[w.depth].of != len(list) {
				panic("simfs: a run cannot be repeated: the code of a process is not deterministic")
			}
		} else {
			if w.known(s.stateHash()) {
				return false, errSeen
			}
			w.path = append(w.path, branch{0, len(list)})
		}
		w.depth++
	}
	if s.steps > w.b.Steps {
		return false, s.stuck("too many operations")
	}
	return true, s.take(list[k])
}

// known tells whether a state was seen with as much left to spend, and notes it.
func (w *walk) known(state uint64) bool {
	now := w.spent
	if w.b.Switches < 0 {
		now.switches = 0
	}
	was := w.seen[state]
	if slices.ContainsFunc(was, func(old spent) bool { return old.within(now) }) {
		return true
	}
	w.seen[state] = append(slices.DeleteFunc(was, now.within), now)
	return false
}

// choices lists what can happen, the continuation of what went on first.
func (s *Sim) choices() []choice {
	w := s.walk
	slices.SortFunc(s.parked, (*call).compare)
	for _, c := range s.parked {
		if c.isLocal() {
			return s.fates(nil, c, spent{})
		}
	}
	var list []choice
	goesOn := slices.ContainsFunc(s.parked, func(c *call) bool { return c.p == w.last })
	away := spent{}
	if goesOn {
		away.switches = 1
		for _, c := range s.parked {
			if c.p == w.last {
				list = s.fates(list, c, spent{})
			}
		}
	}
	for _, c := range s.parked {
		if c.p != w.last {
			list = s.fates(list, c, away)
		}
	}
	if s.sleepers > 0 {
		list = s.offer(list, choice{cost: away})
	}
	for i := range s.late {
		list = s.offer(list, choice{late: i + 1})
	}
	return list
}

// offer adds a choice that the bound allows.
func (s *Sim) offer(list []choice, c choice) []choice {
	w := s.walk
	if w.faults+c.cost.faults > w.b.Faults {
		return list
	}
	if w.b.Switches >= 0 && w.switches+c.cost.switches > w.b.Switches {
		w.capped++
		return list
	}
	return append(list, c)
}

// fates adds a call with each fate that it can have.
func (s *Sim) fates(list []choice, c *call, cost spent) []choice {
	list = s.offer(list, choice{c: c, cost: cost})
	if c.op == opStart || c.state != fresh {
		return list
	}
	cost.faults++
	f := &s.opt.Faults
	for _, o := range []odd{
		{f.Fail, fateFail}, {f.Lost, fateLost}, {f.Twice, fateTwice}, {f.Late, fateLate}, {f.Echo, fateEcho},
		{f.Crash, fateCrash}, {f.Crash, fateCrashDone}, {f.Crash, fateCrashLate},
	} {
		effect := c.changes() || c.flushes()
		if o.chance > 0 && (o.fate < fateCrash || effect) && c.fit(o.fate) == o.fate {
			list = s.offer(list, choice{c: c, fate: o.fate, cost: cost})
		}
	}
	if f.SplitList > 0 && c.op == opReadDir {
		list = s.offer(list, choice{c: c, split: true, cost: cost})
	}
	return list
}

// isLocal tells whether nobody else can notice when the call is carried out.
func (c *call) isLocal() bool {
	switch c.op {
	case opStart, opRead, opReadAt, opWrite:
		return c.state == fresh
	case opSyncDir:
		return c.state == fresh && c.p.client == nil // which may ask for names on the way
	case opSync:
		return c.state == fresh && !c.flushes()
	case opClose:
		return c.state == fresh && !c.flushes() && !c.p.sim.opt.Able.keepsOpen()
	}
	return false
}

// take lets a choice happen.
func (s *Sim) take(ch choice) error {
	w := s.walk
	w.faults += ch.cost.faults
	w.switches += ch.cost.switches
	s.rng = rand.New(rand.NewPCG(1, 1)) // one outcome wherever it is asked
	switch {
	case ch.late > 0:
		c := s.late[ch.late-1].call
		s.late = slices.Delete(s.late, ch.late-1, ch.late)
		s.steps++
		c.deliver()
		s.record(&c, "arrives late")
		return nil
	case ch.c == nil:
		return s.passTime()
	}
	c := ch.c
	if c.op == opStart {
		s.release(c)
		return nil
	}
	w.last = c.p
	if c.state == again {
		c.repeat()
		s.reply(c, "again")
		s.release(c)
		return nil
	}
	s.steps++
	c.p.ops++
	if ch.split {
		c.res = result{err: c.resolve()}
		if c.res.err == nil {
			c.listPart(0)
			c.state = again
		}
		s.reply(c, "first part")
	} else {
		s.perform(c, ch.fate, errOf(ch.fate))
		s.reply(c, fateNames[ch.fate])
	}
	switch {
	case ch.fate >= fateCrash:
		c.p.crashed = true
		s.crash(c)
	case c.state != again:
		s.release(c)
	}
	return nil
}

func errOf(f fate) syscall.Errno {
	if int(f) < len(fateErrs) && fateErrs[f] != nil {
		return fateErrs[f][0]
	}
	return 0
}
