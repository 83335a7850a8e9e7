package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// standing is where a view stood, and in which generation.
type standing struct {
	at  position
	gen *generation
}

// refreshAnew starts again from the newest base, after the view's last record
// was not found. If it was not cleared away, the share has lost it. Until that
// is known, whatever fails on the way, the view is in doubt.
func (l *Log) refreshAnew(ctx context.Context) (changed bool, err error) {
	if l.doubt == nil && l.gen != nil {
		l.doubt = &standing{l.at, l.gen}
	}
	for try := 0; try < loadTries; try++ {
		l.whole = false
		if err = l.load(ctx); err == nil {
			err = l.follow(ctx)
		}
		if errors.Is(err, errBehind) {
			try = -1 // nothing is wrong
		}
		if !errors.Is(err, errCollected) {
			break
		}
	}
	if errors.Is(err, errCollected) && !l.gen.seen {
		// What was cleared away has generations after it, which a listing shows.
		return true, fmt.Errorf("base %s: %w: it is missing or damaged", path.Join(l.Dir, "s", l.gen.name()), ErrCorrupt)
	}
	if err != nil || l.doubt == nil {
		return true, err
	}
	if _, ended, err := l.ending(ctx, l.doubt.gen); err != nil {
		l.whole = false
		return true, err
	} else if ended {
		l.dead = fmt.Errorf("%s: %w", l.Dir, endedError{})
		return false, l.dead
	}
	lost, err := l.lost(ctx, l.doubt)
	if err != nil {
		l.whole = false
		return true, err
	}
	if lost {
		return false, l.wentBack(l.doubt.at.seq)
	}
	l.doubt = nil
	return true, nil
}

// lost tells whether the log, read anew, lacks what the view had read of it.
func (l *Log) lost(ctx context.Context, was *standing) (bool, error) {
	at := was.at
	if l.at.seq < at.seq || at.token != "" && at.tokenSeq >= l.gen.since && l.gen.tokens[at.token] != at.tokenSeq {
		return true, nil
	}
	w := was.gen.turn // where a generation begins, its rotation is the last record
	if at.line != "" {
		w = was.gen.record(l.slotIn(was.gen, at.seq), at.line)
	}
	if w.slot == "" {
		return l.turnLost(ctx, was.gen)
	}
	stands, err := l.stands(ctx, w)
	return !stands, err
}

// turnLost tells whether something else stands where the rotation stood that
// began g, of which the view knows nothing but the base: it came by a listing.
// What is missing proves nothing, as the listing may be old.
func (l *Log) turnLost(ctx context.Context, g *generation) (bool, error) {
	names, err := l.FS.ReadDir(ctx, l.Dir)
	if err != nil {
		return false, err
	}
	var before *generation
	for _, b := range parseGenerations(names) {
		if b.first < g.first {
			before = b
		}
	}
	if before == nil {
		return false, nil
	}
	recs, err := l.readSlot(ctx, l.slotIn(before, g.first), g.first)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // that one ended earlier, or by repair
	}
	if err != nil {
		return false, err
	}
	if rot, rotates, err := rotationOf(recs[0]); err != nil || rotates && rot.base == g.base {
		return false, err
	}
	if before.first == 0 {
		return true, nil
	}
	_, err = l.FS.Stat(ctx, path.Join(l.Dir, "s", before.name()))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // behind a generation that is cleared away anything may stand
	}
	return err == nil, err
}

// dirGone decides about a generation's directory that was there, if only in a
// listing, and is not found. The client may still remember that the name was
// absent (H34), on SMB for a second; then the view starts again.
func (l *Log) dirGone(ctx context.Context) error {
	for try := range loadTries {
		if err := l.Host.Sleep(ctx, 20*time.Millisecond<<min(try, 7)); err != nil {
			return err
		}
		_, err := netfs.Fresh(ctx, l.FS, l.genDir(l.gen))
		if err == nil {
			return errCollected
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return l.wentBack(l.gen.first)
}

// wentBack ends a view whose record seq the share has lost.
func (l *Log) wentBack(seq uint64) error {
	l.dead = fmt.Errorf("%s: record %d was there and is not any more: %w", l.Dir, seq, ErrWentBack)
	return l.dead
}
