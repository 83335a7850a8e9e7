package spool_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/spool"
)

// settling lets the processes of a round wait for each other and then look
// until they have seen everything.
type settling struct {
	busy chan int // how many still change things; a variable that one at a time has
	rest chan struct{}
	seen map[string][]string // process -> its last view; guarded by the history's lock
}

func newSettling(workers int) *settling {
	s := &settling{busy: make(chan int, 1), rest: make(chan struct{}), seen: map[string][]string{}}
	s.busy <- workers
	return s
}

// done says that a process changes nothing any more.
func (s *settling) done() {
	n := <-s.busy - 1
	if s.busy <- n; n == 0 {
		close(s.rest)
	}
}

// resting tells whether nobody changes anything any more.
func (s *settling) resting() bool {
	select {
	case <-s.rest:
		return true
	default:
		return false
	}
}

// settle polls when all others are at rest too, for less time than clients
// believe names on NFS. After a foreign program it is minutes, for
// as long as cur need not be listed.
func (w *worker) settle(ctx context.Context, s *settling, foreign bool) {
	s.done()
	select {
	case <-s.rest:
	case <-ctx.Done():
	}
	pause := 100 * time.Millisecond
	if foreign {
		pause = 5 * time.Second
	}
	for poll := 0; ctx.Err() == nil; poll++ {
		_ = w.h.Sleep(ctx, pause)
		if w.m == nil {
			if w.box != nil || w.connect(ctx) {
				w.judge(ctx, w.reopen(ctx))
			}
			continue
		}
		err := w.m.Refresh(ctx)
		w.judge(ctx, err)
		if poll >= 40 && err == nil {
			w.hist.mu.Lock()
			s.seen[w.id] = view(w.m)
			w.hist.mu.Unlock()
			return
		}
	}
}

// view writes the messages of a mailbox down.
func view(m *spool.Mailbox) (lines []string) {
	for _, msg := range m.Messages() {
		lines = append(lines, msg.Name+" "+msg.Flags.Letters())
		lines = append(lines, msg.Keywords...)
	}
	return lines
}

// agree wants every process to have seen what is there in the end.
func (s *settling) agree(t *testing.T, m *spool.Mailbox) {
	t.Helper()
	want := view(m)
	for id, got := range s.seen {
		if !slices.Equal(got, want) {
			t.Errorf("%s does not see what is there:\n%q\n%q", id, got, want)
		}
	}
}
