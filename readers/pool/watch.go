package pool

import (
	"cmp"
	"context"
	"time"
)

// Watch calls f, in a goroutine of its own, after a change of the mailbox that
// u did not make by itself and tell of by Changed: one by another session of the
// process, which is noticed at once, or one by another process or host, which is
// noticed within Pool.Every. f may also be called when there is nothing new. One
// poll serves all who watch a mailbox; err is why it could not be read just now.
// stop ends it; f may run once more.
func (u *Use) Watch(f func(err error)) (stop func()) {
	p, e := u.pool, u.entry
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.watchers == nil {
		e.watchers = map[*Use]func(error){}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		e.unwatch = func() {
			cancel()
			<-ended
		}
		known := e.mailbox.ModSeq()
		go func() {
			defer close(ended)
			p.poll(ctx, e, known)
		}()
	}
	e.watchers[u] = f
	return func() {
		unwatch := func() {}
		p.mu.Lock()
		if delete(e.watchers, u); len(e.watchers) == 0 && e.watchers != nil {
			e.watchers = nil
			unwatch = e.unwatch
		}
		p.mu.Unlock()
		unwatch() // the mailbox may be closed after this
	}
}

// poll looks for new mail and changes while somebody watches.
func (p *Pool) poll(ctx context.Context, e *entry, known uint64) {
	tick := time.NewTicker(cmp.Or(p.Every, 2*time.Second))
	defer tick.Stop()
	failed := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := p.refresh(ctx, e.mailbox)
		if now := e.mailbox.ModSeq(); now != known || (err != nil) != failed {
			known, failed = now, err != nil
			p.tell(e, nil, err)
		}
	}
}

// tell calls all who watch a mailbox but one.
func (p *Pool) tell(e *entry, but *Use, err error) {
	p.mu.Lock()
	var list []func(error)
	for u, f := range e.watchers {
		if u != but {
			list = append(list, f)
		}
	}
	p.mu.Unlock()
	for _, f := range list {
		f(err)
	}
}

// Changed is called after u changed the mailbox, and answered its client: those
// who watch are told, and the files' names show the change soon. What fails at
// that stays owed, and Close tells of it.
func (u *Use) Changed() {
	p, e := u.pool, u.entry
	p.tell(e, u, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.projecting {
		e.again = true
		return
	}
	e.projecting = true
	e.users++
	go p.project(e)
}

// project shows in the files' names what was committed, until nothing more is.
func (p *Pool) project(e *entry) {
	for more := true; more; {
		_ = e.mailbox.Project(context.Background()) // it stays owed
		p.mu.Lock()
		more, e.again = e.again, false
		e.projecting = more
		p.mu.Unlock()
	}
	p.leave(e)
}

// Delivered is told when this process put a message into a mailbox, so that
// those who watch it need not wait for a poll. It waits for nothing.
func (p *Pool) Delivered(user, folder string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.open[key{user, folder}]
	switch {
	case e == nil || len(e.watchers) == 0:
	case e.looking:
		e.lookAgain = true
	default:
		e.looking = true
		e.users++
		go p.look(e)
	}
}

// look looks for new mail until no more was delivered meanwhile.
func (p *Pool) look(e *entry) {
	for more := true; more; {
		p.tell(e, nil, p.refresh(context.Background(), e.mailbox))
		p.mu.Lock()
		more, e.lookAgain = e.lookAgain, false
		e.looking = more
		p.mu.Unlock()
	}
	p.leave(e)
}
