package pop

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/spool"
)

// How long a login waits for another session to end, and how long it is looked
// whether that one's host is alive: its lock is stolen within a minute if not.
const (
	lockPatience = 2 * time.Second
	lockWatch    = 90 * time.Second
)

// unlockPatience is how long the lock is given back; after that others wait for
// it as for a dead host's.
const unlockPatience = 10 * time.Second

// errLost means that the session was not alone.
var errLost = errors.New("the lock on the mailbox was lost")

// watches are the mailboxes whose locks are looked at.
type watches struct {
	mu    sync.Mutex
	users map[string]bool
	group sync.WaitGroup
}

// lock keeps other sessions out (RFC 1939 §3). The error matches
// [locking.ErrHeld] if there is one.
func (s *Server) lock(ctx context.Context, d *drop, user string) error {
	soon, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	held, release, err := d.mailbox.Box().Exclusive(soon)
	if errors.Is(err, locking.ErrHeld) {
		s.watch(ctx, user)
	}
	if err != nil {
		return err
	}
	d.held, d.release = held, release
	if err := d.mailbox.Refresh(ctx); !spool.NoRoom(err) {
		return err
	}
	return nil
}

// watch looks at a lock for long enough to steal it from a dead host, and gives
// it back: clients that are told [IN-USE] do not wait for so long.
func (s *Server) watch(ctx context.Context, user string) {
	w := &s.watches
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.users[user] {
		return
	}
	if w.users == nil {
		w.users = map[string]bool{}
	}
	w.users[user] = true
	w.group.Go(func() {
		defer func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.users, user)
		}()
		m, err := s.backend.Open(ctx, user, spool.Inbox)
		if err != nil {
			return
		}
		until, cancel := context.WithTimeout(ctx, lockWatch)
		defer cancel()
		if _, release, err := m.Box().Exclusive(until); err == nil {
			_ = release(context.WithoutCancel(ctx)) // else others wait for it once more
		}
		_ = m.Close(ctx) // nothing was changed
	})
}

// Wait waits for what goes on behind the sessions. It is called after the last
// of them.
func (s *Server) Wait() { s.watches.group.Wait() }

// close ends the use of the mailbox. The error is about names of files alone.
func (d *drop) close(ctx context.Context) error {
	if d.mailbox == nil {
		return nil
	}
	err := d.mailbox.Close(ctx)
	if d.release != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockPatience)
		defer cancel()
		_ = d.release(ctx) // whoever waits finds out
	}
	return err
}
