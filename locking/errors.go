package locking

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// ErrHeld means that somebody else had the lock for as long as the caller was
// willing to wait.
var ErrHeld = errors.New("lock is held")

// ErrLost means that a lock came to its end before it was given back: the
// holder could not renew it in time, or somebody else has taken it.
var ErrLost = errors.New("lock was lost")

// ErrUnsupported means that the file system has no locks of this kind (H87,
// H89). The caller uses another kind.
var ErrUnsupported = errors.New("file locks do not work here")

// HeldError says who has a lock. It matches [ErrHeld].
type HeldError struct {
	// Name is the lock's directory or file.
	Name string
	// Owner describes the holder for people; empty when nothing is known.
	Owner string
	// Since is when this process first saw the holder have the lock, by its
	// own wall clock; the zero time when it did not look.
	Since time.Time
}

// Error says all of it in one line.
func (e *HeldError) Error() string {
	owner, since := e.Owner, ""
	if owner == "" {
		owner = "another program"
	}
	if !e.Since.IsZero() {
		since = " since " + e.Since.Format(time.TimeOnly) + " or longer"
	}
	return fmt.Sprintf("lock %s: held by %s%s", e.Name, owner, since)
}

// Is makes e match [ErrHeld].
func (e *HeldError) Is(target error) bool { return target == ErrHeld }

// gaveUp is the error of a caller that stopped waiting because of err: that
// the lock is held if it ran out of patience, err itself if it was called off.
func gaveUp(err error, e *HeldError) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return e
	}
	return fmt.Errorf("lock %s: %w", e.Name, err)
}

// backoff is the pauses of a waiter: they double up to a limit, and each is
// varied by a quarter so that waiters do not come in step.
type backoff struct{ next, most time.Duration }

func (b *backoff) wait(ctx context.Context, h *netfs.Host) error {
	d := b.next
	b.next = min(2*b.next, b.most)
	var r [1]byte
	if _, err := h.Rand.Read(r[:]); err == nil {
		d += d * (time.Duration(r[0]) - 128) / 512
	}
	return h.Sleep(ctx, d)
}
