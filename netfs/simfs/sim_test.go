package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// replay is a run with everything: several processes with several goroutines,
// crashes, all faults.
func replay(t *testing.T, share string, seed uint64) (digest uint64, dump, trace string) {
	f := someFaults
	f.Crash = 0.002
	o := simfs.Case{Seed: seed, Share: share, Faults: f}.Options()
	if share == "" {
		o.HoldDirs = seed%2 == 0
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		for i := range 4 {
			h := s.Host(fmt.Sprintf("h%d", i))
			for range 3 {
				s.Go(h, func(ctx context.Context, h *netfs.Host) {
					mixed(ctx, h, 100)
					var wg sync.WaitGroup
					for i := range 3 {
						wg.Go(func() {
							ctx := simfs.Lane(ctx, fmt.Sprint(i))
							_ = h.Sleep(ctx, 10*time.Millisecond)
							_, _ = h.Share.Stat(ctx, ".")
							_ = h.Share.Symlink(ctx, "x", fmt.Sprint("lane", i, h.Wall().UnixNano()))
						})
					}
					wg.Wait()
				})
			}
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		digest, dump, trace = s.Digest(), s.Server().Dump(), s.Trace()
	})
	return digest, dump, trace
}

// One seed gives one run, another seed another one, on every kind of share.
func TestReplay(t *testing.T) {
	digests := map[uint64]bool{}
	seeds := uint64(2 * (len(simfs.Shares()) + 1))
	for seed := range seeds {
		share := simfs.ShareFor(seed)
		digest, dump, trace := replay(t, share, seed)
		digests[digest] = true
		for range 2 {
			d, du, tr := replay(t, share, seed)
			if d != digest || du != dump || tr != trace {
				t.Fatalf("%s, seed %d: two runs differ:\n%s\nand\n%s", share, seed, trace, tr)
			}
		}
	}
	if len(digests) != int(seeds) {
		t.Errorf("%d seeds gave %d runs", seeds, len(digests))
	}
}

// The order in which goroutines arrive at the gate does not matter, even if
// only their trees, files or lanes tell them apart.
func TestArrival(t *testing.T) {
	run := func(start []int) (digest uint64) {
		simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
			h := s.Host("a")
			trees, files := make([]netfs.FS, 3), make([]netfs.File, 3)
			for i := range 3 {
				err := h.Share.Mkdir(t.Context(), fmt.Sprint("d", i), 0o700)
				if err == nil {
					trees[i], err = h.Share.Sub(t.Context(), fmt.Sprint("d", i))
				}
				if err == nil {
					files[i], err = h.Share.Create(t.Context(), "f", 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				var wg sync.WaitGroup
				together := time.Now().Add(time.Second)
				for _, i := range start {
					act := func(do func()) {
						wg.Go(func() {
							time.Sleep(time.Until(together))
							do()
						})
					}
					act(func() { _ = trees[i].Mkdir(ctx, "same", 0o700); _ = trees[i].Remove(ctx, fmt.Sprint(i)) })
					act(func() { _, _ = io.WriteString(files[i], "same"); _ = h.Share.Remove(ctx, fmt.Sprint("f", i)) })
					ctx := simfs.Lane(ctx, fmt.Sprint(i))
					act(func() { _, _ = h.Share.Stat(ctx, "."); _ = h.Share.Remove(ctx, fmt.Sprint("l", i)) })
				}
				wg.Wait()
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			digest = s.Digest()
		})
		return digest
	}
	first := run([]int{0, 1, 2})
	for _, start := range [][]int{{0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		if d := run(start); d != first {
			t.Errorf("started in the order %v: digest %x, want %x", start, d, first)
		}
	}
}

// Two processes are interleaved in every order.
func TestInterleaving(t *testing.T) {
	orders := map[string]bool{}
	for seed := range uint64(200) {
		simfs.Run(t, simfs.Options{Seed: seed}, func(t *testing.T, s *simfs.Sim) {
			order := ""
			for _, name := range []string{"a", "b"} {
				s.Go(s.Host(name), func(ctx context.Context, h *netfs.Host) {
					for range 3 {
						_, _ = h.Share.Stat(ctx, ".")
						order += name
					}
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			orders[order] = true
		})
	}
	if len(orders) != 20 { // 6 over 3
		t.Errorf("%d of 20 orders: %v", len(orders), orders)
	}
}

// A crash at operation k leaves exactly the first k operations, with Applied
// one more; every k can be reached; the process is dead afterwards.
func TestCrashAt(t *testing.T) {
	const ops = 5
	work := func(ctx context.Context, h *netfs.Host) {
		for i := range ops {
			_ = h.Share.Mkdir(ctx, fmt.Sprint("d", i), 0o700)
		}
	}
	for k := range ops + 1 {
		for _, applied := range []bool{false, true} {
			o := simfs.Options{CrashAt: &simfs.At{Host: "a", Op: k, Applied: applied}}
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				a, b, again := s.Host("a"), s.Host("b"), s.Host("a")
				var end [3]error
				s.Go(a, func(ctx context.Context, h *netfs.Host) {
					work(ctx, h)
					end = [3]error{ctx.Err(), context.Cause(ctx), h.Sleep(context.Background(), time.Hour)}
				})
				s.Go(b, func(ctx context.Context, h *netfs.Host) { _, _ = h.Share.Stat(ctx, ".") })
				start := time.Now()
				if err := s.Run(); err != nil {
					t.Fatal(err)
				}
				names, err := s.Server().List(".")
				want := k
				if applied {
					want = k + 1
				}
				if want = min(want, ops); err != nil || len(names) != want {
					t.Errorf("crash at %d, applied %v: %v (%v)", k, applied, names, err)
				}
				dead := end == [3]error{context.Canceled, simfs.ErrDead, simfs.ErrDead}
				if hit := k < ops; s.Crashed(a) != hit || dead != hit || s.Crashed(b) {
					t.Errorf("crash at %d: a crashed %v, its end %v; b crashed %v", k, s.Crashed(a), end, s.Crashed(b))
				}
				if got := s.OpsOf(a); got != min(k+1, ops) {
					t.Errorf("crash at %d: %d operations", k, got)
				}
				if took := time.Since(start); (took > time.Hour) != (k == ops) {
					t.Errorf("crash at %d: the run took %v", k, took)
				}
				s.Go(again, work)
				if err := s.Run(); err != nil || s.OpsOf(again) != ops || s.Crashed(again) {
					t.Errorf("the next process of that name: %d operations, crashed %v (%v)", s.OpsOf(again), s.Crashed(again), err)
				}
			})
		}
	}
}

// The other operations that a crashed process has under way are done, or not,
// or later.
func TestCrashInFlight(t *testing.T) {
	counts, late := map[int]bool{}, false
	for seed := range uint64(60) {
		o := simfs.Options{Seed: seed, CrashAt: &simfs.At{Host: "a", Op: 0}}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			h := s.Host("a")
			atDeath := 0
			together := time.Now().Add(time.Second)
			for i := range 4 {
				s.Go(h, func(ctx context.Context, h *netfs.Host) {
					time.Sleep(time.Until(together))
					if err := h.Share.Mkdir(ctx, fmt.Sprint("d", i), 0o700); err != simfs.ErrDead {
						t.Errorf("mkdir: %v", err)
					}
					if i == 0 {
						names, _ := s.Server().List(".")
						atDeath = len(names)
					}
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			names, _ := s.Server().List(".")
			counts[atDeath] = true
			late = late || len(names) > atDeath
		})
	}
	if !late {
		t.Error("nothing came late")
	}
	for n := range 4 {
		if !counts[n] {
			t.Errorf("never %d of 3 done: %v", n, counts)
		}
	}
}

// A process ends with its last function; goroutines that it left are dead.
func TestEnd(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		h := s.Host("a")
		second := false
		left := make(chan error, 1)
		s.Go(h, func(ctx context.Context, h *netfs.Host) {
			go func() {
				var err error
				for err == nil {
					_, err = h.Share.Stat(ctx, ".")
				}
				left <- err
			}()
		})
		s.Go(h, func(ctx context.Context, h *netfs.Host) {
			err := h.Sleep(ctx, time.Minute)
			_, serr := h.Share.Stat(ctx, ".")
			second = err == nil && serr == nil
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		if err := <-left; err != simfs.ErrDead || !second {
			t.Errorf("the goroutine left got %v; the second function was alive: %v", err, second)
		}
		if s.Crashed(h) {
			t.Error("an end is no crash")
		}
		if _, err := h.Share.Stat(t.Context(), "."); err != simfs.ErrDead {
			t.Errorf("after the end: %v", err)
		}
	})
}

// A run that cannot end is an error, not a hang.
func TestStuck(t *testing.T) {
	for name, fn := range map[string]func(ctx context.Context, h *netfs.Host){
		"waits": func(ctx context.Context, h *netfs.Host) { <-ctx.Done() },
		"spins": func(ctx context.Context, h *netfs.Host) {
			for ctx.Err() == nil {
				_, _ = h.Share.Stat(ctx, ".")
			}
		},
	} {
		simfs.Run(t, simfs.Options{MaxOps: 1000}, func(t *testing.T, s *simfs.Sim) {
			s.Go(s.Host("a"), fn)
			s.Go(s.Host("b"), func(context.Context, *netfs.Host) {})
			err := s.Run()
			if !errors.Is(err, simfs.ErrStuck) || !strings.Contains(err.Error(), "a#0") || strings.Contains(err.Error(), "b#1") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// Processes that never ran are killed when the test returns.
func TestKill(t *testing.T) {
	ran := false
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		s.Go(s.Host("a"), func(context.Context, *netfs.Host) { ran = true })
	})
	if ran {
		t.Error("a process ran without Sim.Run")
	}
}

// Operations take time, sleeping takes no operations, and no two processes
// share clocks or random bytes.
func TestHost(t *testing.T) {
	simfs.Run(t, simfs.Options{WallSkew: time.Hour}, func(t *testing.T, s *simfs.Sim) {
		a, b := s.Host("a"), s.Host("b")
		if a.Boot() == b.Boot() || a.Wall().Equal(b.Wall()) || a.Wall().Sub(b.Wall()).Abs() > 2*time.Hour {
			t.Errorf("clocks: boot %v and %v, wall %v and %v", a.Boot(), b.Boot(), a.Wall(), b.Wall())
		}
		ta, erra := a.Token()
		tb, errb := b.Token()
		if ta == tb || erra != nil || errb != nil {
			t.Errorf("tokens %q and %q (%v, %v)", ta, tb, erra, errb)
		}
		s.Go(a, func(ctx context.Context, h *netfs.Host) {
			start, wall := h.Boot(), h.Wall()
			for range 100 {
				_, _ = h.Share.Stat(ctx, ".")
			}
			if d := h.Boot() - start; d < 5*time.Millisecond || d > 100*time.Millisecond || h.Wall().Sub(wall) != d {
				t.Errorf("100 operations took %v, %v on the wall", d, h.Wall().Sub(wall))
			}
			start = h.Boot()
			if err := h.Sleep(ctx, time.Hour); err != nil || h.Boot()-start != time.Hour {
				t.Errorf("slept %v (%v)", h.Boot()-start, err)
			}
			limited, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			if err := h.Sleep(limited, time.Minute); err != context.DeadlineExceeded {
				t.Errorf("a sleep that ends with its deadline: %v", err)
			}
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		if n, ops := s.OpsOf(a), a.Ops.Read(); n != 100 || ops.Total() != 100 || ops[netfs.OpGetattr] != 100 {
			t.Errorf("%d operations, counted: %v", n, ops)
		}
	})
}

// The trace names host, tree, operation, outcome and fate.
func TestTrace(t *testing.T) {
	o := simfs.Options{TraceLen: 2, FailAt: &simfs.At{Host: "a", Op: 2, Applied: true}}
	run(t, o, func(t *testing.T, ctx context.Context, f netfs.FS) {
		_ = f.Mkdir(ctx, "d", 0o700)
		d, err := f.Sub(ctx, "d")
		if err != nil {
			t.Fatal(err)
		}
		_ = d.Symlink(ctx, "to", "l")
		_, _ = d.Readlink(ctx, "none")
	}, func(t *testing.T, s *simfs.Sim) {
		lines := strings.Split(strings.TrimSpace(s.Trace()), "\n")
		want := []string{
			`a#0 symlink d/l "to": input/output error [done, reply lost]`,
			`a#0 readlink d/none: no such file or directory`,
		}
		if len(lines) != 2 || !strings.HasSuffix(lines[0], want[0]) || !strings.HasSuffix(lines[1], want[1]) {
			t.Errorf("trace:\n%s\nwant:\n%s", s.Trace(), strings.Join(want, "\n"))
		}
	})
}

// SetFaults ends the faults for the phase of checking.
func TestSetFaults(t *testing.T) {
	simfs.Run(t, simfs.Options{Faults: simfs.Faults{Fail: 1}}, func(t *testing.T, s *simfs.Sim) {
		var before, after error
		for _, err := range []*error{&before, &after} {
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) { _, *err = h.Share.Stat(ctx, ".") })
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			s.SetFaults(simfs.Faults{})
		}
		if before == nil || after != nil {
			t.Errorf("before %v, after %v", before, after)
		}
	})
}

// The primitives of netfs keep their word under all faults: a Put that
// returned nil is there, and of all Puts on one name one wins.
func TestPutUnderFaults(t *testing.T) {
	acknowledged := 0
	for seed := range uint64(100) {
		f := someFaults
		f.Crash = 0.01
		simfs.Run(t, simfs.Options{Seed: seed, Faults: f}, func(t *testing.T, s *simfs.Sim) {
			var mu sync.Mutex
			won := map[string]string{}
			for i := range 4 {
				way := netfs.Way(seed % 2)
				s.Go(s.Host(fmt.Sprint("h", i)), func(ctx context.Context, h *netfs.Host) {
					for slot := range 10 {
						name := fmt.Sprint("slot", slot)
						data, err := h.Token()
						if err != nil {
							t.Error(err)
						}
						_, err = way.Put(ctx, h, h.Share, name, data)
						mu.Lock()
						if err == nil {
							if won[name] != "" {
								t.Errorf("%s was won twice", name)
							}
							won[name] = data
						}
						mu.Unlock()
					}
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			for name, data := range won {
				got, err := netfs.Way(seed%2).Get(t.Context(), s.Host("check").Share, name)
				if got != data || err != nil {
					t.Errorf("%s holds %q, acknowledged was %q (%v)", name, got, data, err)
				}
			}
			acknowledged += len(won)
		})
	}
	if acknowledged < 500 {
		t.Errorf("%d of 1000 slots were won", acknowledged)
	}
}
