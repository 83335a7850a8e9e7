package commitlog_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// farFS is a share to which each request of a log has a long way.
type farFS struct {
	netfs.FS
	h   *netfs.Host
	way time.Duration
}

// far waits for one request, or several, before the call itself.
func far[T any](ctx context.Context, f farFS, requests int, call func() (T, error)) (T, error) {
	if err := f.h.Sleep(ctx, time.Duration(requests)*f.way); err != nil {
		var none T
		return none, err
	}
	return call()
}

func (f farFS) do(ctx context.Context, call func() error) error {
	_, err := far(ctx, f, 1, func() (struct{}, error) { return struct{}{}, call() })
	return err
}

// Create and Open stand for what is asked of the file as well.
func (f farFS) Create(ctx context.Context, name string, perm fs.FileMode) (netfs.File, error) {
	return far(ctx, f, 3, func() (netfs.File, error) { return f.FS.Create(ctx, name, perm) })
}

func (f farFS) Open(ctx context.Context, name string) (netfs.File, error) {
	return far(ctx, f, 3, func() (netfs.File, error) { return f.FS.Open(ctx, name) })
}

func (f farFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	return far(ctx, f, 1, func() (netfs.Info, error) { return f.FS.Stat(ctx, name) })
}

func (f farFS) ReadDir(ctx context.Context, name string) ([]string, error) {
	return far(ctx, f, 1, func() ([]string, error) { return f.FS.ReadDir(ctx, name) })
}

func (f farFS) Readlink(ctx context.Context, name string) (string, error) {
	return far(ctx, f, 1, func() (string, error) { return f.FS.Readlink(ctx, name) })
}

func (f farFS) Symlink(ctx context.Context, target, name string) error {
	return f.do(ctx, func() error { return f.FS.Symlink(ctx, target, name) })
}

func (f farFS) Link(ctx context.Context, oldName, newName string) error {
	return f.do(ctx, func() error { return f.FS.Link(ctx, oldName, newName) })
}

func (f farFS) Rename(ctx context.Context, oldName, newName string) error {
	return f.do(ctx, func() error { return f.FS.Rename(ctx, oldName, newName) })
}

func (f farFS) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	return f.do(ctx, func() error { return f.FS.Mkdir(ctx, name, perm) })
}

func (f farFS) Remove(ctx context.Context, name string) error {
	return f.do(ctx, func() error { return f.FS.Remove(ctx, name) })
}

func (f farFS) SyncDir(ctx context.Context, name string) error {
	return f.do(ctx, func() error { return f.FS.SyncDir(ctx, name) })
}

// tally is a state machine that only counts.
type tally struct {
	records uint64
	applied int // one by one
}

func (c *tally) log(h *netfs.Host) *commitlog.Log {
	return commitlog.New(commitlog.Config{
		Host: h, FS: h.Share, Dir: "log", Way: netfs.ViaSymlink, RecordMax: 4000,
		Apply:    func(*commitlog.Record) error { c.records++; c.applied++; return nil },
		Snapshot: func(uint64) ([]byte, uint64) { return fmt.Appendln(nil, c.records), 0 },
		Load: func(text []byte) (err error) {
			if c.records = 0; text != nil {
				_, err = fmt.Sscan(string(text), &c.records)
			}
			return err
		},
	})
}

func one(op string) func() ([]string, error) {
	return func() ([]string, error) { return []string{op}, nil }
}

// contest is one between hosts near the server that commit without a pause and
// hosts far away: what a request takes these, and how many records of others
// they may wait for with their first in the log and with another.
type contest struct {
	share        string
	way          time.Duration
	near, far    int
	first, other int
	onlyInFull   bool
}

// Each host far away has its turn as soon as docs/spool-format.md says. With
// several of them, one may be the last.
func TestFairness(t *testing.T) {
	for _, c := range []contest{
		{"nfs4", 3 * time.Millisecond, 1, 1, 1 << 11, 128, false},
		{"nfs4", 10 * time.Millisecond, 1, 1, 1 << 11, 128, false},
		{"nfs4", 10 * time.Millisecond, 2, 1, 1 << 11, 128, false},
		{"nfs4", 20 * time.Millisecond, 1, 1, 1 << 13, 1 << 10, false},
		{"ceph", 10 * time.Millisecond, 1, 1, 1 << 11, 128, true},
		{"nfs3", 10 * time.Millisecond, 1, 1, 1 << 15, 1 << 10, true},
		{"nfs4", 10 * time.Millisecond, 1, 3, 1 << 11, 128, true},
		{"nfs4", 20 * time.Millisecond, 2, 2, 1 << 13, 1 << 10, true},
		{"nfs4", 100 * time.Millisecond, 1, 1, 1 << 16, 1 << 13, true},
		{"nfs4", 100 * time.Millisecond, 2, 2, 1 << 16, 1 << 13, true},
	} {
		t.Run(fmt.Sprintf("%s,%v,%d,%d", c.share, c.way, c.near, c.far), func(t *testing.T) {
			if c.onlyInFull && os.Getenv("BOBBIN_TEST_FULL") == "" {
				t.Skip("only in the full run")
			}
			c.run(t, 1)
		})
	}
}

// run lets the hosts that are far away commit several times each.
func (c contest) run(t *testing.T, seed uint64) {
	o := simfs.Case{Seed: seed, Share: c.share}.Options()
	o.MaxOps = 1 << 30
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		var others, left atomic.Int64
		left.Store(int64(c.far))
		commit := func(ctx context.Context, l *commitlog.Log) bool {
			if err := l.Commit(ctx, one("id:x")); err != nil {
				t.Error(err)
				return false
			}
			others.Add(1)
			return true
		}
		for n := range c.near {
			s.Go(s.Host(fmt.Sprint("near", n)), func(ctx context.Context, h *netfs.Host) {
				l := new(tally).log(h)
				for left.Load() > 0 && commit(ctx, l) {
					if n := others.Load(); n > int64(8*c.far*c.first) {
						t.Errorf("the far hosts have not had their turn in %d commits", n)
						return
					}
				}
			})
		}
		for n := range c.far {
			h := s.Host(fmt.Sprint("far", n))
			h.Share = farFS{h.Share, h, c.way}
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				defer left.Add(-1)
				l := new(tally).log(h)
				for n := range 6 {
					before := others.Load()
					if !commit(ctx, l) {
						return
					}
					waited, most := others.Load()-1-before, int64(c.far*c.other)
					if n == 0 {
						most = int64(c.far * c.first)
					}
					if t.Logf("%s: %d commits of others before %d", h.Tag, waited, n); waited > most {
						t.Errorf("%s waited for %d commits of others, want %d at most", h.Tag, waited, most)
					}
				}
			})
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
	})
}

// A host that is alone is silent less than half a millisecond a record.
func TestGapsOfALoneHost(t *testing.T) {
	simfs.Run(t, simfs.Options{Seed: 1}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		h := s.Host("alone")
		var silent time.Duration
		sleep := h.Sleep
		h.Sleep = func(ctx context.Context, d time.Duration) error {
			silent += d
			return sleep(ctx, d)
		}
		const records = 1 << 13
		l := new(tally).log(h)
		for range records {
			if err := l.Commit(t.Context(), one("id:x")); err != nil {
				t.Fatal(err)
			}
		}
		if each := silent / records; silent == 0 || each > time.Millisecond/2 {
			t.Errorf("silent for %v a record, want some and not more than 0.5 ms", each)
		}
	})
}

// beatenFS lets others commit before a process's next puts.
type beatenFS struct {
	netfs.FS
	before []func()
}

func (f *beatenFS) Symlink(ctx context.Context, target, name string) error {
	if len(f.before) > 0 {
		f.before[0]()
		f.before = f.before[1:]
	}
	return f.FS.Symlink(ctx, target, name)
}

// A host that was beaten twice reads what came since by tails, or begins with
// the newest base, and has no doubt about its commit.
func TestBeatenTwice(t *testing.T) {
	tests := []struct {
		name        string
		since, gens int   // records that come before the second put, slots of a generation
		most        int64 // requests of the commit
		records     int   // that its machine is given one by one
	}{
		{"by tails", 60, 256, 20, 100},
		{"newest base", 600, 32, 60, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			simfs.Run(t, simfs.Options{Seed: 1}, func(t *testing.T, s *simfs.Sim) {
				if err := makeLog(s); err != nil {
					t.Fatal(err)
				}
				near, far := new(tally), new(tally)
				h := s.Host("far")
				var ops netfs.Ops
				l, beaten := near.log(s.Host("near")), &beatenFS{FS: netfs.Counted(h.Share, &ops, h.Profile)}
				h.Share = beaten
				l.Slots = tt.gens
				commit := func(n int) func() {
					return func() {
						for range n {
							if err := l.Commit(t.Context(), one("id:near")); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
				late := far.log(h)
				late.Slots = tt.gens
				commit(40)() // the first generation is short
				if _, err := late.Refresh(t.Context()); err != nil {
					t.Fatal(err)
				}
				beaten.before = []func(){commit(1), commit(tt.since)}
				before := ops.Read()
				if err := late.Commit(t.Context(), one("id:far")); err != nil {
					t.Fatal(err)
				}
				if n := ops.Read().Sub(before).Total(); n > tt.most {
					t.Errorf("%d requests, want %d at most", n, tt.most)
				}
				if far.applied > tt.records || far.records != near.records+1 {
					t.Errorf("counts %d records, was given %d one by one; want %d, and %d at most", far.records, far.applied, near.records+1, tt.records)
				}
			})
		})
	}
}
