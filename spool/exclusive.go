package spool

import (
	"context"

	"github.com/bobbinmail/bobbin/locking"
)

// lockDir has the lock of those who want a mailbox for themselves alone.
const lockDir = logDir + "/lk"

// Exclusive waits until ctx ends for the mailbox's lock among all who ask for
// it, on whatever host; held, release and the error are those of
// [locking.Token.Acquire]. Nothing in the spool asks for it: it keeps apart
// sessions that promise their clients to be alone (RFC 1939 §3), and nobody else.
func (b *Box) Exclusive(ctx context.Context) (held context.Context, release func(context.Context) error, err error) {
	t := locking.NewToken(locking.TokenConfig{Host: b.spool.Host, FS: b.fs, Dir: lockDir, Way: b.spool.way})
	held, release, err = t.Acquire(ctx)
	return held, release, b.wrap(err)
}
