package commitlog_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

func (f *fixture) commit(t *testing.T, l *commitlog.Log, times int) {
	t.Helper()
	for range times {
		if err := l.Commit(t.Context(), add(1)); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *fixture) list(pattern string) []string {
	names, _ := filepath.Glob(filepath.Join(f.dir, "log", pattern))
	return names
}

func TestRotation(t *testing.T) {
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		f := newFixture(t, way)
		f.tuning = commitlog.Tuning{Slots: 8, KeepFor: time.Nanosecond}
		l, c := f.log()
		f.commit(t, l, 100)
		if c.sum != 100 {
			t.Fatalf("sum %d, want 100", c.sum)
		}
		if gens := f.list("g.*"); len(gens) > 3 {
			t.Errorf("generations left: %q", gens)
		}
		if bases := f.list("s/*"); len(bases) > 3 {
			t.Errorf("%d bases left", len(bases))
		}
		if _, err := os.Lstat(f.slot(1)); err != nil {
			t.Errorf("whoever sees no other generation takes the log for a new one: %v", err)
		}
		other, oc := f.log()
		before := f.h.Ops.Read()
		if _, err := other.Refresh(t.Context()); err != nil || oc.sum != 100 {
			t.Fatalf("another view: sum %d, %v; want 100", oc.sum, err)
		}
		if n := f.h.Ops.Read().Sub(before).Total(); n > 60 {
			t.Errorf("opening costs %d operations", n)
		}
		fresh, fc := f.log()
		faults, err := fresh.Verify(t.Context())
		if err != nil || len(faults) != 0 || fc.sum != 100 {
			t.Errorf("verify: %v, %v, sum %d", faults, err, fc.sum)
		}
	}
}

// Young generations are kept for readers that are behind.
func TestKeep(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	f.tuning = commitlog.Tuning{Slots: 8, KeepFor: time.Hour}
	l, _ := f.log()
	slow, c := f.log()
	f.commit(t, l, 3)
	if _, err := slow.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.commit(t, l, 97)
	if gens := f.list("g.*"); len(gens) < 12 {
		t.Errorf("young generations are gone; left are %q", gens)
	}
	if _, err := slow.Refresh(t.Context()); err != nil || c.sum != 100 {
		t.Errorf("a slow reader has %d, %v; want 100", c.sum, err)
	}
}

// behind makes a log of 100 commits in generations of 8 slots, and a view that
// read the first 12 of them, whose generation has been cleared away. make0
// brings its directory back, as a late request of a dead host may.
func behind(t *testing.T) (f *fixture, l, old *commitlog.Log, c *counter, dir string) {
	t.Helper()
	f = newFixture(t, netfs.ViaSymlink)
	f.tuning = commitlog.Tuning{Slots: 8, KeepFor: time.Nanosecond}
	l, _ = f.log()
	old, c = f.log()
	f.commit(t, l, 12)
	if _, err := old.Refresh(t.Context()); err != nil || c.sum != 12 {
		t.Fatalf("sum %d, %v; want 12", c.sum, err)
	}
	dirs := f.list("g.9.*")
	if len(dirs) != 1 {
		t.Fatalf("generations %q: want one that begins after record 9", f.list("g.*"))
	}
	f.commit(t, l, 88)
	if left := f.list("g.9.*"); len(left) != 0 {
		t.Fatalf("the second generation is still there: %q", left)
	}
	return f, l, old, c, dirs[0]
}

// A view whose generation was cleared away starts again from the newest base,
// for reading and for writing, and its commit counts once.
func TestLeftBehind(t *testing.T) {
	t.Run("read", func(t *testing.T) {
		_, _, old, c, _ := behind(t)
		if _, err := old.Refresh(t.Context()); err != nil || c.sum != 100 {
			t.Errorf("sum %d, %v; want 100", c.sum, err)
		}
	})
	t.Run("write", func(t *testing.T) {
		f, _, old, c, dir := behind(t)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		// Nobody can tell any more whether such an old commit counts.
		if err := old.Commit(t.Context(), add(1)); !errors.Is(err, netfs.ErrUncertain) {
			t.Errorf("a commit from far behind: %v, want ErrUncertain", err)
		}
		f.commit(t, old, 1)
		fresh, fc := f.log()
		if _, err := fresh.Refresh(t.Context()); err != nil || fc.sum != 101 || c.sum != 101 {
			t.Errorf("sums %d and %d, %v; want 101", c.sum, fc.sum, err)
		}
	})
	t.Run("write where no directory is", func(t *testing.T) {
		f, _, old, c, _ := behind(t)
		f.commit(t, old, 1)
		if c.sum != 101 {
			t.Errorf("sum %d, want 101", c.sum)
		}
	})
}

// A slot that a writer left behind put on top of nothing is never believed.
func TestFalseSlot(t *testing.T) {
	_, _, old, c, dir := behind(t)
	// What stands there follows the record that the view has read.
	text := old.FakeNext("add:1000")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Symlink(text, filepath.Join(dir, "14"))); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Refresh(t.Context()); err != nil || c.sum != 100 {
		t.Errorf("sum %d, %v; want 100", c.sum, err)
	}
}

func TestDamagedBase(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	f.tuning = commitlog.Tuning{Slots: 8, KeepFor: time.Hour}
	l, _ := f.log()
	f.commit(t, l, 12)
	bases := f.list("s/*")
	if len(bases) != 1 {
		t.Fatalf("bases: %q", bases)
	}
	b, err := os.ReadFile(bases[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"cut": string(b[:len(b)-1]), "changed": strings.Replace(string(b), "b1", "b2", 1), "empty": ""} {
		if err := os.WriteFile(bases[0], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		other, _ := f.log()
		if _, err := other.Refresh(t.Context()); !errors.Is(err, commitlog.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(bases[0])) {
			t.Errorf("%s: %v, want ErrCorrupt that names the base", name, err)
		}
		if err := other.Commit(t.Context(), add(1)); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("%s: commit: %v, want ErrCorrupt", name, err)
		}
		fresh, _ := f.log()
		if faults, err := fresh.Verify(t.Context()); err != nil || len(faults) == 0 || faults[0].Litter {
			t.Errorf("%s: verify: %v, %v", name, faults, err)
		}
	}
}

// Close ends a generation early, so that commands that run once do too.
func TestClose(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	f.tuning = commitlog.Tuning{Slots: 64, KeepFor: time.Hour}
	for range 70 {
		l, _ := f.log()
		if _, err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.commit(t, l, 1)
		l.Close(t.Context())
	}
	if gens := f.list("g.*"); len(gens) != 2 {
		t.Errorf("generations %q, want 2", gens)
	}
}

// A view that is little behind finds out by itself whether its commit counts.
func TestLittleBehind(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	f.tuning = commitlog.Tuning{Slots: 8, KeepFor: time.Nanosecond}
	l, _ := f.log()
	old, c := f.log()
	f.commit(t, l, 12)
	f.commit(t, old, 1)
	dir := f.list("g.9.*")
	f.commit(t, l, 12) // two more rotations
	if left := f.list("g.9.*"); len(left) != 0 || len(dir) != 1 {
		t.Fatalf("the second generation is still there: %q", left)
	}
	if err := os.Mkdir(dir[0], 0o700); err != nil {
		t.Fatal(err)
	}
	f.commit(t, old, 1)
	fresh, fc := f.log()
	if _, err := fresh.Refresh(t.Context()); err != nil || c.sum != 26 || fc.sum != 26 {
		t.Errorf("sums %d and %d, %v; want 26", c.sum, fc.sum, err)
	}
}
