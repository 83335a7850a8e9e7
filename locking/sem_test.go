package locking_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbinmail/bobbin/locking"
)

func TestSem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := locking.NewSem()
		unlock, err := s.Lock(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a held lock: %v, want the deadline", err)
		}
		if _, err := s.Lock(ctx); err == nil {
			t.Error("locked with a context that has ended")
		}
		got := make(chan error)
		go func() {
			u, err := s.Lock(t.Context())
			if err == nil {
				defer u()
			}
			got <- err
		}()
		synctest.Wait()
		unlock()
		if err := <-got; err != nil {
			t.Errorf("a freed lock: %v", err)
		}
		done := make(chan struct{})
		close(done)
		if u, err := s.LockOr(t.Context(), done); u != nil || err != nil {
			t.Errorf("LockOr after done: locked %v, %v", u != nil, err)
		}
	})
}
