package locking_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// slowFS is a share whose answers to renames come late, or never: the server
// has done them long before.
type slowFS struct {
	netfs.FS
	delay atomic.Int64 // of the next answer
	deaf  atomic.Bool  // from the next rename on nothing is answered
	mute  atomic.Bool
}

func (f *slowFS) Rename(ctx context.Context, o, n string) error {
	if f.mute.Load() {
		return syscall.EIO
	}
	err := f.FS.Rename(ctx, o, n)
	if f.deaf.Load() {
		f.mute.Store(true)
		return syscall.EIO
	}
	time.Sleep(time.Duration(f.delay.Swap(0)))
	return err
}

func (f *slowFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	if f.mute.Load() {
		return netfs.Info{}, syscall.EIO
	}
	return f.FS.Stat(ctx, name)
}

func (f *slowFS) heal() {
	f.deaf.Store(false)
	f.mute.Store(false)
}

func slowToken(s *simfs.Sim) (*netfs.Host, *slowFS, *locking.Token) {
	h := s.Host("a")
	slow := &slowFS{FS: h.Share}
	cfg := configOf(h)
	cfg.FS = slow
	return h, slow, locking.NewToken(cfg)
}

// The time of a holder counts from before its request was sent: the others may
// watch the new name long before the answer arrives.
func TestTokenSlowAnswers(t *testing.T) {
	for _, what := range []string{"acquire", "beat"} {
		simfs.Run(t, simfs.Options{Seed: 5}, func(t *testing.T, s *simfs.Sim) {
			ctx := t.Context()
			h, slow, tok := slowToken(s)
			_, release := acquire(ctx, t, tok)
			if err := release(ctx); err != nil {
				t.Fatal(err)
			}
			start := h.Boot()
			if what == "acquire" {
				slow.delay.Store(int64(15 * time.Second))
			}
			held, release := acquire(ctx, t, tok)
			if what == "beat" {
				sleep(time.Second)
				slow.delay.Store(int64(15 * time.Second))
				start += 7 * time.Second
				sleep(20 * time.Second)
			}
			slow.mute.Store(true)
			<-held.Done()
			if d := h.Boot() - start; d > 23*time.Second {
				t.Errorf("%s: it was believed in for %v", what, d)
			}
			slow.heal()
			if err := release(ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

// An answer that comes when the time is over gives nobody the lock. It is
// taken anew, with another epoch.
func TestTokenTooLate(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 5}, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		_, slow, tok := slowToken(s)
		_, release := acquire(ctx, t, tok)
		if err := release(ctx); err != nil {
			t.Fatal(err)
		}
		slow.delay.Store(int64(25 * time.Second))
		held, release := acquire(ctx, t, tok)
		if held.Err() != nil || locking.Epoch(held) != 3 {
			t.Errorf("epoch %d, %v", locking.Epoch(held), context.Cause(held))
		}
		if err := release(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Who took the lock and was not told does not wait for himself as for a dead
// holder.
func TestTokenOwnDoubt(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 5}, func(t *testing.T, s *simfs.Sim) {
		h, slow, tok := slowToken(s)
		_, release := acquire(t.Context(), t, tok)
		if err := release(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow.deaf.Store(true)
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, _, err := tok.Acquire(short); err == nil || errors.Is(err, locking.ErrHeld) {
			t.Errorf("a share that does not answer: %v", err)
		}
		slow.heal()
		start := h.Boot()
		held, release := acquire(t.Context(), t, tok)
		if d := h.Boot() - start; d > 5*time.Second || locking.Epoch(held) != 3 {
			t.Errorf("epoch %d after %v", locking.Epoch(held), d)
		}
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A beat that was done and not answered does not keep the lock from being
// given back.
func TestTokenBeatInDoubt(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 5}, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		h, slow, tok := slowToken(s)
		_, release := acquire(ctx, t, tok)
		slow.deaf.Store(true)
		sleep(10 * time.Second)
		slow.mute.Store(true)
		done := make(chan error, 1)
		go func() { done <- release(ctx) }()
		sleep(time.Second)
		slow.heal()
		if err := <-done; err != nil {
			t.Errorf("release: %v", err)
		}
		names, err := h.Share.ReadDir(ctx, "lk")
		if !slices.Contains(names, "F.1") || err != nil {
			t.Errorf("left %q, %v", names, err)
		}
	})
}

// A holder removes what others left.
func TestTokenLitter(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 5}, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		h := s.Host("a")
		for range 3 {
			_, release := acquire(ctx, t, tokenOf(h))
			if err := release(ctx); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"F.1", "t.left", "README"} {
			if err := netfs.WriteFile(ctx, h.Share, "lk/"+name, nil); err != nil {
				t.Fatal(err)
			}
		}
		held, release := acquire(ctx, t, tokenOf(h))
		sleep(time.Second)
		names, err := h.Share.ReadDir(ctx, "lk")
		if len(names) != 3 || !strings.HasPrefix(names[0], "H.4.") || names[1] != "README" || names[2] != "seed.0" || err != nil || locking.Epoch(held) != 4 {
			t.Errorf("there are %q, %v", names, err)
		}
		if err := release(ctx); err != nil {
			t.Error(err)
		}
	})
}
