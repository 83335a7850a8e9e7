package spool_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// TestExclusive: of two processes one has the mailbox, and then the other; check
// knows the lock's directory.
func TestExclusive(t *testing.T) {
	dir := t.TempDir()
	box := func(make bool) *spool.Box {
		t.Helper()
		h, err := netfs.OpenHost(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Share.Close() })
		open := spool.Open
		if make {
			open = func(ctx context.Context, h *netfs.Host) (*spool.Spool, error) {
				return spool.Init(ctx, h, spool.InitOptions{})
			}
		}
		s, err := open(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		if make {
			a, err := s.Accounts(t.Context())
			if err == nil {
				err = a.Add(t.Context(), "alice", nil)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		b, err := s.Box(t.Context(), "alice", spool.Inbox)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	}
	one, two := box(true), box(false)
	held, release, err := one.Exclusive(t.Context())
	if err != nil || held.Err() != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := two.Exclusive(soon); !errors.Is(err, locking.ErrHeld) {
		t.Errorf("the other process: %v", err)
	}
	if err := release(t.Context()); err != nil || held.Err() == nil {
		t.Errorf("release: %v, and the lock is held: %v", err, held.Err())
	}
	if _, release, err = two.Exclusive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := release(t.Context()); err != nil {
		t.Error(err)
	}
	if found, err := one.Check(t.Context()); err != nil || len(found) > 0 {
		t.Errorf("check: %+v, %v", found, err)
	}
}
