package spool_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// visit is a process of h's computer that opens alice's INBOX, delivers a
// message, makes a change and ends.
func visit(t *testing.T, s *simfs.Sim, h *netfs.Host) error {
	t.Helper()
	b := inboxAt(t, s.Process(h, "visit"))
	defer b.Close()
	m, err := b.Open(t.Context())
	if err != nil {
		return err
	}
	mustPut(t, b, "Subject: x\n\n")
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	setFlags(t, m, m.UIDNext()-1, "+seen")
	m.Close(t.Context())
	return nil
}

func mustVisit(t *testing.T, s *simfs.Sim, h *netfs.Host) {
	t.Helper()
	if err := visit(t, s, h); err != nil {
		t.Fatal(err)
	}
}

func repairs(t *testing.T, h *netfs.Host, o spool.RepairOptions) {
	t.Helper()
	b := inboxAt(t, h)
	defer b.Close()
	if err := b.Repair(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// saysWentBack tells whether check does, on h's computer.
func saysWentBack(t *testing.T, s *simfs.Sim, h *netfs.Host) bool {
	t.Helper()
	b := inboxAt(t, s.Process(h, "check"))
	defer b.Close()
	found, err := b.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return has(found, "went-back", "bobbin", true)
}

// TestRecall restores the share from a snapshot while no process lives.
func TestRecall(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		a, other := s.Host("a"), s.Host("other")
		makeAlice(t, a, "")
		mustVisit(t, s, a)
		shot := s.Server().Snapshot()
		mustVisit(t, s, a)
		s.Server().Restore(shot)
		for _, past := range []string{"a shorter log", "a log with other records"} {
			err := visit(t, s, a)
			if !errors.Is(err, commitlog.ErrWentBack) || !strings.Contains(err.Error(), "bobbin repair --restored") {
				t.Errorf("a process of a host that knows more than %s: %v", past, err)
			}
			if !saysWentBack(t, s, a) || saysWentBack(t, s, other) {
				t.Errorf("check on a host that knows more than %s, or on another", past)
			}
			for range 3 {
				mustVisit(t, s, other) // it remembers nothing that is gone
			}
		}
		repairs(t, other, spool.RepairOptions{Restored: true})
		for range 3 {
			mustVisit(t, s, a)
			mustVisit(t, s, other)
		}
		if saysWentBack(t, s, a) {
			t.Error("check says that the share went back after it was repaired")
		}
		if err := a.Sleep(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		s.Server().Restore(shot)
		repairs(t, s.Process(a, "repair"), spool.RepairOptions{Restored: true})
		mustVisit(t, s, a)
	})
}

// TestRecallRepaired lets repair give up a record that a host remembers.
func TestRecallRepaired(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		a := s.Host("a")
		makeAlice(t, a, "")
		mustVisit(t, s, a)
		d := &damaged{t: t, s: s}
		d.corrupt(d.last(), "")
		repairs(t, s.Host("other"), spool.RepairOptions{})
		mustVisit(t, s, a)
	})
}

// remembers is a memory that says one thing, whatever it was told.
type remembers string

func (r remembers) Recall(string) string  { return string(r) }
func (remembers) Remember(string, string) {}

// TestRecallNothing opens with memories that say nothing of this mailbox.
func TestRecallNothing(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		a := s.Host("a")
		makeAlice(t, a, "")
		mustVisit(t, s, a)
		token := strings.Repeat("a", netfs.TokenLen)
		for _, text := range []string{"x", "1", "1 99 " + token, "0 99 " + token, "-1 99 " + token, "1 99 x\n"} {
			h := s.Host("b")
			h.Memory = remembers(text)
			mustVisit(t, s, h)
		}
		h := s.Host("none")
		h.Memory = nil
		mustVisit(t, s, h)
	})
}

// TestRecallOperations counts that memory costs the server nothing.
func TestRecallOperations(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		a := s.Host("a")
		makeAlice(t, a, "")
		mustVisit(t, s, a)
		knows, other := s.Process(a, "knows"), s.Host("other")
		other.Memory = nil
		for _, h := range []*netfs.Host{knows, other} {
			m, err := inboxAt(t, h).Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			m.Close(t.Context())
		}
		if x, y := knows.Ops.Read().String(), other.Ops.Read().String(); x != y {
			t.Errorf("with memory %s, without %s", x, y)
		}
	})
}

// subscribes is a process of h's computer that subscribes alice to a folder.
func subscribes(t *testing.T, s *simfs.Sim, h *netfs.Host, folder string) error {
	t.Helper()
	sp, err := spool.Open(t.Context(), s.Process(h, "subscribes"))
	if err != nil {
		t.Fatal(err)
	}
	u, err := sp.UserState(t.Context(), "alice")
	if err != nil {
		return err
	}
	return errors.Join(u.Subscribe(t.Context(), folder, true), u.Close(t.Context()))
}

// TestRecallUserState restores a user's own log, and removes it with its user.
func TestRecallUserState(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		a, other := s.Host("a"), s.Host("other")
		makeAlice(t, a, "")
		step := func(h *netfs.Host, folder string, want error) {
			t.Helper()
			if err := subscribes(t, s, h, folder); !errors.Is(err, want) {
				t.Errorf("%s subscribes to %s: %v, want %v", h.Tag, folder, err, want)
			}
		}
		step(a, "one", nil)
		step(a, "two", nil)
		shot := s.Server().Snapshot()
		step(a, "three", nil)
		checks := func(h *netfs.Host, want bool) {
			t.Helper()
			sp, err := spool.Open(t.Context(), s.Process(h, "check"))
			if err != nil {
				t.Fatal(err)
			}
			found, _, err := sp.CheckUser(t.Context(), "alice")
			if got := has(found, "went-back", "bobbin-user", true); err != nil || got != want {
				t.Errorf("check says that the log went back: %v, want %v; %v", got, want, err)
			}
		}
		checks(a, false)
		s.Server().Restore(shot)
		step(a, "four", commitlog.ErrWentBack)
		checks(a, true)
		checks(other, false)
		step(other, "five", nil)
		step(other, "six", nil)
		step(a, "four", commitlog.ErrWentBack)
		checks(a, true)
		if err := s.Server().RemoveAll("users/alice/bobbin-user"); err != nil {
			t.Fatal(err)
		}
		step(other, "one", nil)
		step(a, "two", nil)
		step(a, "three", nil)
		checks(a, false)
	})
}

// TestRecallShared restores a shared folder.
func TestRecallShared(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		a := s.Host("a")
		makeAlice(t, a, "")
		opens := func() error {
			t.Helper()
			sp, err := spool.Open(t.Context(), s.Process(a, "opens"))
			if err != nil {
				t.Fatal(err)
			}
			if err := sp.CreateFolder(t.Context(), "alice", "public/team"); err != nil && !errors.Is(err, spool.ErrExists) {
				t.Fatal(err)
			}
			b, err := sp.Box(t.Context(), "alice", "public/team")
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			mustPut(t, b, "Subject: x\n\n")
			m, err := b.Open(t.Context())
			if err == nil {
				m.Close(t.Context())
			}
			return err
		}
		if err := opens(); err != nil {
			t.Fatal(err)
		}
		shot := s.Server().Snapshot()
		if err := opens(); err != nil {
			t.Fatal(err)
		}
		s.Server().Restore(shot)
		if err := opens(); !errors.Is(err, commitlog.ErrWentBack) {
			t.Errorf("open: %v, want ErrWentBack", err)
		}
	})
}
