package locking_test

import (
	"context"
	"errors"
	"fmt"
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

func configOf(h *netfs.Host) locking.TokenConfig {
	return locking.TokenConfig{Host: h, FS: h.Share, Dir: "lk"}
}

func tokenOf(h *netfs.Host) *locking.Token { return locking.NewToken(configOf(h)) }

func acquire(ctx context.Context, t *testing.T, tok *locking.Token) (context.Context, func(context.Context) error) {
	t.Helper()
	held, release, err := tok.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return held, release
}

// sleep waits on the bubble's own clock, whatever becomes of the processes.
func sleep(d time.Duration) { time.Sleep(d) }

func TestTokenBasics(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 1}, func(t *testing.T, s *simfs.Sim) {
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "kept")
		a, b := tokenOf(s.Host("a")), locking.NewToken(locking.TokenConfig{
			Host: s.Host("b"), FS: s.Host("b").Share, Dir: "lk", Label: "POP3 session of alice",
		})
		short, cancel := context.WithTimeout(ctx, time.Second)
		held, release := acquire(short, t, a)
		sleep(2 * time.Minute)
		cancel()
		if held.Err() != nil || held.Value(key{}) != "kept" || locking.Epoch(held) != 1 {
			t.Errorf("held: %v, %v, epoch %d", held.Err(), held.Value(key{}), locking.Epoch(held))
		}
		derived, cancel := context.WithCancel(held)
		defer cancel()

		short, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, _, err := b.Acquire(short)
		var he *locking.HeldError
		if !errors.Is(err, locking.ErrHeld) || !errors.As(err, &he) {
			t.Fatalf("a held lock: %v", err)
		}
		if he.Name != "lk" || !strings.HasPrefix(he.Owner, "a (") || he.Since.IsZero() {
			t.Errorf("a held lock: %+v", he)
		}
		short, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, _, err := a.Acquire(short); !errors.As(err, &he) || he.Owner != "this process" {
			t.Errorf("a lock of one's own: %v", err)
		}
		off, cancel := context.WithCancel(ctx)
		cancel()
		if _, _, err := b.Acquire(off); !errors.Is(err, context.Canceled) || errors.Is(err, locking.ErrHeld) {
			t.Errorf("called off: %v", err)
		}

		if err := release(ctx); err != nil {
			t.Error(err)
		}
		if held.Err() == nil || derived.Err() == nil || errors.Is(context.Cause(held), locking.ErrLost) {
			t.Errorf("after release: %v, %v", held.Err(), context.Cause(held))
		}
		if err := release(ctx); err != nil {
			t.Errorf("second release: %v", err)
		}
		held, release = acquire(ctx, t, b)
		if locking.Epoch(held) != 2 || locking.Epoch(ctx) != 0 {
			t.Errorf("epoch %d", locking.Epoch(held))
		}
		short, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, _, err := a.Acquire(short); !errors.As(err, &he) || !strings.HasPrefix(he.Owner, "pop3-session-of-alice (") {
			t.Errorf("a labelled lock: %v", err)
		}
		if err := release(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestTokenCost: what the server is asked, by kind.
func TestTokenCost(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 1}, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		h := s.Host("a")
		a, b := tokenOf(h), tokenOf(h)
		last := h.Ops.Read()
		cost := func(what, want string) {
			t.Helper()
			now := h.Ops.Read()
			if got := now.Sub(last).String(); got != want {
				t.Errorf("%s: %s, want %s", what, got, want)
			}
			last = now
		}
		_, release := acquire(ctx, t, a)
		cost("first ever", "open 1 close 1 getattr 2 readdir 2 symlink 1 rename 2 mkdir 1")
		for i := range 2 {
			if err := release(ctx); err != nil {
				t.Fatal(err)
			}
			cost("release", "rename 1")
			_, release = acquire(ctx, t, a)
			cost(fmt.Sprint("acquire again ", i), "rename 1")
		}
		sleep(6 * time.Second)
		cost("held for 6 s", "")
		sleep(35 * time.Second)
		cost("held for 35 s more", "rename 5")
		_ = release(ctx)
		cost("release", "rename 1")
		_, release = acquire(ctx, t, b)
		cost("acquire from another", "getattr 1 readdir 1 rename 1")
		_ = release(ctx)
		last = h.Ops.Read()
		_, release = acquire(ctx, t, a)
		cost("acquire what another had meanwhile", "getattr 6 readdir 1 rename 2")
		_ = release(ctx)
	})
}

// A dead holder's lock is had after 45 seconds of watching, and not before;
// the watching may be spread over several calls.
func TestTokenDeadHolder(t *testing.T) {
	for _, patience := range []time.Duration{2 * time.Minute, 4 * time.Second} {
		simfs.Run(t, simfs.Options{Seed: 2}, func(t *testing.T, s *simfs.Sim) {
			a, b := s.Host("a"), s.Host("b")
			s.Go(a, func(ctx context.Context, h *netfs.Host) { acquire(ctx, t, tokenOf(h)) })
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			s.Go(b, func(ctx context.Context, h *netfs.Host) {
				start, tok := h.Boot(), tokenOf(h)
				for range 30 {
					ctx, cancel := context.WithTimeout(ctx, patience)
					held, release, err := tok.Acquire(ctx)
					cancel()
					if errors.Is(err, locking.ErrHeld) {
						continue
					}
					if err != nil || locking.Epoch(held) != 2 {
						t.Error(err)
						return
					}
					if err := release(context.WithoutCancel(ctx)); err != nil {
						t.Error(err)
					}
					break
				}
				if d := h.Boot() - start; d < 45*time.Second || d > time.Minute {
					t.Errorf("had it after %v", d)
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// badFS fails renames and everything else while down.
type badFS struct {
	netfs.FS
	down atomic.Bool
}

func (f *badFS) err() error {
	if f.down.Load() {
		return syscall.EIO
	}
	return nil
}

func (f *badFS) Rename(ctx context.Context, o, n string) error {
	if err := f.err(); err != nil {
		return err
	}
	return f.FS.Rename(ctx, o, n)
}

func (f *badFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	if err := f.err(); err != nil {
		return netfs.Info{}, err
	}
	return f.FS.Stat(ctx, name)
}

// A holder that cannot reach the share stops by itself at half the time after
// which it is robbed, and is told when it was.
func TestTokenHolderStops(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 3}, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		h, bad := s.Host("a"), &badFS{}
		bad.FS = h.Share
		cfg := configOf(h)
		cfg.FS = bad
		a := locking.NewToken(cfg)
		for _, stolen := range []bool{false, true} {
			held, release := acquire(ctx, t, a)
			sleep(30 * time.Second) // beats at 7, 14, 21 and 28
			start := h.Boot()
			bad.down.Store(true)
			<-held.Done()
			if d := h.Boot() - start; d < 15*time.Second || d > 22*time.Second {
				t.Errorf("stopped after %v", d)
			}
			if !errors.Is(context.Cause(held), locking.ErrLost) {
				t.Errorf("cause: %v", context.Cause(held))
			}
			if stolen {
				_, give := acquire(ctx, t, tokenOf(s.Host("b")))
				defer func() { _ = give(ctx) }()
			}
			bad.down.Store(false)
			if err := release(ctx); errors.Is(err, locking.ErrLost) != stolen || !stolen && err != nil {
				t.Errorf("stolen %v: release: %v", stolen, err)
			}
		}
	})
}

// A beat that is answered finds out that the lock was stolen.
func TestTokenRobbed(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 3}, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		h := s.Host("a")
		held, release := acquire(ctx, t, tokenOf(h))
		names, err := h.Share.ReadDir(ctx, "lk")
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(names, func(s string) bool { return strings.HasPrefix(s, "H.") })
		if err := h.Share.Rename(ctx, "lk/"+names[i], "lk/F.2"); err != nil {
			t.Fatal(err)
		}
		start := h.Boot()
		<-held.Done()
		if d := h.Boot() - start; d > 8*time.Second || !errors.Is(context.Cause(held), locking.ErrLost) {
			t.Errorf("found out after %v: %v", d, context.Cause(held))
		}
		if err := release(ctx); !errors.Is(err, locking.ErrLost) {
			t.Errorf("release: %v", err)
		}
	})
}

// The timers of a machine that was suspended go on where they stood; Err tells
// the truth at once.
func TestTokenSuspend(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 3}, func(t *testing.T, s *simfs.Sim) {
		var jump atomic.Int64
		h := *s.Host("a")
		boot := h.Boot
		h.Boot = func() time.Duration { return boot() + time.Duration(jump.Load()) }
		held, release := acquire(t.Context(), t, tokenOf(&h))
		jump.Store(int64(20 * time.Second))
		if held.Err() != nil {
			t.Error("lost after 20 s")
		}
		jump.Store(int64(25 * time.Second))
		if held.Err() == nil || !errors.Is(context.Cause(held), locking.ErrLost) {
			t.Errorf("25 s after the last beat: %v, %v", held.Err(), context.Cause(held))
		}
		select {
		case <-held.Done():
		default:
			t.Error("Err without Done")
		}
		if err := release(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// When holder and waiter stood still together, and the holder's clock with
// it, a name that did not change proves nothing: the waiter begins anew.
func TestTokenGap(t *testing.T) {
	for seed := range uint64(20) {
		simfs.Run(t, simfs.Options{Seed: seed}, func(t *testing.T, s *simfs.Sim) {
			r := &register{t: t, s: s, strict: true, epochs: map[uint64]string{}}
			a, b := s.Host("a"), s.Host("b")
			fa := &freezer{stopClock: true, at: []frost{{40 * time.Second, 105 * time.Second}}}
			fb := &freezer{at: []frost{{40 * time.Second, 100 * time.Second}}}
			ha, hb := fa.host(a), fb.host(b)
			s.Go(a, func(ctx context.Context, _ *netfs.Host) {
				held, release := acquire(ctx, t, tokenOf(ha))
				r.enter(&believer{"a", a, locking.Epoch(held), held})
				_ = a.Sleep(ctx, 3*time.Minute)
				if err := held.Err(); err != nil {
					t.Errorf("held ended: %v", context.Cause(held))
				}
				if err := release(ctx); err != nil {
					t.Error(err)
				}
			})
			s.Go(b, func(ctx context.Context, _ *netfs.Host) {
				_ = b.Sleep(ctx, 20*time.Second)
				held, release := acquire(ctx, t, tokenOf(hb))
				r.enter(&believer{"b", b, locking.Epoch(held), held})
				_ = release(ctx)
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// cachingFS lists a directory from its cache as long as its stamp stands
// still, and the stamp is coarse (H35).
type cachingFS struct {
	netfs.FS
	stamp netfs.Stamp
	names []string
}

func (f *cachingFS) ReadDir(ctx context.Context, name string) ([]string, error) {
	i, err := f.FS.Stat(ctx, name)
	if err != nil {
		return nil, err
	}
	if f.names == nil || i.Stamp() != f.stamp {
		f.stamp = i.Stamp()
		f.names, err = f.FS.ReadDir(ctx, name)
	}
	return f.names, err
}

// A listing that went into the cache in the tick of the last change does not
// keep a waiter waiting for ever.
func TestTokenStaleListing(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 3, Tick: 100 * time.Millisecond}, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		a, b := tokenOf(s.Host("a")), s.Host("b")
		_, release := acquire(ctx, t, a)
		if err := release(ctx); err != nil {
			t.Fatal(err)
		}
		sleep(time.Second)
		_, release = acquire(ctx, t, a)
		cache := &cachingFS{FS: b.Share}
		cfg := configOf(b)
		cfg.FS = cache
		if _, err := cache.ReadDir(ctx, "lk"); err != nil {
			t.Fatal(err)
		}
		if err := release(ctx); err != nil { // in the same tick
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
		defer cancel()
		_, release = acquire(ctx, t, locking.NewToken(cfg))
		if err := release(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestTokenBreakOff breaks the first acquisition, a beat and the release off
// at each operation, in each way. Whatever comes late, no epoch is had twice
// and there is one believer.
func TestTokenBreakOff(t *testing.T) {
	type variant struct {
		crash, applied, late bool
		errno                syscall.Errno
	}
	for _, v := range []variant{
		{crash: true}, {crash: true, applied: true}, {crash: true, late: true},
		{}, {applied: true}, {late: true}, {errno: syscall.EACCES}, {errno: syscall.ENOSPC},
	} {
		t.Run(fmt.Sprintf("%+v", v), func(t *testing.T) {
			for k, more := 0, true; more && !t.Failed(); k++ {
				for seed := range uint64(4) {
					at := &simfs.At{Host: "a", Op: k, Applied: v.applied, Late: v.late, Err: v.errno}
					o := simfs.Options{Seed: seed, FailAt: at, Faults: simfs.Faults{LateMax: 200 * time.Second}}
					if v.crash {
						o.CrashAt, o.FailAt = at, nil
					}
					more = breakOff(t, o, k)
				}
			}
		})
	}
}

func breakOff(t *testing.T, o simfs.Options, k int) (more bool) {
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		r := &register{t: t, s: s, strict: true, epochs: map[uint64]string{}}
		tenure := func(ctx context.Context, h *netfs.Host) error {
			held, release, err := tokenOf(h).Acquire(ctx)
			if err != nil {
				return err
			}
			b := &believer{h.Tag, h, locking.Epoch(held), held}
			r.enter(b)
			_ = h.Sleep(ctx, 10*time.Second)
			last := r.isLast(b)
			err = release(ctx)
			r.leave(b, last, err)
			return err
		}
		a := s.Host("a")
		s.Go(a, func(ctx context.Context, h *netfs.Host) {
			err := tenure(ctx, h)
			if at := o.FailAt; at != nil && err != nil && (at.Err == 0 || at.Err == syscall.EACCES) && !errors.Is(err, locking.ErrLost) {
				t.Errorf("one failure: %v", err)
			}
		})
		for _, name := range []string{"b", "c"} {
			s.Go(s.Host(name), func(ctx context.Context, h *netfs.Host) {
				_ = h.Sleep(ctx, 3*time.Second)
				for range 4 {
					if err := tenure(ctx, h); err != nil {
						t.Errorf("operation %d: %v", k, err)
					}
					_ = h.Sleep(ctx, 20*time.Second)
				}
			})
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		more = s.OpsOf(a) > k
	})
	return more
}
