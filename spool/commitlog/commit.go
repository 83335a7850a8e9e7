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
	fresh := false
	if err == nil && !l.whole {
		// Whoever could not read on does not know where the end is: what looks
		// like a free slot may be a lost one.
		_, err = l.refresh(ctx)
	}
	for err == nil && len(batch) > 0 {
		var ops []string
		ops, batch = l.build(batch)
		if len(ops) == 0 {
			// Nothing to do by what this host knows; it may know too little.
			if fresh || len(batch) == 0 {
				// What makes it superfluous was perhaps never synced by its writer.
				err = netfs.SyncDir(ctx, l.Host, l.FS, l.gen())
				break
			}
			fresh = true
			_, err = l.refresh(ctx)
			continue
		}
		var won bool
		if won, err = l.try(ctx, token, ops, &d); won {
			d = draft{}
			break
		}
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
// first and its record has been applied.
func (l *Log) try(ctx context.Context, token string, ops []string, d *draft) (bool, error) {
	if err := l.giveWay(ctx); err != nil {
		return false, err
	}
	r := newRecord(Record{Seq: l.seq() + 1, Token: token, Writer: l.Host.Tag, Prev: l.prev(), Ops: ops})
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
		l.wins = 0
		l.conflicts.Add(1)
		recs, perr := parseSlot(r.Seq, text)
		if perr != nil {
			return false, fmt.Errorf("slot %s: %w", l.slot(r.Seq), perr)
		}
		return false, l.apply(ctx, recs[0])
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
	l.wins++
	l.lastWin = l.Host.Boot()
	full := *r
	full.Ops = ops
	if err := l.advance(r, &full); err != nil {
		// The record is in the log and acknowledged by everybody else.
		return false, fmt.Errorf("%w: %v", netfs.ErrUncertain, err)
	}
	return true, nil
}

// witness sees to it that the last record still stands behind the one just
// put. Until that is known, the outcome is not.
func (l *Log) witness(ctx context.Context) error {
	if l.last == nil {
		return nil
	}
	start := l.Host.Boot()
	for {
		err := netfs.Witness(ctx, l.FS, l.slot(l.last.Seq))
		if err == nil {
			return nil
		}
		if errors.Is(err, netfs.ErrGone) || l.Host.Boot()-start > 30*time.Second {
			return fmt.Errorf("%w: %v", netfs.ErrUncertain, err)
		}
		if serr := l.Host.Sleep(ctx, 50*time.Millisecond); serr != nil {
			return fmt.Errorf("%w: %v", netfs.ErrUncertain, err)
		}
	}
}

const (
	winsInARow = 4
	fairGap    = 20 * time.Millisecond
)

// giveWay leaves a gap after some wins in a row, so that a host with a longer
// way to the server gets its turn.
func (l *Log) giveWay(ctx context.Context) error {
	if l.wins < winsInARow {
		return nil
	}
	l.wins = 0
	if idle := l.Host.Boot() - l.lastWin; idle < fairGap {
		return l.Host.Sleep(ctx, fairGap-idle)
	}
	return nil
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
