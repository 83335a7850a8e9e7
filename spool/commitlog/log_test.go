package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// counter is a state machine that adds up "add:N" operations.
type counter struct {
	sum  int
	recs int
}

func (c *counter) apply(r *commitlog.Record) error {
	for _, op := range r.Ops {
		n, err := strconv.Atoi(strings.TrimPrefix(op, "add:"))
		if err != nil {
			return fmt.Errorf("%w: %q", commitlog.ErrCorrupt, op)
		}
		c.sum += n
	}
	c.recs++
	return nil
}

func add(n int) func() ([]string, error) {
	return func() ([]string, error) { return []string{"add:" + strconv.Itoa(n)}, nil }
}

func (c *counter) snapshot(uint64) ([]byte, uint64) {
	return fmt.Appendf(nil, "%d %d", c.sum, c.recs), 0
}

func (c *counter) load(text []byte) error {
	*c = counter{}
	if text == nil {
		return nil
	}
	_, err := fmt.Sscanf(string(text), "%d %d", &c.sum, &c.recs)
	return err
}

type fixture struct {
	dir    string
	h      *netfs.Host
	way    netfs.Way
	tuning commitlog.Tuning
}

func newFixture(t testing.TB, way netfs.Way) *fixture {
	t.Helper()
	dir := t.TempDir()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	for _, d := range commitlog.Dirs("log") {
		if err := netfs.MkdirAll(t.Context(), h, h.Share, d); err != nil {
			t.Fatal(err)
		}
	}
	return &fixture{dir: dir, h: h, way: way}
}

func (f *fixture) log() (*commitlog.Log, *counter) {
	c := new(counter)
	return commitlog.New(commitlog.Config{
		Host: f.h, FS: f.h.Share, Dir: "log", Way: f.way, RecordMax: 1000, Apply: c.apply,
		Snapshot: c.snapshot, Load: c.load, Tuning: f.tuning,
	}), c
}

func (f *fixture) slot(n int) string { return filepath.Join(f.dir, "log/g.0", strconv.Itoa(n)) }

func TestTwoViews(t *testing.T) {
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		t.Run(way.String(), func(t *testing.T) {
			f := newFixture(t, way)
			a, ca := f.log()
			b, cb := f.log()
			for i := range 50 {
				for _, l := range []*commitlog.Log{a, b} {
					if err := l.Commit(t.Context(), add(i)); err != nil {
						t.Fatal(err)
					}
				}
			}
			if _, err := a.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if want := 50 * 49; ca.sum != want || cb.sum != want || ca.recs != 100 {
				t.Errorf("sums %d and %d in %d records, want %d in 100", ca.sum, cb.sum, ca.recs, want)
			}
		})
	}
}

// The operations of a commit are asserted by kind: one put-if-absent and one
// witness.
func TestCommitOperations(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	for range 3 {
		if err := l.Commit(t.Context(), add(1)); err != nil {
			t.Fatal(err)
		}
	}
	before := f.h.Ops.Read()
	if err := l.Commit(t.Context(), add(1)); err != nil {
		t.Fatal(err)
	}
	var want netfs.Counts
	want[netfs.OpSymlink], want[netfs.OpGetattr] = 1, 1
	if f.h.Profile.DirSync {
		want[netfs.OpSync] = 1
	}
	if got := f.h.Ops.Read().Sub(before); got != want {
		t.Errorf("a commit costs %s, want %s", got, want)
	}
}

// Commits that are under way at once share records, and none is lost.
func TestGroupCommit(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, c := f.log()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			if err := l.Commit(t.Context(), add(1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if c.sum != 200 || c.recs >= 200 {
		t.Errorf("sum %d in %d records, want 200 in fewer", c.sum, c.recs)
	}
}

func TestPayload(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	many := func() ([]string, error) {
		ops := make([]string, 500)
		for i := range ops {
			ops[i] = "add:1"
		}
		return ops, nil
	}
	if err := errors.Join(l.Commit(t.Context(), add(1)), l.Commit(t.Context(), many), l.Commit(t.Context(), add(1))); err != nil {
		t.Fatal(err)
	}
	other, c := f.log()
	if _, err := other.Refresh(t.Context()); err != nil || c.sum != 502 {
		t.Fatalf("sum %d, %v; want 502", c.sum, err)
	}
	files, _ := filepath.Glob(filepath.Join(f.dir, "log/p/*"))
	if len(files) != 1 {
		t.Fatalf("payloads %q, want one", files)
	}
	if err := os.WriteFile(files[0], []byte("add:1 add:2"), 0o600); err != nil {
		t.Fatal(err)
	}
	other, _ = f.log()
	_, err := other.Refresh(t.Context())
	if !errors.Is(err, commitlog.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(files[0])) {
		t.Errorf("a changed payload: %v; want ErrCorrupt that names it", err)
	}
}

// What is damaged is named, nothing is changed, and Verify finds all of it.
func TestDamage(t *testing.T) {
	damage := map[string]func(f *fixture) error{
		"empty":   func(f *fixture) error { return replace(f.slot(3), "") },
		"garbage": func(f *fixture) error { return replace(f.slot(3), "b1 3 nonsense") },
		"missing": func(f *fixture) error { return os.Remove(f.slot(3)) },
		"swapped": func(f *fixture) error {
			text, err := os.Readlink(f.slot(2))
			if err != nil {
				return err
			}
			return replace(f.slot(3), text)
		},
		"a file": func(f *fixture) error {
			return errors.Join(os.Remove(f.slot(3)), os.WriteFile(f.slot(3), nil, 0o600))
		},
	}
	for name, do := range damage {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, netfs.ViaSymlink)
			f.h.Profile.Grain = 1
			l, _ := f.log()
			// Long records, so that tails do not reach back.
			for i := range 5 {
				long := func() ([]string, error) {
					return strings.Fields(strings.Repeat(fmt.Sprintf("add:%040d ", i), 19)), nil
				}
				if err := l.Commit(t.Context(), long); err != nil {
					t.Fatal(err)
				}
			}
			if err := do(f); err != nil {
				t.Fatal(err)
			}
			before := tree(t, f.dir)
			other, _ := f.log()
			_, err := other.Refresh(t.Context())
			if !errors.Is(err, commitlog.ErrCorrupt) || !strings.Contains(err.Error(), "log/g.0/3") {
				t.Errorf("reading: %v; want ErrCorrupt that names log/g.0/3", err)
			}
			if err := other.Commit(t.Context(), add(1)); !errors.Is(err, commitlog.ErrCorrupt) {
				t.Errorf("committing: %v; want ErrCorrupt", err)
			}
			fresh, _ := f.log()
			faults, err := fresh.Verify(t.Context())
			if err != nil || len(faults) != 1 || faults[0].Name != "log/g.0/3" || faults[0].Litter {
				t.Errorf("verify: %v, %v; want one fault at log/g.0/3", faults, err)
			}
			if after := tree(t, f.dir); after != before {
				t.Errorf("the tree changed from\n%s to\n%s", before, after)
			}
		})
	}
}

func replace(name, target string) error {
	if target == "" { // what btrfs may leave after a power failure, as far as symlink(2) allows
		target = " "
	}
	return errors.Join(os.Remove(name), os.Symlink(target, name))
}

func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		link, _ := os.Readlink(p)
		fmt.Fprintf(&b, "%s %s\n", p, link)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A record that does not follow the one this host knows means that the share
// went back in time.
func TestRollBack(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	for range 3 {
		if err := l.Commit(t.Context(), add(1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(f.slot(3)), os.Remove(f.slot(2))); err != nil {
		t.Fatal(err)
	}
	other, _ := f.log()
	for range 3 { // another history
		if err := other.Commit(t.Context(), add(5)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := l.Commit(t.Context(), add(1)); !errors.Is(err, commitlog.ErrWentBack) {
			t.Errorf("commit on top of another history: %v, want ErrWentBack", err)
		}
	}
}

// Without its witness a commit is not acknowledged.
func TestNoWitness(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	if err := l.Commit(t.Context(), add(1)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.slot(1)); err != nil {
		t.Fatal(err)
	}
	if err := l.Commit(t.Context(), add(1)); !errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("got %v, want ErrUncertain", err)
	}
}

func TestImpatientCaller(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Commit(ctx, add(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if err := l.Commit(t.Context(), add(1)); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCommit(b *testing.B) {
	f := newFixture(b, netfs.ViaSymlink)
	l, _ := f.log()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Commit(b.Context(), add(1)); err != nil {
			b.Fatal(err)
		}
	}
}
