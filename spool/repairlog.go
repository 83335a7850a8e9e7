package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

const (
	// aheadRestored is how many numbers a restored log leaves out: no host has
	// seen as many records that the share has lost.
	aheadRestored = 1 << 20
	// lostUIDs is how many UIDs a lost record may have given.
	lostUIDs = 1 << 20
)

// renew begins the mailbox's log anew with what can be read of it. Mail is not
// touched: files that the new log does not know get UIDs as new mail does.
func (r *repairer) renew(ctx context.Context, restored bool) error {
	s := r.box.spool
	if err := s.needLevel(); err != nil {
		return err
	}
	st := newState(s.Marker.Separator)
	o := commitlog.Renewal{Whole: restored}
	if restored {
		o.Ahead = aheadRestored
	}
	o.Settle = func(loss commitlog.Loss) { st.settle(loss, restored, uint32(max(1, s.Host.Wall().Unix()))) }
	l := s.log(r.box.fs, logDir, machine{
		apply:    func(rec *commitlog.Record) error { return st.salvage(rec) },
		snapshot: func(since uint64) ([]byte, uint64) { return st.snapshot(since), since },
		load:     func(text []byte) error { return loadInto(&st, text) },
	})
	loss, err := l.Renew(ctx, o)
	if err == nil && loss != commitlog.LostNothing {
		text := loss.String()
		if loss == commitlog.LostSome {
			text += ": keywords and flags that no file name shows may be missing, and clients fetch everything again"
		}
		r.say(Finding{Code: "log-loss", Where: logDir, Text: text, Repair: "go on with the rest"}, nil)
	}
	return err
}

// salvage takes of a record what fits the state, and reports whether all did.
func (s *state) salvage(r *commitlog.Record) error {
	var bad error
	for _, text := range r.Ops {
		op, err := parseOp(text)
		if errors.Is(err, commitlog.ErrNewer) {
			return err
		}
		if err == nil {
			err = s.salvageOp(&op, r.Seq)
		}
		if err != nil {
			bad = err
		}
	}
	s.modSeq = max(s.modSeq, r.Seq)
	return bad
}

func (s *state) salvageOp(op *operation, seq uint64) error {
	switch op.word {
	case opGenesis:
		if s.uidValidity != 0 {
			return fmt.Errorf("%w: a second genesis", commitlog.ErrCorrupt)
		}
	case opAssign:
		if s.taken(op.name) || op.number == maxUID {
			return fmt.Errorf("%w: %q has a UID", commitlog.ErrCorrupt, op.name)
		}
		if op.number < s.uidNext {
			op.number = s.uidNext
			s.perform(*op, seq)
			return fmt.Errorf("%w: UID for %q was given before", commitlog.ErrCorrupt, op.name)
		}
	}
	s.perform(*op, seq)
	return nil
}

// settle finishes a state of which something was lost, or that comes from a
// backup. What refers to UIDs that nobody may see again goes with them.
func (s *state) settle(loss commitlog.Loss, restored bool, now uint32) {
	switch {
	case restored || loss == commitlog.LostSome || s.uidValidity == 0:
		s.uidValidity = max(s.uidValidity+1, now)
		s.vanished, s.ended, s.marks = nil, nil, nil
		s.segments = nil // they speak of UIDs, and are only a cache
	case loss == commitlog.LostTail:
		s.uidNext = uint32(min(uint64(s.uidNext)+lostUIDs, maxUID-1))
	}
	s.modSeq = max(s.modSeq, 1)
	if restored {
		// A file that was put back is a message again, whatever became of it.
		s.tombs = map[string]tomb{}
	}
}

// logAt is where a log is that is no mailbox's.
type logAt struct {
	spool *Spool
	fs    netfs.FS
	dir   string
}

// bareLog repairs a log that is no mailbox's. Its machine takes a record as a
// whole or not at all.
func (r *repairer) bareLog(ctx context.Context, at logAt, m func() machine) error {
	renew := func(o commitlog.Renewal) error {
		if err := at.spool.needLevel(); err != nil {
			return err
		}
		loss, err := at.spool.log(at.fs, at.dir, m()).Renew(ctx, o)
		if err == nil && loss != commitlog.LostNothing {
			r.say(Finding{Code: "log-loss", Where: at.dir, Text: loss.String(), Repair: "go on with the rest"}, nil)
		}
		return err
	}
	if r.options.Restored {
		f := Finding{Code: restoredCode, Where: at.dir, Text: "it may be older than it was", Repair: "begin the log anew"}
		if err := r.step(f, func() error { return renew(commitlog.Renewal{Whole: true, Ahead: aheadRestored}) }); err != nil {
			return err
		}
	}
	faults, err := at.spool.log(at.fs, at.dir, m()).Verify(ctx)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c := findings{}
	c.faults(faults)
	renewed := false
	var errs []error
	for _, f := range c.list {
		switch {
		case f.logFault() && !renewed:
			renewed = true
			errs = append(errs, r.step(f, func() error { return renew(commitlog.Renewal{}) }))
		case f.Code == commitlog.FaultOrphan:
			errs = append(errs, r.step(f, func() error { return at.spool.way.Remove(ctx, at.spool.Host, at.fs, f.Where) }))
		}
	}
	return several(errs)
}
