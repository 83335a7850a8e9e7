package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

const (
	// opVoid closes an end of a generation that repair ends: void@2:SEQ.
	opVoid = "void@2"
	// closedName is a slot that earlier versions' repair put into a generation's
	// directory; it means nothing.
	closedName = "closed"
	// endName is the slot of a generation's directory that says how repair ended it.
	endName = "end"
	// FeatureLevel is the spool's level from which on Renew may be used.
	FeatureLevel = 2
)

// endedError is what a view of a log finds that was repaired: it matches
// [ErrWentBack], because what the view has read may no longer count.
type endedError struct{}

func (endedError) Error() string {
	return "the log was repaired: open it again; if that does not help, a repair was broken off: run \"bobbin repair\""
}

func (endedError) Is(target error) bool { return target == ErrWentBack }

func (r *Record) voids() bool {
	return len(r.Ops) == 1 && r.Ops[0] == opVoid+":"+strconv.FormatUint(r.Seq, 10)
}

// ends tells whether no record of the same generation follows r.
func (r *Record) ends() bool { return r.rotates() || r.voids() }

// ending is how repair ended a generation: another one was begun from a base.
type ending struct {
	first uint64 // the number of the new generation
	base  string
	size  int64
	top   uint64 // no slot of the old generation that counts is above
}

// String is the content of the slot end.
func (e ending) String() string {
	body := fmt.Sprintf("%s end %d %s %d %d", format, e.first, e.base, e.size, e.top)
	return body + " =" + checksum(body)
}

func parseEnding(text string) (e ending, err error) {
	body, _, _ := cutLast(text, " =")
	f := strings.Split(body, " ")
	if len(f) == 6 {
		_, err = fmt.Sscan(strings.Join(f[2:], " "), &e.first, &e.base, &e.size, &e.top)
	}
	if err != nil || e.String() != text || !isToken(e.base) || e.first <= e.top || e.size <= 0 {
		return e, fmt.Errorf("%w: it does not say how the generation ended", ErrCorrupt)
	}
	return e, nil
}

// generation is the one that e begins.
func (e ending) generation() *generation {
	return &generation{first: e.first, base: e.base, size: e.size}
}

func (l *Log) endOf(g *generation) string { return path.Join(l.genDir(g), endName) }

// ending reads how repair ended g; ok is false if it did not.
func (l *Log) ending(ctx context.Context, g *generation) (e ending, ok bool, err error) {
	text, err := l.Way.Get(ctx, l.FS, l.endOf(g))
	if errors.Is(err, fs.ErrNotExist) {
		return e, false, nil
	}
	if err == nil {
		e, err = parseEnding(text)
	}
	if err != nil {
		return e, false, fmt.Errorf("slot %s: %w", l.endOf(g), err)
	}
	return e, true, nil
}

// lastOf tells the last slot of a generation that another one followed, and
// the slot whose time says when it ended.
func (l *Log) lastOf(ctx context.Context, g, next *generation) (last uint64, when string, err error) {
	e, ok, err := l.ending(ctx, g)
	if ok || err != nil {
		return e.top, l.endOf(g), err
	}
	return next.first, l.slotIn(g, next.first), nil
}
