package simfs

import (
	"bytes"
	"syscall"
	"time"
)

// fate is what becomes of a call.
type fate uint8

const (
	fateOK fate = iota
	fateFail
	fateLost
	fateResent
	fateTwice
	fateLate
	fateEcho
	fateFull
	fateWriteErr
	fateStale
	fateCrash
	fateCrashDone
	fateCrashLate
)

var fateNames = [...]string{
	"", "not done", "done, reply lost", "done, reply comes when it is sent again", "done, reply lost, sent again", "to come late",
	"done, repeated later", "no space", "write error", "stale",
	"crash before", "crash after", "crash, to come late",
}

type odd struct {
	chance float64
	fate   fate
}

// The errors of the fates. The first are told for what was surely not done;
// the others leave it open.
var (
	failErrs = []syscall.Errno{
		syscall.EIO, syscall.ETIMEDOUT, syscall.EINTR, syscall.ESTALE, syscall.EACCES,
	}
	openErrs = []syscall.Errno{syscall.EIO, syscall.ETIMEDOUT, syscall.EINTR, syscall.ESTALE}
	lostErrs = append(openErrs[:len(openErrs):len(openErrs)], syscall.EACCES) // H108
	// A generic failure is told as EPERM of what is over, not of what comes late.
	generalErrs = []syscall.Errno{syscall.EIO, syscall.EPERM}
	fullErrs    = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}
	writeErrs   = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO}
)

var fateErrs = [...][]syscall.Errno{
	fateFail: failErrs, fateLost: lostErrs, fateLate: openErrs,
	fateFull: fullErrs, fateWriteErr: writeErrs, fateStale: {syscall.ESTALE},
}

func (s *Sim) setFaults(f Faults) {
	f = f.withDefaults()
	s.faults = f
	s.server.past.on = s.server.past.on || f.PowerLoss+f.Forget > 0
	s.odds = s.odds[:0]
	for _, o := range []odd{
		{f.Crash, fateCrash}, {f.Fail, fateFail}, {f.Lost, fateLost}, {f.Resent, fateResent},
		{f.Twice, fateTwice}, {f.Late, fateLate}, {f.Echo, fateEcho},
		{f.Full, fateFull}, {f.WriteErr, fateWriteErr}, {f.Stale, fateStale},
	} {
		if o.chance > 0 {
			s.odds = append(s.odds, o)
		}
	}
}

func (s *Sim) chance(p float64) bool { return p > 0 && s.rng.Float64() < p }

// within returns a random time up to limit: short ones as likely as long ones.
func (s *Sim) within(limit time.Duration) time.Duration {
	limit >>= s.rng.IntN(10)
	return 1 + time.Duration(s.rng.Int64N(max(1, int64(limit))))
}

// fateOf decides about a process's k-th operation.
func (s *Sim) fateOf(c *call, k int) (fate, syscall.Errno) {
	if at := s.opt.CrashAt; at.matches(c.p, k) {
		switch {
		case at.Late:
			return fateCrashLate, 0
		case at.Applied:
			return fateCrashDone, 0
		}
		return fateCrash, 0
	}
	f, errno := fateOK, syscall.Errno(0)
	if at := s.opt.FailAt; at.matches(c.p, k) {
		f, errno = fateFail, at.Err
		switch {
		case at.Late:
			f = fateLate
		case at.Applied:
			f = fateLost
		}
		if errno == 0 {
			errno = syscall.EIO
		}
	} else if len(s.odds) > 0 && s.spare() {
		u := s.rng.Float64()
		for _, o := range s.odds {
			if u < o.chance {
				f = o.fate
				break
			}
			u -= o.chance
		}
	}
	if f == fateCrash {
		f += fate(s.rng.IntN(3))
	}
	if f = c.fit(f); f != fateOK {
		s.faulty++
	}
	if int(f) < len(fateErrs) && errno == 0 {
		if errs := s.errsOf(f); errs != nil {
			errno = errs[s.rng.IntN(len(errs))]
		}
	}
	return f, errno
}

// errsOf returns the errors of a fate. Some clients know one or two for all
// that can happen (H17).
func (s *Sim) errsOf(f fate) []syscall.Errno {
	switch general := s.opt.Able.General; {
	case !general:
	case f == fateFail, f == fateLost:
		return generalErrs
	case f == fateLate:
		return generalErrs[:1]
	}
	return fateErrs[f]
}

// spare tells whether there may be another fault.
func (s *Sim) spare() bool { return s.opt.MaxFaults == 0 || s.faulty < s.opt.MaxFaults }

func (a *At) matches(p *proc, k int) bool {
	return a != nil && a.Op == k && p.first && a.Host == p.name
}

// fit turns a fate that means nothing for this call into one that does.
func (c *call) fit(f fate) fate {
	ok, instead := true, fateOK
	switch f {
	case fateLost:
		ok, instead = c.changes() || c.flushes() || c.op == opWrite, fateFail
	case fateResent:
		ok = c.changes() || c.flushes()
	case fateLate:
		ok, instead = c.changes() || c.flushes(), fateFail
	case fateTwice:
		ok = c.changes()
	case fateEcho:
		ok = c.changes() && c.op != opCreate
	case fateFull:
		ok = c.fills()
	case fateWriteErr:
		ok = c.flushes()
	case fateStale:
		ok = (c.op == opRead || c.op == opReadAt) && c.file.node.nlink == 0
	}
	if ok {
		return f
	}
	return instead
}

// serve lets a parked call happen.
func (s *Sim) serve(c *call, now time.Duration) {
	p := c.p
	switch {
	case c.op == opStart || c.state == executed:
		s.release(c)
		return
	case c.state == again:
		c.repeat()
		s.record(c, "again")
		s.release(c)
		return
	}
	if s.disaster(c) || s.suspended(c, now) {
		return
	}
	s.jump(c)
	s.staleDirs(c)
	pause := s.spare() && s.chance(s.faults.Pause)
	if pause {
		s.faulty++
		p.resume = now + s.within(s.faults.PauseMax)
		if s.rng.IntN(2) == 0 {
			s.record(c, "paused")
			return
		}
	}
	s.steps++
	p.ops++
	f, errno := s.fateOf(c, p.ops-1)
	s.perform(c, f, errno)
	s.record(c, fateNames[f])
	switch {
	case f >= fateCrash:
		p.crashed = true
		s.crash(c)
	case c.state == again:
	case f == fateResent:
		c.state, c.due = executed, now+s.within(s.faults.LateMax)
	case pause:
		c.state = executed
	default:
		s.release(c)
	}
}

// perform carries a call out as its fate wants it.
func (s *Sim) perform(c *call, f fate, errno syscall.Errno) {
	switch f {
	case fateOK:
		s.plain(c)
	case fateFail, fateFull, fateWriteErr, fateStale:
		s.refuse(c, errno)
	case fateLost:
		c.deaf = true
		c.apply()
		c.forgo()
		c.res = result{err: errno}
	case fateResent:
		c.deaf = true // the client knows what is in the reply, not when it was true
		c.apply()
	case fateTwice:
		c.deaf = true
		if c.apply(); c.res.err == nil {
			c.state, c.deaf = again, false
		}
	case fateLate:
		s.later(c)
		s.refuse(c, errno)
	case fateEcho:
		if c.apply(); c.res.err == nil {
			s.postpone(c)
		}
	case fateCrashDone:
		c.apply()
	case fateCrashLate:
		s.later(c)
	}
}

func (s *Sim) plain(c *call) {
	if c.op == opReadDir && s.spare() && s.chance(s.faults.SplitList) {
		s.faulty++
		c.res = result{err: c.resolve()}
		if c.res.err == nil {
			c.listPart(0)
			c.state = again
		}
		return
	}
	if c.op == opReadDir && s.oldList(c) {
		return
	}
	if c.op == opRename && c.resolve() == nil && c.busy() == nil && (c.p.client == nil || c.p.client.answers(c) == nil) {
		if done, err := c.makeWay(); err != nil {
			c.res = result{err: err}
			return
		} else if done {
			c.state = again
			return
		}
	}
	c.apply()
	if c.op == opReadDir {
		s.spoilList(c)
	}
	if c.op == opWrite && c.file.write {
		s.writeBack(c.file)
	}
}

// repeat carries out what remains of a call in the state again.
func (c *call) repeat() {
	if c.op == opReadDir {
		c.listPart(1)
		return
	}
	c.forgo()
	c.request()
}

// forgo ends the handle in a reply that did not arrive: the client's kernel
// closes what nobody waits for.
func (c *call) forgo() {
	if c.res.file != nil {
		c.res.file.end()
	}
}

// refuse fails a call that is not carried out, or not now. What a write error
// makes of the page cache happens here.
func (s *Sim) refuse(c *call, errno syscall.Errno) {
	c.res = result{err: errno}
	if c.file == nil || !c.file.write {
		if c.op == opClose {
			c.file.end()
		}
		return
	}
	switch c.op {
	case opWrite:
		c.res.n = s.rng.IntN(len(c.buf) + 1)
		c.file.buf = append(c.file.buf, c.buf[:c.res.n]...)
	case opSync:
		s.writeBack(c.file)
		c.file.lose()
	case opClose:
		s.writeBack(c.file)
		c.file.end()
	}
}

// writeBack perhaps sends a part of the page cache to the server.
func (s *Sim) writeBack(f *file) {
	if len(f.buf) > 0 && s.chance(s.faults.WriteBack) {
		_ = f.flush(s.rng.IntN(len(f.buf) + 1)) // on a full server it stays
	}
}

// later keeps a call to be carried out in the future, if it has an effect. It
// reaches the directories of now, wherever they will be.
func (s *Sim) later(c *call) {
	if !c.flushes() && (!c.changes() || c.resolve() != nil) {
		return
	}
	s.postpone(c)
}

// postpone is later for a call that is known to have an effect.
func (s *Sim) postpone(c *call) {
	l := lateCall{call: *c, due: s.now() + s.within(s.faults.LateMax)}
	l.res = result{}
	if c.flushes() {
		l.node, l.off, l.buf = c.file.node, c.file.off, bytes.Clone(c.file.buf)
	}
	s.late = append(s.late, l)
}

// deliver carries a late call out.
func (c *call) deliver() {
	s := &c.p.sim.server
	switch {
	case c.node != nil:
		c.res.err = s.write(c.node, c.buf, c.off)
	case c.op == opCreate:
		_, c.res.err = s.create(c.dir[0], c.leaf[0], c.perm)
	default:
		c.execute()
	}
}

// crash kills the process of a call after that call was dealt with. Each other
// change that the process has under way happens, or not, or later.
func (s *Sim) crash(c *call) {
	for _, q := range s.parked {
		if q.p != c.p || q == c || q.state == executed || !q.changes() && !q.flushes() {
			continue
		}
		switch s.rng.IntN(3) {
		case 1:
			if q.state == again {
				q.repeat()
			} else {
				q.apply()
			}
			s.record(q, "done in the crash")
		case 2:
			s.later(q)
			s.record(q, "to come after the crash")
		}
	}
	s.end(c.p)
}
