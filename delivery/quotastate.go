package delivery

import (
	"context"
	"sync"
	"time"

	"github.com/bobbinmail/bobbin/spool"
)

// QuotaStates keeps the logs of users open for a server, so that a delivery to a
// user with a quota costs the two operations of a record and reads nothing. The zero value
// is ready; nil keeps nothing. It may be used by several goroutines.
type QuotaStates struct {
	// Spool is where the logs are.
	Spool *spool.Spool

	mu   sync.Mutex
	open map[string]*quotaState
	turn int64
}

// statesMax is how many logs are kept open.
const statesMax = 256

// quotaState is a user's log in use.
type quotaState struct {
	*spool.UserState
	user  string
	users int   // how many use it now
	used  int64 // turn of the last use

	mu      sync.Mutex
	counted time.Duration // when all folders were counted last, since boot; 0 for never
}

// recountDue tells whether all folders may be counted again, and takes it that
// they are.
func (s *quotaState) recountDue(now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counted != 0 && now-s.counted < recountPause {
		return false
	}
	s.counted = max(now, 1)
	return true
}

// lookAgain finds out what others did that the log in memory does not tell.
func (s *quotaState) lookAgain(ctx context.Context, now time.Duration) error {
	if s.recountDue(now) {
		return s.Recount(ctx)
	}
	return s.Refresh(ctx)
}

// pending is how many messages of a folder have no UID yet.
func (s *quotaState) pending(folder string) int {
	for _, f := range s.Usage() {
		if f.Folder == folder {
			return f.Pending
		}
	}
	return 0
}

func (k *QuotaStates) get(ctx context.Context, b *spool.Box) (*quotaState, error) {
	if k == nil {
		u, err := b.State(ctx)
		return &quotaState{UserState: u, user: b.User}, err
	}
	if s := k.take(b.User, nil); s != nil {
		return s, nil
	}
	u, err := k.Spool.UserState(ctx, b.User)
	if err != nil {
		return nil, err
	}
	s := k.take(b.User, u)
	if s.UserState != u {
		_ = u.Close(ctx) // another delivery was first
	}
	return s, nil
}

// take returns the state of a user, which is u if there is none yet.
func (k *QuotaStates) take(user string, u *spool.UserState) *quotaState {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.open[user]
	if s == nil && u == nil {
		return nil
	}
	if s == nil {
		if k.open == nil {
			k.open = map[string]*quotaState{}
		}
		s = &quotaState{UserState: u, user: user}
		k.open[user] = s
	}
	k.turn++
	s.users++
	s.used = k.turn
	return s
}

// put ends the use of a state. One that is broken is not used again.
func (k *QuotaStates) put(ctx context.Context, s *quotaState, broken bool) {
	ctx = context.WithoutCancel(ctx)
	if k == nil {
		_ = s.Close(ctx)
		return
	}
	k.mu.Lock()
	s.users--
	if broken && k.open[s.user] == s {
		delete(k.open, s.user)
	}
	var idle *quotaState // what is closed to make room
	if k.open[s.user] != s && s.users == 0 {
		idle = s
	} else if len(k.open) > statesMax {
		for _, o := range k.open {
			if o.users == 0 && (idle == nil || o.used < idle.used) {
				idle = o
			}
		}
		if idle != nil {
			delete(k.open, idle.user)
		}
	}
	k.mu.Unlock()
	if idle != nil {
		_ = idle.Close(ctx)
	}
}
