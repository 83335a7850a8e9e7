package commitlog

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Whoever is near the server would put each record before one who is far away
// has read the one before. So all who won lately fall silent before certain
// records, long enough for the others to read to the end and to put. That the
// number of the record says when makes several who are near fall silent at once.

// gap is a silence before each record whose number is a multiple of every, when
// another host was first lately, and otherwise of alone; 0 is never.
type gap struct {
	every, alone uint64
	length       time.Duration
}

// gaps are ordered by length. They let hosts have their turn whose requests
// take 100, 20, 10 and 2 ms. They cost a host that is alone 0.35 ms a record,
// and 4.6 ms where hosts contend.
var gaps = []gap{
	{1 << 12, 1 << 15, 5 * time.Second},
	{1 << 9, 1 << 12, 400 * time.Millisecond},
	{1 << 6, 1 << 10, 160 * time.Millisecond},
	{1 << 4, 0, 20 * time.Millisecond},
}

// lately is how many records after another host was first its gaps are left.
func (g gap) lately() uint64 { return max(1<<10, 4*g.every) }

// gapBefore is how long a view that has read up to its last record is silent
// before it puts the next. One that has not won for half the distance to the
// gap before has its turn.
func (l *Log) gapBefore() time.Duration {
	next := l.at.seq + 1
	for _, g := range gaps {
		every := g.alone
		if l.beaten > 0 && next-l.beaten <= g.lately() {
			every = g.every
		}
		// The record before may be a rotation, which knows no gaps.
		due := every > 0 && next/every > l.at.tokenSeq/every
		if due && l.won > 0 && next-l.won <= every/2 {
			return g.length
		}
	}
	return 0
}

// giveWay leaves the gap before the next record, as far as the log has not been
// quiet for so long.
func (l *Log) giveWay(ctx context.Context) error {
	if wait := l.gapBefore() - (l.Host.Boot() - l.learned); wait > 0 {
		return l.Host.Sleep(ctx, wait)
	}
	return nil
}

// turnsMax is how many generations a view reads through, one after the other,
// before it begins with the newest base instead.
const turnsMax = 2

// errBehind means that the log grows while it is read, so that its newest base
// is nearer to its end than what was read next.
var errBehind = fmt.Errorf("%w: faster than it is read", errCollected)

// catchUp reads on from the record of the host that was first, for a commit that
// others beat several times. It believes the listing: whether there is more, the
// next put tells. What is found to be cleared away leaves no doubt about the
// commit, whose slot another record holds.
func (l *Log) catchUp(ctx context.Context, first []*Record) error {
	back, err := l.leap(ctx, first[0].Seq)
	if len(back) == 0 && err == nil {
		back = first // the listing is old
	}
	recs, xerr := l.expandAll(ctx, back)
	if err == nil {
		err = xerr
	}
	err = l.takeIn(ctx, recs, err)
	if err == nil && l.at.line == "" {
		err = l.follow(ctx)
	}
	if errors.Is(err, errCollected) {
		_, err = l.refreshAnew(ctx)
	}
	if err != nil {
		l.whole = false
		l.watch.Again()
	}
	return err
}
