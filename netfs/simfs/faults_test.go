package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// someFaults are all faults but crashes.
var someFaults = simfs.Faults{
	Pause: 0.01, PauseMax: 100 * time.Millisecond,
	Fail: 0.02, Lost: 0.02, Twice: 0.02, Late: 0.02, Echo: 0.02, Resent: 0.02,
	Full: 0.01, WriteErr: 0.02, WriteBack: 0.1, Stale: 0.1, SplitList: 0.1,
	MissList: 0.1, OldList: 0.1, TwiceList: 0.1, Suspend: 0.002, Jump: 0.01,
}

// run runs fn as a process of its own in a fresh simulation, and check after
// it.
func run(t *testing.T, o simfs.Options, fn func(t *testing.T, ctx context.Context, f netfs.FS), check func(t *testing.T, s *simfs.Sim)) {
	t.Helper()
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		if err := s.Server().WriteFile("old", []byte("old")); err != nil {
			t.Fatal(err)
		}
		s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) { fn(t, ctx, h.Share) })
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		check(t, s)
	})
}

// changes are the calls that change names, with what the tree is after them
// and what a second try says.
var changes = []struct {
	name string
	call single
	done string
	redo error
}{
	{"symlink", symlink("t", "l"), "l -> \"t\"\nold \"old\"\n", fs.ErrExist},
	{"link", link("old", "l"), "l \"old\"\nold \"old\"\n", fs.ErrExist},
	{"mkdir", mkdir("d"), "d/\nold \"old\"\n", fs.ErrExist},
	{"rename", rename("old", "new"), "new \"old\"\n", fs.ErrNotExist},
	{"remove", remove("old"), "", fs.ErrNotExist},
	{"create", func(ctx context.Context, f netfs.FS) error {
		_, err := f.Create(ctx, "c", 0o600)
		return err
	}, "c \"\"\nold \"old\"\n", nil},
}

const undone = "old \"old\"\n"

// Each change is lost, late, refused and repeated.
func TestChangeFaults(t *testing.T) {
	at := func(applied, late bool) simfs.Options {
		return simfs.Options{FailAt: &simfs.At{Host: "a", Applied: applied, Late: late}}
	}
	for _, c := range changes {
		for _, k := range []struct {
			name   string
			o      simfs.Options
			want   error
			during bool // is it done when the call returns?
			after  bool
		}{
			{"not done", at(false, false), syscall.EIO, false, false},
			{"lost", at(true, false), syscall.EIO, true, true},
			{"late", at(false, true), syscall.EIO, false, true},
			{"twice", simfs.Options{Faults: simfs.Faults{Twice: 1}}, c.redo, true, true},
			{"fail", simfs.Options{Faults: simfs.Faults{Fail: 1}}, syscall.EIO, false, false},
		} {
			t.Run(c.name+" "+k.name, func(t *testing.T) {
				simfs.Run(t, k.o, func(t *testing.T, s *simfs.Sim) {
					_ = s.Server().WriteFile("old", []byte("old"))
					s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
						err := c.call(ctx, h.Share)
						if ok := errors.Is(err, k.want); !ok && k.name != "fail" || (err == nil) != (k.want == nil) {
							t.Errorf("got error %v, want %v", err, k.want)
						}
						if got := s.Server().Dump(); got != tern(k.during, c.done, undone) {
							t.Errorf("when the call returned the tree was\n%s", got)
						}
					})
					if err := s.Run(); err != nil {
						t.Fatal(err)
					}
					if got := s.Server().Dump(); got != tern(k.after, c.done, undone) {
						t.Errorf("in the end the tree was\n%s", got)
					}
				})
			})
		}
	}
}

func tern(c bool, a, b string) string {
	if c {
		return a
	}
	return b
}

// A repeated request meets what others did meanwhile.
func TestEcho(t *testing.T) {
	again := 0
	for seed := range uint64(20) {
		run(t, simfs.Options{Seed: seed, Faults: simfs.Faults{Echo: 0.5}},
			func(t *testing.T, ctx context.Context, f netfs.FS) {
				if err := f.Symlink(ctx, "x", "l"); err != nil {
					t.Error(err)
				}
				if err := f.Remove(ctx, "l"); err != nil {
					t.Error(err)
				}
			},
			func(t *testing.T, s *simfs.Sim) {
				if _, err := s.Server().Readlink("l"); err == nil {
					again++
				}
			})
	}
	if again == 0 || again == 20 {
		t.Errorf("a removed name came back in %d of 20 runs", again)
	}
}

// A late change reaches the directory that it was sent to, and comes after the
// death of its process.
func TestLateAfterDeath(t *testing.T) {
	o := simfs.Options{CrashAt: &simfs.At{Host: "a", Op: 1, Late: true}}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		_ = s.Server().MkdirAll("box")
		a := s.Host("a")
		moved := false
		s.Go(a, func(ctx context.Context, h *netfs.Host) {
			_ = h.Share.Mkdir(ctx, "other", 0o700)
			if err := h.Share.Symlink(ctx, "x", "box/l"); err != simfs.ErrDead {
				t.Errorf("the call at the crash: %v", err)
			}
			_, err := s.Server().Readlink("box/l")
			moved = err != nil && s.Server().Rename("box", "trash") == nil
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		if !s.Crashed(a) || !moved {
			t.Fatalf("crashed %v, moved %v", s.Crashed(a), moved)
		}
		if got, err := s.Server().Readlink("trash/l"); got != "x" {
			t.Errorf("the late link is not there: %v\n%s", err, s.Server().Dump())
		}
	})
}

// Definite errors hit what needs space, and nothing else; nothing is done.
func TestFull(t *testing.T) {
	run(t, simfs.Options{Faults: simfs.Faults{Full: 1}},
		func(t *testing.T, ctx context.Context, f netfs.FS) {
			for _, c := range changes {
				err := c.call(ctx, f)
				full := errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
				if free := c.name == "rename" || c.name == "remove"; full == free {
					t.Errorf("%s: %v", c.name, err)
				}
			}
			if _, err := f.ReadDir(ctx, "."); err != nil {
				t.Errorf("list: %v", err)
			}
		},
		func(t *testing.T, s *simfs.Sim) {
			if got := s.Server().Dump(); got != "new \"old\"\n" {
				t.Errorf("the tree is\n%s", got)
			}
		})
}

// A failed read does not move the file, and a read of a file without a name
// goes stale.
func TestReadFaults(t *testing.T) {
	o := simfs.Options{
		FailAt: &simfs.At{Host: "a", Op: 1, Applied: true, Err: syscall.ETIMEDOUT},
		Faults: simfs.Faults{Stale: 1},
	}
	run(t, o, func(t *testing.T, ctx context.Context, f netfs.FS) {
		r, err := f.Open(ctx, "old")
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 2)
		if _, err := r.Read(b); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("the failed read: %v", err)
		}
		if n, err := r.Read(b); n != 2 || err != nil || string(b) != "ol" {
			t.Errorf("the next read: %q, %v", b[:n], err)
		}
		if err := f.Remove(ctx, "old"); err != nil {
			t.Error(err)
		}
		if _, err := r.Read(b); !errors.Is(err, syscall.ESTALE) {
			t.Errorf("read of an unlinked file: %v", err)
		}
	}, func(*testing.T, *simfs.Sim) {})
}

// A listing in two parts misses or repeats a file that is renamed meanwhile.
// It never fails to have a file that nobody touched.
func TestSplitList(t *testing.T) {
	seen := map[int]int{}
	for seed := range uint64(60) {
		o := simfs.Options{Seed: seed, Faults: simfs.Faults{SplitList: 1}}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			for i := range 10 {
				_ = s.Server().WriteFile(fmt.Sprint("still", i), nil)
			}
			_ = s.Server().WriteFile("move0", nil)
			s.Go(s.Host("b"), func(ctx context.Context, h *netfs.Host) {
				for i := range 10 {
					o, n := fmt.Sprint("move", i), fmt.Sprint("move", i+1)
					if err := h.Share.Rename(ctx, o, n); err != nil {
						t.Error(err)
					}
				}
			})
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				names, err := h.Share.ReadDir(ctx, ".")
				still := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.HasPrefix(n, "m") })
				if err != nil || len(still) != 10 || !slices.IsSorted(names) {
					t.Errorf("list: %v, %v", names, err)
				}
				seen[len(names)-10]++
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if seen[0] == 0 || seen[1] == 0 || seen[2] == 0 || len(seen) != 3 {
		t.Errorf("the moving file was listed so many times: %v", seen)
	}
}

// Pauses come before an operation and between it and its reply, and others go
// on meanwhile.
func TestPause(t *testing.T) {
	before, between, most := false, false, 0
	for seed := range uint64(40) {
		o := simfs.Options{Seed: seed, Faults: simfs.Faults{Pause: 0.3, PauseMax: time.Hour}}
		var start, done, end time.Time
		others := 0
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				start = time.Now()
				if err := h.Share.Mkdir(ctx, "d", 0o700); err != nil {
					t.Error(err)
				}
				end = time.Now()
			})
			s.Go(s.Host("b"), func(ctx context.Context, h *netfs.Host) {
				for end.IsZero() {
					if _, err := h.Share.Stat(ctx, "d"); err == nil && done.IsZero() {
						done = time.Now()
					}
					others++
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
		before = before || done.Sub(start) > time.Minute
		between = between || end.Sub(done) > time.Minute
		most = max(most, others)
	}
	if !before || !between || most < 10 {
		t.Errorf("pause before an operation %v, before its reply %v, %d others meanwhile", before, between, most)
	}
}
