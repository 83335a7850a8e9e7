// Package pool shares open mailboxes among the sessions of a server: a mailbox
// has one state in memory however many read it, and who comes back soon need
// not wait for it to be read again.
package pool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Pool has the open mailboxes of a spool. Its fields are set before use; its
// methods may be called from several goroutines.
type Pool struct {
	Spool *spool.Spool
	// Keep is how long a mailbox that nobody uses stays open; a minute if zero.
	Keep time.Duration
	// Most is how many such mailboxes stay open; 64 if zero. The one unused for
	// the longest time is closed first.
	Most int
	// Polled, if set, is told how long each look for what changed in an open
	// mailbox took. It is called by several goroutines at once.
	Polled func(took time.Duration)
	// Opened, if set, is shown each mailbox that somebody opens, likewise.
	Opened func(m *spool.Mailbox)
	// Every is how long a change by another process may go unnoticed by who
	// watches a mailbox; 2 s if zero.
	Every time.Duration

	mu   sync.Mutex
	open map[key]*entry
	idle []*entry // the one unused for the longest time first
}

type key struct{ user, folder string }

// entry is a mailbox that is in use, or kept.
type entry struct {
	key     key
	ready   chan struct{} // closed when what follows is set
	box     *spool.Box
	mailbox *spool.Mailbox
	err     error

	users int         // guarded by Pool.mu
	stale bool        // no longer in the pool; guarded by Pool.mu
	timer *time.Timer // of an idle one; guarded by Pool.mu

	watchers   map[*Use]func(error) // guarded by Pool.mu, as what follows
	unwatch    func()
	projecting bool // in the background
	again      bool // something was committed since that began
	looking    bool // for new mail, likewise
	lookAgain  bool
}

// Use is somebody's use of a mailbox. It is ended by Close.
type Use struct {
	*spool.Mailbox
	pool  *Pool
	entry *entry
}

// Open opens a user's folder, or joins those who have it open, and looks for
// new mail, for which there may be no room (see [spool.NoRoom]). The error is that of [spool.Spool.Box], [spool.Box.Open] or
// [spool.Mailbox.Refresh]; one that these say of a mailbox which was open for
// long, and is another now, is not returned: it is opened anew.
func (p *Pool) Open(ctx context.Context, user, folder string) (*Use, error) {
	for try := 0; ; try++ {
		e, first := p.join(key{user, folder})
		err := p.opened(ctx, e, first)
		if err == nil && !first {
			err = p.refresh(ctx, e.mailbox)
		}
		if err == nil {
			if p.Opened != nil {
				p.Opened(e.mailbox)
			}
			return &Use{e.mailbox, p, e}, nil
		}
		another := !first && (errors.Is(err, spool.ErrNoFolder) || errors.Is(err, commitlog.ErrWentBack))
		gaveUp := !first && e.err != nil && errors.Is(err, context.Canceled) && ctx.Err() == nil
		if first || another {
			p.forget(e)
		}
		p.leave(e)
		if try == 2 || !another && !gaveUp {
			return nil, err
		}
	}
}

func (p *Pool) refresh(ctx context.Context, m *spool.Mailbox) error {
	begun := time.Now()
	err := m.Refresh(ctx)
	if p.Polled != nil {
		p.Polled(time.Since(begun))
	}
	if spool.NoRoom(err) {
		return nil
	}
	return err
}

// Close ends the use. What was committed is shown in the files' names first;
// an error is about that alone.
func (u *Use) Close(ctx context.Context) error {
	err := u.Project(ctx)
	u.pool.leave(u.entry)
	return err
}

// CloseIdle closes all mailboxes that nobody uses.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	for _, e := range idle {
		p.unlist(e)
	}
	p.mu.Unlock()
	for _, e := range idle {
		e.close()
	}
}

// join finds the entry of a mailbox, or makes one, which the caller has to
// open.
func (p *Pool) join(k key) (e *entry, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e = p.open[k]; e == nil {
		if p.open == nil {
			p.open = map[key]*entry{}
		}
		e, first = &entry{key: k, ready: make(chan struct{})}, true
		p.open[k] = e
	}
	if e.users++; e.timer != nil {
		e.timer.Stop()
		e.timer = nil
		p.idle = slices.DeleteFunc(p.idle, func(i *entry) bool { return i == e })
	}
	return e, first
}

// opened opens a mailbox, or waits until it is open.
func (p *Pool) opened(ctx context.Context, e *entry, first bool) error {
	if first {
		defer close(e.ready)
		if e.box, e.err = p.Spool.Box(ctx, e.key.user, e.key.folder); e.err == nil {
			e.mailbox, e.err = e.box.Open(ctx)
		}
		return e.err
	}
	select {
	case <-e.ready:
		return e.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// forget takes a mailbox out of the pool. It is closed when nobody uses it.
func (p *Pool) forget(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlist(e)
}

func (p *Pool) unlist(e *entry) {
	if e.timer != nil {
		e.timer.Stop()
	}
	if e.stale = true; p.open[e.key] == e {
		delete(p.open, e.key)
	}
}

// leave ends a use. The last one leaves the mailbox idle, which may be one too
// many.
func (p *Pool) leave(e *entry) {
	p.mu.Lock()
	var surplus *entry
	switch e.users--; {
	case e.users > 0:
	case e.stale:
		surplus = e
	default:
		p.idle = append(p.idle, e)
		e.timer = time.AfterFunc(cmp.Or(p.Keep, time.Minute), func() { p.expire(e) })
		if len(p.idle) > cmp.Or(p.Most, 64) {
			surplus = p.idle[0]
			p.idle = slices.Delete(p.idle, 0, 1)
			p.unlist(surplus)
		}
	}
	p.mu.Unlock()
	if surplus != nil {
		surplus.close()
	}
}

// expire closes a mailbox that was idle for long, unless somebody was faster.
func (p *Pool) expire(e *entry) {
	p.mu.Lock()
	i := slices.Index(p.idle, e)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.unlist(e)
	}
	p.mu.Unlock()
	if i >= 0 {
		e.close()
	}
}

// close writes down what the next process would have to read again. Nobody
// waits for it.
func (e *entry) close() {
	if e.mailbox != nil {
		e.mailbox.Close(context.Background())
	}
	if e.box != nil {
		_ = e.box.Close() // it was read from
	}
}
