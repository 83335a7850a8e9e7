package pool_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/spool"
)

// open makes a spool with a user who has a folder Work.
func open(t *testing.T) *spool.Spool {
	t.Helper()
	h, err := netfs.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	s, err := spool.Init(t.Context(), h, spool.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Accounts(t.Context())
	if err == nil {
		err = a.Add(t.Context(), "alice", nil)
	}
	if err == nil {
		err = s.CreateFolder(t.Context(), "alice", "Work")
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func use(t *testing.T, p *pool.Pool, folder string) *pool.Use {
	t.Helper()
	u, err := p.Open(t.Context(), "alice", folder)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func end(t *testing.T, u *pool.Use) {
	t.Helper()
	if err := u.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestShared: all who have a mailbox open have the same, and it stays for who
// comes next, who pays a look for new mail alone.
func TestShared(t *testing.T) {
	s := open(t)
	ops := s.Host.Ops
	p := &pool.Pool{Spool: s, Keep: time.Hour}
	defer p.CloseIdle()
	uses := make([]*pool.Use, 20)
	var all sync.WaitGroup
	for i := range uses {
		all.Go(func() { uses[i] = use(t, p, spool.Inbox) })
	}
	all.Wait()
	for _, u := range uses[1:] {
		if u.Mailbox != uses[0].Mailbox {
			t.Error("there are two of one mailbox")
		}
		end(t, u)
	}
	end(t, uses[0])
	// A change in the last tick of the clock is looked for again, see netfs.Watch;
	// if that had no end, the test would time out.
	for n := int64(4); n > 3; time.Sleep(time.Millisecond) {
		before := ops.Read().Total()
		again := use(t, p, spool.Inbox)
		n = ops.Read().Total() - before
		end(t, again)
		if again.Mailbox != uses[0].Mailbox {
			t.Fatal("the mailbox did not stay open")
		}
	}
}

// TestExpired: an idle mailbox is closed after a while, or when there are more
// than may be.
func TestExpired(t *testing.T) {
	s := open(t)
	p := &pool.Pool{Spool: s, Keep: time.Hour, Most: 1}
	inbox, work := use(t, p, spool.Inbox), use(t, p, "Work")
	end(t, inbox)
	end(t, work)
	u := use(t, p, "Work")
	if u.Mailbox != work.Mailbox {
		t.Error("the one used last was closed")
	}
	end(t, u)
	if u = use(t, p, spool.Inbox); u.Mailbox == inbox.Mailbox {
		t.Error("one too many is open")
	}
	end(t, u)
	p.CloseIdle()
	if again := use(t, p, spool.Inbox); again.Mailbox == u.Mailbox {
		t.Error("CloseIdle left it open")
	} else {
		end(t, again)
	}
	p.CloseIdle()

	p = &pool.Pool{Spool: s, Keep: time.Nanosecond}
	first := use(t, p, spool.Inbox)
	end(t, first)
	for {
		u := use(t, p, spool.Inbox)
		end(t, u)
		if u.Mailbox != first.Mailbox {
			return // else the test times out
		}
		time.Sleep(time.Millisecond)
	}
}

// TestDeleted: a folder that was deleted is not there any more, and one that was
// made anew is another mailbox, while those who have the old one open keep it.
func TestDeleted(t *testing.T) {
	s := open(t)
	p := &pool.Pool{Spool: s}
	defer p.CloseIdle()
	old := use(t, p, "Work")
	defer func() { _ = old.Close(t.Context()) }()
	if err := s.DeleteFolder(t.Context(), "alice", "Work"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(t.Context(), "alice", "Work"); !errors.Is(err, spool.ErrNoFolder) {
		t.Fatalf("%v, want ErrNoFolder", err)
	}
	if err := s.CreateFolder(t.Context(), "alice", "Work"); err != nil {
		t.Fatal(err)
	}
	fresh := use(t, p, "Work")
	defer end(t, fresh)
	if fresh.Mailbox == old.Mailbox || fresh.UIDValidity() == old.UIDValidity() {
		t.Error("the old mailbox is still open")
	}
	if _, err := p.Open(t.Context(), "alice", "None"); !errors.Is(err, spool.ErrNoFolder) {
		t.Errorf("%v, want ErrNoFolder", err)
	}
}
