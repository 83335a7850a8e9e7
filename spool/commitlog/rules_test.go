package commitlog_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// A change that is superfluous by what a view knows may be called for by what
// it does not know yet.
func TestNothingToDo(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	a, c := f.log()
	f.commit(t, a, 1)
	other, _ := f.log()
	f.commit(t, other, 1)
	err := a.Commit(t.Context(), func() ([]string, error) {
		if c.sum == 1 {
			return nil, nil
		}
		return []string{"add:-1"}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh, sum := f.log()
	if _, err := fresh.Refresh(t.Context()); err != nil || sum.sum != 1 {
		t.Errorf("the sum is %d after it was made 1, %v", sum.sum, err)
	}
}

// A view that could not read to the end puts nothing where a slot was lost.
func TestNothingGoesIntoAGap(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	f.commit(t, l, 3)
	if err := os.Remove(f.slot(2)); err != nil {
		t.Fatal(err)
	}
	other, _ := f.log()
	for range 2 {
		if _, err := other.Refresh(t.Context()); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("refresh: %v, want ErrCorrupt", err)
		}
		if err := other.Commit(t.Context(), add(1)); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("commit: %v, want ErrCorrupt", err)
		}
	}
	if _, err := os.Lstat(f.slot(2)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the gap was filled: %v", err)
	}
}

// ended lets active commit until generations have come and gone, and returns
// what stood in the log's directory before.
func ended(t *testing.T, s *simfs.Sim, active *member) (gens []string) {
	t.Helper()
	gens, _ = s.Server().List("log")
	if active.commit(t.Context(), 9); active.err != nil || len(active.refused) > 0 {
		t.Fatalf("%v, refused %q", active.err, active.refused)
	}
	return gens
}

// Two views that are behind meet in a slot of a generation that was cleared
// away, and whose directory a late request made again. Neither believes the
// other.
func TestMeetBehind(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		tuning := commitlog.Tuning{Slots: 4, KeepFor: -1, Inline: 60}
		members := []*member{newMember(s, "active", tuning), newMember(s, "one", tuning), newMember(s, "two", tuning)}
		members[0].commit(t.Context(), 5) // the second generation has its first slot
		for _, m := range members[1:] {
			if _, err := m.log.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for _, g := range ended(t, s, members[0]) {
			if strings.HasPrefix(g, "g.") && s.Server().MkdirAll("log/"+g) != nil {
				t.Fatal("what a late request brought back could not be made")
			}
		}
		for _, m := range members[1:] {
			m.commit(t.Context(), 1)
		}
		if err := judgeLog(s, members); err != nil {
			t.Error(err)
		}
	})
}

// A rotation that another host's commit forestalled leaves no generation that a
// listing shows.
func TestRotationForestalled(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		tuning := commitlog.Tuning{Slots: 4}
		m, other := newMember(s, "m", tuning), newMember(s, "other", commitlog.Tuning{})
		if _, err := other.log.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.commit(t.Context(), 3)
		m.host.Share = &besideFS{m.host.Share, map[string]func(){"log/g.0/5": func() { other.commit(t.Context(), 1) }}}
		m.log, m.state = idsLog(m.host, tuning)
		m.commit(t.Context(), 1)
		if err := judgeLog(s, []*member{m, other}); err != nil {
			t.Error(err)
		}
	})
}
