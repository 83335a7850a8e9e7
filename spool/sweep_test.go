package spool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// later opens the spool on a host for which the server's clock is ahead of
// every file by some time.
func later(t *testing.T, s *spool.Spool, ahead time.Duration) *spool.Spool {
	t.Helper()
	h := *s.Host
	h.Share = &frozenDir{h.Share, time.Now().Add(ahead)}
	s2, err := spool.Open(t.Context(), &h)
	if err != nil {
		t.Fatal(err)
	}
	return s2
}

// sweepArchive makes another host work in Archive, which sweeps it.
func sweepArchive(t *testing.T, s *spool.Spool) {
	t.Helper()
	b := archive(t, s)
	m := open(t, b)
	if _, err := m.Append(t.Context(), spool.NewMessage{In: receive(t, b, "Subject: sweep\n\n")}); err != nil {
		t.Fatal(err)
	}
	project(t, m)
}

// A copy whose file was swept while its writer slept is made again; an append
// cannot be, and is not done.
func TestDrop(t *testing.T) {
	plain, root := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, plain)
	b := archive(t, plain)
	open(t, b)
	sleeping := false
	s := hook(t, plain, func(op, _ string) error {
		if op == "symlink" && sleeping {
			sleeping = false
			sweepArchive(t, later(t, plain, 37*time.Hour))
		}
		return nil
	})
	target := open(t, archive(t, s))
	sleeping = true
	copies, err := m.Copy(t.Context(), spool.SetOf(1, 2), target)
	if err != nil {
		t.Fatal(err)
	}
	wantCopies(t, target, copies, m.Messages())
	project(t, target)
	wantFiles(t, root, ".Archive/bobbin/hold", 0)
	dropped := 0
	err = b.Records(t.Context(), func(r *commitlog.Record) error {
		for _, op := range r.Ops {
			if strings.HasPrefix(op, "drop:") {
				dropped++
			}
		}
		return nil
	})
	if err != nil || dropped != 2 {
		t.Errorf("%d names dropped, %v; want 2", dropped, err)
	}

	sleeping = true
	before := len(target.Messages())
	one := spool.NewMessage{In: receive(t, b, "Subject: x\n\n")}
	if uids, err := target.Append(t.Context(), one); !errors.Is(err, spool.ErrRetry) {
		t.Errorf("append of a dropped file: %v, %v", uids, err)
	}
	if n := len(target.Messages()); n != before+1 { // that of sweepArchive
		t.Errorf("%d messages, want %d", n, before+1)
	}
	checkClean(t, b)
}

// Litter is removed when it is old enough by the server's clock, and not
// before; what is no litter stays.
func TestSweepLitter(t *testing.T) {
	s, root := newSpool(t, spool.InitOptions{})
	b := archive(t, s)
	m := open(t, b)
	home := filepath.Join(root, "users/alice/.Archive")
	write := func(name string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(home, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, name), []byte("x\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(home, name)
	}
	// One message stays in hold, and one that was expunged there.
	for range 2 {
		if _, err := m.Append(t.Context(), spool.NewMessage{In: receive(t, b, "Subject: x\n\n")}); err != nil {
			t.Fatal(err)
		}
	}
	kept, gone := m.Messages()[0].Name, m.Messages()[1].Name
	if _, err := open(t, b).Expunge(t.Context(), spool.SetOf(2)); err != nil {
		t.Fatal(err)
	}
	tmp, held, once := write("tmp/1.x.y"), write("bobbin/hold/1.x.y"), write("bobbin/q/key")
	odd := write("bobbin/hold/.odd")
	there := func(names ...string) (n int) {
		for _, name := range names {
			if _, err := os.Lstat(name); err == nil {
				n++
			}
		}
		return n
	}
	sweepArchive(t, later(t, s, 35*time.Hour))
	if there(tmp, held, once) != 3 {
		t.Error("something was swept too early")
	}
	sweepArchive(t, later(t, s, 37*time.Hour))
	if there(tmp, held) != 0 || there(once) != 1 {
		t.Errorf("after 37 hours: tmp %d, hold %d, q %d; want 0, 0, 1", there(tmp), there(held), there(once))
	}
	sweepArchive(t, later(t, s, 8*24*time.Hour))
	if there(once) != 0 || there(odd) != 1 {
		t.Errorf("after 8 days: q %d, a hidden file in hold %d; want 0 and 1", there(once), there(odd))
	}
	last := open(t, b)
	project(t, last)
	if there(filepath.Join(home, "bobbin/hold", kept), filepath.Join(home, "bobbin/hold", gone)) != 0 {
		t.Error("hold still has what belongs elsewhere")
	}
	if got := read(t, last, 1); got != "Subject: x\n\n" {
		t.Errorf("UID 1 is %q", got)
	}
	if err := os.Remove(odd); err != nil {
		t.Fatal(err)
	}
	checkClean(t, b)
}

// A file that was dropped is removed by the next sweep when the first one died
// in between, and no record can name it any more.
func TestSweepAfterDrop(t *testing.T) {
	s, root := newSpool(t, spool.InitOptions{})
	b := archive(t, s)
	open(t, b)
	name := filepath.Join(root, "users/alice/.Archive/bobbin/hold/1.x.y")
	put := func() {
		t.Helper()
		if err := os.WriteFile(name, []byte("x\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put()
	sweepArchive(t, later(t, s, 37*time.Hour))
	put() // as if the removal had not come
	sweepArchive(t, s)
	if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the dropped file is still there: %v", err)
	}
	checkClean(t, b)
}

// Traces of deliveries go after a week, however many there are, in every way of
// put-if-absent; younger ones stay.
func TestSweepTraces(t *testing.T) {
	for _, slots := range []string{"symlink", "directory"} {
		t.Run(slots, func(t *testing.T) {
			s, root := newSpool(t, spool.InitOptions{Slots: slots})
			b := archive(t, s)
			const many = 120
			for i := range many {
				if err := b.Note(t.Context(), fmt.Sprintf("key%d", i)); err != nil {
					t.Fatal(err)
				}
			}
			traces := func() int {
				names, err := filepath.Glob(filepath.Join(root, "users/alice/.Archive/bobbin/q/key*"))
				if err != nil {
					t.Fatal(err)
				}
				return len(names)
			}
			sweepArchive(t, later(t, s, 6*24*time.Hour))
			if n := traces(); n != many {
				t.Errorf("%d traces after six days, want %d", n, many)
			}
			sweepArchive(t, later(t, s, 8*24*time.Hour))
			if n := traces(); n != many-50 {
				t.Errorf("%d traces after eight days, want %d", n, many-50)
			}
			for range 2 {
				sweepArchive(t, later(t, s, 8*24*time.Hour))
			}
			if n := traces(); n != 0 {
				t.Errorf("%d traces in the end", n)
			}
			checkClean(t, b)
		})
	}
}
