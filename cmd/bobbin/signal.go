package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// untilSignal is a context that ends with the first SIGINT or SIGTERM; the second one
// ends the process. As long as nobody asks for Done, no goroutine waits for them: a
// process that delivers a message looks now and then.
type untilSignal struct {
	context.Context // ends when somebody has taken a signal from arrived
	cancel          context.CancelFunc
	arrived         chan os.Signal
	waiting         sync.Once
}

func newUntilSignal() *untilSignal {
	u := &untilSignal{arrived: make(chan os.Signal, 1)}
	u.Context, u.cancel = context.WithCancel(context.Background())
	signal.Notify(u.arrived, os.Interrupt, syscall.SIGTERM)
	return u
}

// Done implements context.Context.
func (u *untilSignal) Done() <-chan struct{} {
	u.waiting.Do(func() {
		go func() {
			select {
			case <-u.arrived:
				u.end()
			case <-u.Context.Done():
			}
		}()
	})
	return u.Context.Done()
}

// Err implements context.Context.
func (u *untilSignal) Err() error {
	select {
	case <-u.arrived:
		u.end()
	default:
	}
	return u.Context.Err()
}

func (u *untilSignal) end() {
	signal.Stop(u.arrived)
	u.cancel()
}
