package locking

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// inside excludes the goroutines of this process from each other's locks,
// before the kernel is asked: they wait in order, without polling, and know
// who they wait for. It is the one thing here that is the process's and not a
// caller's.
var inside = table{m: map[lockKey]*insider{}}

type table struct {
	mu sync.Mutex // held for instants
	m  map[lockKey]*insider
}

// lockKey tells the locks of a process apart. Mail programs take several kinds
// on one file, one after the other.
type lockKey struct{ kind, path string }

type insider struct {
	sem   *Sem
	users int
	owner string
	since time.Time
}

// enter waits until no other goroutine of the process has that lock on f.
func (t *table) enter(ctx context.Context, h *netfs.Host, kind string, f file) (leave func(), err error) {
	abs, err := filepath.Abs(f.path)
	if err != nil {
		return nil, err
	}
	key := lockKey{kind, abs}
	t.mu.Lock()
	in := t.m[key]
	if in == nil {
		in = &insider{sem: NewSem()}
		t.m[key] = in
	}
	in.users++
	t.mu.Unlock()
	unlock, err := in.sem.Lock(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.leave(key, in)
		text := "this process"
		if in.owner != "" {
			text += ", " + in.owner
		}
		return nil, gaveUp(err, &HeldError{f.path, text, in.since})
	}
	in.owner, in.since = f.Owner, h.Wall()
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		in.owner = ""
		unlock()
		t.leave(key, in)
	}, nil
}

// leave forgets a lock that nobody waits for. It is called with mu held.
func (t *table) leave(key lockKey, in *insider) {
	if in.users--; in.users == 0 {
		delete(t.m, key)
	}
}
