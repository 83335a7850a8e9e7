package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// A question whether the share is there is answered by the last answer for a
// while, and given up after another.
const (
	readyFresh    = time.Second
	readyPatience = 5 * time.Second
)

// readiness asks whether the share is there, one question at a time: on a mount
// that hangs each would wait for ever.
type readiness struct {
	ask      func(ctx context.Context) error
	patience time.Duration

	mu   sync.Mutex
	last *readyAnswer // the newest, perhaps not there yet
}

type readyAnswer struct {
	asked time.Time
	done  chan struct{} // closed when err is set
	err   error
}

var errNoAnswer = errors.New("the share does not answer")

// check returns nil if the share is there.
func (r *readiness) check(ctx context.Context) error {
	a := r.answer()
	patience := time.NewTimer(r.patience)
	defer patience.Stop()
	select {
	case <-a.done:
		return a.err
	case <-patience.C:
		return errNoAnswer
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *readiness) answer() *readyAnswer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.last; a != nil {
		select {
		case <-a.done:
			if time.Since(a.asked) < readyFresh {
				return a
			}
		default:
			return a
		}
	}
	a := &readyAnswer{asked: time.Now(), done: make(chan struct{})}
	r.last = a
	go func() {
		a.err = r.ask(context.Background())
		close(a.done)
	}()
	return a
}
