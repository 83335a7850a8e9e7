package locking

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// lease is a token lock that is held.
type lease struct {
	t      *Token
	state  state         // of the last beat that was answered; the beater's until it has ended
	doubt  bool          // whether the next beat may have been done
	beatAt time.Duration // no earlier than this did the server make state
	until  atomic.Int64  // Boot when the holder stops believing
	litter []string

	lose   context.CancelCauseFunc // ends held
	stop   context.CancelFunc      // ends the goroutines
	ended  chan struct{}           // closed when the beater has ended
	unlock func()
	given  atomic.Bool
}

type epochKey struct{}

// Epoch returns the number of the tenure that held, a context from
// [Token.Acquire] or one derived from it, stands for. Each is given out once,
// and whoever takes the lock over from somebody gets a higher one. It is 0 for
// any other context.
func Epoch(held context.Context) uint64 {
	n, _ := held.Value(epochKey{}).(uint64)
	return n
}

// heldContext ends by the clock, not only by a timer: timers stand still in a
// suspended machine (H95).
type heldContext struct {
	context.Context
	l *lease
}

// Err ends the context if its time is over, and is that of any context then.
func (c heldContext) Err() error {
	c.l.expire()
	return c.Context.Err()
}

// start begins to renew the lock.
func (l *lease) start(ctx context.Context) context.Context {
	l.until.Store(int64(l.beatAt + holdFor))
	base := context.WithoutCancel(ctx)
	held, lose := context.WithCancelCause(context.WithValue(base, epochKey{}, l.state.epoch))
	run, stop := context.WithCancel(base)
	l.lose, l.stop, l.ended = lose, stop, make(chan struct{})
	go l.guard(run)
	go l.renew(run)
	return heldContext{held, l}
}

// expire ends held if its time is over.
func (l *lease) expire() bool {
	if int64(l.t.Host.Boot()) < l.until.Load() {
		return false
	}
	l.lose(fmt.Errorf("lock %s: %w: could not renew it for %v", l.t.Dir, ErrLost, holdFor))
	return true
}

// guard ends held in time while a beat hangs. It looks often, because the
// time it sleeps is not the time that passes (H95).
func (l *lease) guard(ctx context.Context) {
	for !l.expire() {
		left := time.Duration(l.until.Load()) - l.t.Host.Boot()
		if err := l.t.Host.Sleep(ctx, min(max(left, 0), time.Second)); err != nil {
			l.lose(err) // nothing new if it is the end of ctx: then held has ended
			return
		}
	}
}

// renew beats until ctx ends or the lock is lost.
func (l *lease) renew(ctx context.Context) {
	defer close(l.ended)
	t := l.t
	for _, name := range l.litter {
		_ = t.FS.Remove(ctx, t.path(name))
	}
	for {
		wait := l.beatAt + beatEvery - t.Host.Boot()
		if wait > 0 && t.Host.Sleep(ctx, wait) != nil {
			return
		}
		if !l.beat(ctx) {
			return
		}
	}
}

// beat makes the next state and tells whether the lock goes on being held.
// However often it has to try, the time counts from before the first try: the
// others may have seen the new name as early as that.
func (l *lease) beat(ctx context.Context) bool {
	t, next, start := l.t, l.state.beaten(), l.t.Host.Boot()
	l.doubt = true
	pause := backoff{100 * time.Millisecond, 2 * time.Second}
	for {
		err := netfs.Move(ctx, t.Host, t.FS, t.path(l.state.name()), t.path(next.name()))
		switch {
		case err == nil:
			l.state, l.doubt, l.beatAt = next, false, start
			if l.expire() {
				return false
			}
			l.until.Store(int64(start + holdFor))
			return true
		case errors.Is(err, netfs.ErrVanished):
			l.lose(fmt.Errorf("lock %s: %w: somebody took it", t.Dir, ErrLost))
			return false
		case l.expire() || pause.wait(ctx, t.Host) != nil:
			return false
		}
	}
}

// release is what Acquire promises.
func (l *lease) release(ctx context.Context) error {
	if l.given.Swap(true) {
		return nil
	}
	defer l.unlock()
	l.lose(nil)
	l.stop()
	t := l.t
	select {
	case <-l.ended:
	case <-ctx.Done():
		return fmt.Errorf("release lock %s: %w: %v", t.Dir, netfs.ErrUncertain, ctx.Err())
	}
	free := l.state.free()
	err := netfs.Move(ctx, t.Host, t.FS, t.path(l.state.name()), t.path(free.name()))
	if l.doubt && errors.Is(err, netfs.ErrVanished) {
		next := l.state.beaten()
		err = netfs.Move(ctx, t.Host, t.FS, t.path(next.name()), t.path(free.name()))
	}
	switch {
	case errors.Is(err, netfs.ErrVanished):
		return fmt.Errorf("release lock %s: %w", t.Dir, ErrLost)
	case err != nil:
		return fmt.Errorf("release lock %s: %w", t.Dir, err)
	}
	t.left = &free
	return nil
}
