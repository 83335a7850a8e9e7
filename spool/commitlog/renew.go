package commitlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/bobbinmail/bobbin/netfs"
)

// Renewal says how Renew begins a log anew.
type Renewal struct {
	// Whole renews a log that can be read, too.
	Whole bool
	// Ahead is how many numbers are left out, so that no view of a past that
	// the share has lost is ahead of the new log.
	Ahead uint64
	// Settle, if set, finishes the state, which lacks what was lost.
	Settle func(Loss)
	// Dry: nothing is changed.
	Dry bool
}

// closeTries is how often the ends of a log are looked for while others
// append to it.
const closeTries = 50

// Renew ends the newest generation and begins another one with the state that
// could be read. All views of the log end in [ErrWentBack] and are opened
// again. It may run while others work, and several times at once; what a crash
// of it leaves is completed by the next. It is for a view that has read
// nothing yet, whose Apply takes what it can of a record, and it needs a
// spool of [FeatureLevel].
//
// docs/spool-format.md §5.8 says why no view forks.
func (l *Log) Renew(ctx context.Context, o Renewal) (Loss, error) {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return 0, err
	}
	defer unlock()
	s := &salvage{Log: l}
	rested := false
	for range closeTries {
		if err := s.read(ctx); err != nil {
			return 0, err
		}
		newest := s.gens[len(s.gens)-1]
		e, ended, err := s.ending(ctx, newest)
		if err != nil {
			return 0, err
		}
		switch {
		case o.Dry:
			return s.lost, nil
		case ended:
			if err := s.enterNew(ctx, e.generation()); err != nil || !o.Whole {
				return s.lost, err
			}
			continue
		case s.at.line == "" && s.at.seq > newest.first: // a rotation whose directory is missing
			g := &generation{first: s.at.seq, base: s.at.hash}
			if err := s.enterNew(ctx, g); err != nil {
				return 0, err
			}
			if _, err := s.readBase(ctx, g); err == nil && !o.Whole {
				return s.lost, nil
			}
			continue
		}
		more, err := s.close(ctx, newest)
		if err != nil {
			return 0, err
		}
		if more || !rested { // what was put there meanwhile counts
			// Names that were looked up too early stay absent for a grain (H35).
			rested = true
			if _, _, err := netfs.Settled(ctx, s.Host, s.FS, s.genDir(newest)); err != nil {
				return 0, err
			}
			continue
		}
		return s.lost, s.conclude(ctx, o)
	}
	return 0, fmt.Errorf("%s: others append faster than it can be closed; try again", l.Dir)
}

// close puts a void record at each open end of g, and reports whether there
// was one, so that g must be read again.
func (s *salvage) close(ctx context.Context, g *generation) (more bool, err error) {
	for _, f := range s.open {
		token, err := s.Host.Token()
		if err != nil {
			return false, err
		}
		r := newRecord(Record{
			Seq: f.seq, Token: token, Writer: s.Host.Tag, Prev: f.prev,
			Ops: []string{fmt.Sprintf("%s:%d", opVoid, f.seq)},
		})
		_, err = s.Way.Put(ctx, s.Host, s.FS, s.slotIn(g, f.seq), r.line)
		if err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, netfs.ErrIrregular) {
			return false, err
		}
	}
	return len(s.open) > 0, nil
}

// conclude writes the base of the new generation, lets one repair win, and
// makes its directory. Nobody can write in the old one any more.
func (s *salvage) conclude(ctx context.Context, o Renewal) error {
	old := s.gens[len(s.gens)-1]
	if o.Settle != nil {
		o.Settle(s.lost)
	}
	first := max(s.top, s.at.seq, old.first) + 1 + o.Ahead
	// The table of the new base begins with it: what repair gave up is not
	// looked for.
	s.gen = &generation{first: first - 1, base: old.base, next: first, man: &base{}}
	s.at = position{seq: first - 1}
	w, files, err := s.writeBase(ctx)
	if err != nil {
		s.unlink(ctx, files)
		return err
	}
	e := ending{first: first, base: w.id, size: w.size, top: max(s.top, old.first)}
	text, err := s.Way.Put(ctx, s.Host, s.FS, s.endOf(old), e.String())
	if errors.Is(err, fs.ErrExist) {
		// Another repair was first.
		s.unlink(ctx, files)
		e, err = parseEnding(text)
	}
	if err != nil {
		return fmt.Errorf("slot %s: %w", s.endOf(old), err)
	}
	return s.enterNew(ctx, e.generation())
}

// enterNew makes the directory of a generation, which readers then find.
func (s *salvage) enterNew(ctx context.Context, g *generation) error {
	err := netfs.MkdirAll(ctx, s.Host, s.FS, s.genDir(g))
	s.gen, s.dead = nil, nil
	s.watch.Reset()
	return cmp.Or(err, netfs.SyncDir(ctx, s.Host, s.FS, s.Dir))
}
