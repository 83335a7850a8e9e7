package commitlog_test

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// turned is a log whose first generation has just ended: m has written the
// rotation, and view has read it. It returns the next one's directory.
func turned(t *testing.T, s *simfs.Sim) (m, view *member, dir string) {
	t.Helper()
	if err := makeLog(s); err != nil {
		t.Fatal(err)
	}
	tuning := commitlog.Tuning{Slots: 4, KeepFor: time.Hour}
	m, view = newMember(s, "m", tuning), newMember(s, "view", tuning)
	if _, err := view.log.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.commit(t.Context(), 4)
	names, _ := s.Server().List("log")
	for _, n := range names {
		if strings.HasPrefix(n, "g.5.") {
			dir = "log/" + n
		}
	}
	if dir == "" || m.err != nil {
		t.Fatalf("no second generation in %q, %v", names, m.err)
	}
	return m, view, dir
}

// A base that the server kept, while it lost the rotation that was to name it,
// is no ground to stand on.
func TestRotationLost(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		_, view, dir := turned(t, s)
		if err := s.Server().RemoveAll(dir); err != nil { // not made yet
			t.Fatal(err)
		}
		if _, err := view.log.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Server().Remove("log/g.0/5"); err != nil {
			t.Fatal(err)
		}
		other := newMember(s, "other", commitlog.Tuning{})
		other.commit(t.Context(), 1)
		if view.commit(t.Context(), 1); !errors.Is(view.err, commitlog.ErrWentBack) {
			t.Errorf("commit: %v, acknowledged %q", view.err, view.acked)
		}
		if err := judgeLog(s, []*member{other}); err != nil {
			t.Error(err)
		}
	})
}

// A generation's directory that was there is not made again.
func TestDirectoryLost(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		_, view, dir := turned(t, s)
		if _, err := view.log.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.Server().RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if view.commit(t.Context(), 1); !errors.Is(view.err, commitlog.ErrWentBack) {
			t.Errorf("commit: %v, acknowledged %q", view.err, view.acked)
		}
	})
}

// staleFS shows once a listing that it was given, and does not find a name once.
type staleFS struct {
	netfs.FS
	dir    string
	names  []string
	absent string
}

func (f *staleFS) ReadDir(ctx context.Context, name string) ([]string, error) {
	if name == f.dir {
		f.dir = ""
		return f.names, nil
	}
	return f.FS.ReadDir(ctx, name)
}

func (f *staleFS) Readlink(ctx context.Context, name string) (string, error) {
	if name == f.absent {
		f.absent = ""
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrNotExist}
	}
	return f.FS.Readlink(ctx, name)
}

// A listing whose newest generation has been cleared away is made again.
func TestListingOfThePast(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		active := newMember(s, "active", commitlog.Tuning{Slots: 4, KeepFor: -1, Inline: 60})
		active.commit(t.Context(), 5)
		h := s.Host("behind")
		h.Share = &staleFS{FS: h.Share, dir: "log", names: ended(t, s, active)}
		l, state := idsLog(h, commitlog.Tuning{})
		if _, err := l.Refresh(t.Context()); err != nil || !slices.Equal(state.list, active.acked) {
			t.Errorf("the log has %q of %q, %v", state.list, active.acked, err)
		}
	})
}

// A record that an earlier process read, and that this one's client does not
// find yet, is no loss.
func TestRemainsLooksAgain(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		m := newMember(s, "m", commitlog.Tuning{})
		m.commit(t.Context(), 3)
		seq, token, _ := m.log.Newest(t.Context())
		h := s.Host("later")
		h.Share = &staleFS{FS: h.Share, dir: "log/g.0", names: []string{"1", "2"}, absent: "log/g.0/3"}
		l, _ := idsLog(h, commitlog.Tuning{})
		if _, err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n, _, _ := l.Newest(t.Context()); n != 2 {
			t.Fatalf("record %d was read by a client that does not see it", n)
		}
		if err := l.Remains(t.Context(), seq, token); err != nil {
			t.Error(err)
		}
	})
}

// Who stood on a record that repair gave up is told that the log was repaired,
// and not to repair what was restored.
func TestGivenUp(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		m := newMember(s, "m", commitlog.Tuning{})
		m.commit(t.Context(), 3)
		if err := s.Server().Corrupt(path.Join("log/g.0", "3"), func([]byte) []byte { return nil }); err != nil {
			t.Fatal(err)
		}
		l, _ := idsLog(s.Host("repair"), commitlog.Tuning{})
		if _, err := l.Renew(t.Context(), commitlog.Renewal{}); err != nil {
			t.Fatal(err)
		}
		if m.commit(t.Context(), 1); len(m.acked) != 3 || len(m.refused) > 0 {
			t.Errorf("acknowledged %q, refused %q", m.acked, m.refused)
		}
		_, err := m.log.Refresh(t.Context())
		if !errors.Is(err, commitlog.ErrWentBack) || !strings.Contains(err.Error(), "was repaired") {
			t.Errorf("refresh: %v", err)
		}
	})
}

// A base is on the disk before its rotation is: no power failure leaves a
// rotation whose base nobody can read.
func TestBaseIsDurable(t *testing.T) {
	for seed := range uint64(8) {
		simfs.Run(t, simfs.Case{Seed: seed, Share: "local"}.Options(), func(t *testing.T, s *simfs.Sim) {
			if err := makeLog(s); err != nil {
				t.Fatal(err)
			}
			s.SetFaults(simfs.Faults{Forget: 1e-9}) // the past is kept from here on
			m := newMember(s, "m", commitlog.Tuning{Slots: 4, Inline: 20})
			m.commit(t.Context(), 5)
			s.Go(s.Host("last"), func(ctx context.Context, h *netfs.Host) {
				s.SetFaultsKeepingPast(simfs.Faults{PowerLoss: 1})
				_, _ = h.Share.Stat(ctx, ".")
			})
			if err := s.Run(); err != nil || s.Disasters() != 1 {
				t.Fatalf("%d disasters, %v", s.Disasters(), err)
			}
			s.SetFaults(simfs.Faults{})
			if err := judgeLog(s, []*member{m}); err != nil || len(m.acked) != 5 {
				t.Errorf("seed %d: acknowledged %q, %v", seed, m.acked, err)
			}
		})
	}
}
