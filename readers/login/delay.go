package login

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bobbinmail/bobbin/readers"
)

// The time that a client waits for the answer to its first wrong password, the
// most that it waits, and how long its failures are remembered.
const (
	firstDelay = time.Second
	mostDelay  = 16 * time.Second
	remembered = 15 * time.Minute
)

// addresses is how many addresses are remembered.
const addresses = 10000

// Delays makes those wait who guess: the answer to a wrong password comes later
// with each that the same address gave lately. The zero value is ready.
type Delays struct {
	mu     sync.Mutex
	failed map[string]failures
}

type failures struct {
	count int
	last  time.Time
}

// Try is a try to log in from an address; "" is none and waits the shortest
// time. Every other outcome than [readers.ErrDenied] is told at once, so who
// knows a password need not wait for those who guess.
func (d *Delays) Try(ctx context.Context, address string, try func() (user string, err error)) (string, error) {
	user, err := try()
	if !errors.Is(err, readers.ErrDenied) {
		return user, err
	}
	select {
	case <-time.After(d.fail(address, time.Now())):
	case <-ctx.Done():
	}
	return "", err
}

// fail notes a failure and tells how long to wait.
func (d *Delays) fail(address string, now time.Time) time.Duration {
	if address == "" {
		return firstDelay
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.failed = map[string]failures{}
	}
	f := d.failed[address]
	if now.Sub(f.last) > remembered {
		f.count = 0
	}
	for other := range d.failed {
		if len(d.failed) < addresses {
			break
		}
		if other != address {
			delete(d.failed, other)
		}
	}
	wait := min(firstDelay<<min(f.count, 10), mostDelay)
	d.failed[address] = failures{f.count + 1, now}
	return wait
}
