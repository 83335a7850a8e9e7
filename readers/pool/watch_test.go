package pool_test

import (
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/spool"
)

// TestWatch: who watches is told of what other sessions, processes and this
// process's deliveries do, and of nothing after the end.
func TestWatch(t *testing.T) {
	s := open(t)
	p := &pool.Pool{Spool: s, Every: time.Hour}
	a, b := use(t, p, spool.Inbox), use(t, p, spool.Inbox)
	told := make(chan error, 100)
	stop := a.Watch(func(err error) { told <- err })
	wait := func() {
		t.Helper()
		select {
		case err := <-told:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("nobody was told")
		}
	}
	b.Changed()
	wait()
	p.Delivered("alice", spool.Inbox)
	wait()
	p.Delivered("alice", "Work") // nobody watches it
	a.Changed()                  // it knows
	stop()
	p.Delivered("alice", spool.Inbox)
	b.Changed()
	if len(told) != 0 {
		t.Error("told of its own change, or after the end")
	}
	end(t, a)
	end(t, b)

	p = &pool.Pool{Spool: s, Every: time.Millisecond}
	a = use(t, p, "Work")
	defer a.Watch(func(err error) { told <- err })()
	// Another process deletes the folder.
	if err := s.DeleteFolder(t.Context(), "alice", "Work"); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-told:
		if err == nil {
			t.Error("the folder is gone, and nobody says so")
		}
	case <-time.After(time.Minute):
		t.Error("nobody was told")
	}
}
