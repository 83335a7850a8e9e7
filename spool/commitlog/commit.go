package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// request is one caller's part of a record.
type request struct {
	build func() ([]string, error)
	done  chan struct{}
	err   error
}

func (r *request) finish(err error) {
	r.err = err
	close(r.done)
}

// Commit appends the operations that build returns to the log.
//
// build looks at the state as it is after the last record and returns what is
// still to be done; it is called again whenever another host was first, and
// may return nothing, which is success. It runs while no record is applied.
// Commits that are under way at the same time share a record.
//
// nil means committed, durable and applied here. Otherwise nothing was
// committed, unless the error matches netfs.ErrUncertain.
func (l *Log) Commit(ctx context.Context, build func() ([]string, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{build: build, done: make(chan struct{})}
	l.mu.Lock()
	l.queue = append(l.queue, r)
	l.mu.Unlock()
	for {
		unlock, err := l.sem.LockOr(ctx, r.done)
		if err != nil {
			return l.withdraw(r, err)
		}
		if unlock == nil {
			return r.err
		}
		if batch := l.take(); len(batch) > 0 {
			l.commit(ctx, batch)
			l.rotateAfter(ctx, slotsPerGeneration)
		}
		unlock()
	}
}

func (l *Log) take() []*request {
	l.mu.Lock()
	defer l.mu.Unlock()
	batch := l.queue
	l.queue = nil
	return batch
}

// withdraw ends a request whose caller lost patience. If another goroutine
// took it already, nobody knows yet how it ends.
func (l *Log) withdraw(r *request, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, q := range l.queue {
		if q == r {
			l.queue = append(l.queue[:i], l.queue[i+1:]...)
			return err
		}
	}
	return fmt.Errorf("commit: %w: %v", netfs.ErrUncertain, err)
}

// commit carries a batch through to its end. The batch belongs to several
// callers, so it does not end with the context of the one that carries it.
func (l *Log) commit(ctx context.Context, batch []*request) {
	ctx = context.WithoutCancel(ctx)
	var d draft
	token, err := l.Host.Token()
	fresh, doubt, losses := false, false, 0
	if l.dead != nil {
		err = l.dead
	}
	if err == nil && (!l.whole || l.doubt != nil) {
		// Whoever could not read on does not know where the end is: what looks
		// like a free slot may be a lost one.
		_, err = l.refresh(ctx)
	}
	for ; err == nil && len(batch) > 0; losses++ {
		var ops []string
		ops, batch = l.build(batch)
		if len(ops) == 0 {
			// Nothing to do by what this host knows; it may know too little.
			if fresh || len(batch) == 0 {
				break
			}
			fresh = true
			_, err = l.refresh(ctx)
			continue
		}
		var won bool
		won, err = l.try(ctx, token, ops, &d, losses > 0)
		if errors.Is(err, errCollected) {
			// What was put there does not count, unless repair finds a use for it.
			doubt = true
			won, err = l.lookBack(ctx, token)
		}
		if won {
			d = draft{}
			break
		}
	}
	if doubt && err != nil && !errors.Is(err, netfs.ErrUncertain) {
		err = fmt.Errorf("%w: %w", netfs.ErrUncertain, err)
	}
	if !errors.Is(err, netfs.ErrUncertain) {
		l.discard(ctx, &d)
	}
	for _, r := range batch {
		r.finish(err)
	}
}

// build asks every request for its operations. Requests that fail leave the
// batch.
func (l *Log) build(batch []*request) (ops []string, rest []*request) {
	if l.Begin != nil {
		l.Begin()
	}
	for _, r := range batch {
		o, err := r.build()
		if err != nil {
			r.finish(err)
			continue
		}
		ops = append(ops, o...)
		rest = append(rest, r)
	}
	return ops, rest
}

// try puts one record. It reports false and no error when another host was
// first and its record has been applied, or, again being so, all there are.
func (l *Log) try(ctx context.Context, token string, ops []string, d *draft, again bool) (bool, error) {
	if err := l.giveWay(ctx); err != nil {
		return false, err
	}
	r := newRecord(Record{Seq: l.at.seq + 1, Token: token, Writer: l.Host.Tag, Prev: l.at.hash, Ops: ops})
	if len(r.line) > l.Way.Max(l.Host.Profile) || len(r.line) > l.RecordMax {
		body := strings.Join(ops, " ")
		if len(body) > payloadMax {
			return false, fmt.Errorf("commit of %d bytes: the limit is %d", len(body), payloadMax)
		}
		if err := l.place(ctx, d, r, body); err != nil {
			return false, err
		}
		r = newRecord(Record{Seq: r.Seq, Token: token, Writer: r.Writer, Prev: r.Prev, Ops: []string{payloadOp(body)}})
	}
	text, err := l.Way.Put(ctx, l.Host, l.FS, l.slot(r.Seq), l.withTail(r.line))
	if errors.Is(err, fs.ErrExist) {
		return false, l.yield(ctx, r.Seq, text, again)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, l.lostDir(ctx, err)
	}
	if errors.Is(err, netfs.ErrIrregular) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if err != nil {
		return false, err
	}
	if err := l.witness(ctx); err != nil {
		return false, err
	}
	l.won = r.Seq
	full := *r
	full.Ops = ops
	if err := l.advance(read1{r, &full}); err != nil {
		// The record is in the log and acknowledged by everybody else.
		return false, fmt.Errorf("%w: %v", netfs.ErrUncertain, err)
	}
	l.gen.mine = true
	return true, nil
}

// yield takes in the record of the host that was first in slot seq, and what
// came after it when it is not the first time.
func (l *Log) yield(ctx context.Context, seq uint64, text string, again bool) error {
	l.beaten = seq
	l.conflicts.Add(1)
	recs, err := parseSlot(seq, text)
	if err != nil {
		// It may be our own, damaged since, and stand in somebody's tail.
		return fmt.Errorf("slot %s: %w: %w", l.slot(seq), netfs.ErrUncertain, err)
	}
	if again {
		return l.catchUp(ctx, recs[:1])
	}
	full, err := l.expand(ctx, recs[0])
	if serr := l.harden(ctx); serr != nil {
		return serr
	}
	if cerr := l.confirm(ctx); cerr != nil {
		return cerr // what stands in the slot may not count
	}
	if err != nil {
		return err
	}
	l.gen.mine = false
	return l.apply(read1{recs[0], full})
}

// lostDir deals with a put that found no directory: it has not been made yet
// or it has been cleared away.
func (l *Log) lostDir(ctx context.Context, why error) error {
	err := l.confirm(ctx)
	switch {
	case errors.Is(err, errCollected):
		_, err = l.refreshAnew(ctx)
		return err
	case err != nil:
		return err
	case l.at.line != "" || l.gen.first == 0:
		return why
	}
	return l.makeDir(ctx)
}

// lookBack starts again from the newest base after a commit was put on top of
// a record that has been cleared away. It tells whether the commit is in the
// log after all; if not, it can be done again.
func (l *Log) lookBack(ctx context.Context, token string) (bool, error) {
	tried := l.at.seq + 1
	l.whole = false
	if _, err := l.refreshAnew(ctx); errors.Is(err, ErrWentBack) {
		return false, fmt.Errorf("%w: %w", netfs.ErrUncertain, err)
	} else if err != nil {
		return false, fmt.Errorf("%w: %v", netfs.ErrUncertain, err)
	}
	if _, ok := l.gen.tokens[token]; ok {
		return true, nil
	}
	if tried < l.gen.since {
		return false, fmt.Errorf("%w: the log no longer tells of record %d", netfs.ErrUncertain, tried)
	}
	return false, nil
}

// witness sees to it that what a record was put on still stands behind it.
// Until that is known, the outcome is not.
func (l *Log) witness(ctx context.Context) error {
	start := l.Host.Boot()
	for {
		err := l.confirm(ctx)
		if err == nil || errors.Is(err, errCollected) {
			return err
		}
		if l.Host.Boot()-start > 30*time.Second {
			return fmt.Errorf("%w: %v", netfs.ErrUncertain, err)
		}
		if serr := l.Host.Sleep(ctx, 50*time.Millisecond); serr != nil {
			return fmt.Errorf("%w: %v", netfs.ErrUncertain, err)
		}
	}
}

// withTail appends the records before it as far as a slot has room.
func (l *Log) withTail(line string) string {
	room := min(tailMax, l.RecordMax, l.Way.Max(l.Host.Profile))
	var b strings.Builder
	b.WriteString(line)
	for _, s := range l.recent {
		if b.Len()+len(separator)+len(s) > room {
			break
		}
		b.WriteString(separator)
		b.WriteString(s)
	}
	return b.String()
}
