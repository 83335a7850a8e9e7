package spool

import (
	"errors"
	"testing"
)

// Operations of level 2 are written where the spool has that level.
func TestAdmits(t *testing.T) {
	s, a, _ := withAlice(t)
	ops := []string{"flags:1:+S", "later@2:x", "maybe@2?"}
	if err := s.admits(ops); err != nil {
		t.Errorf("at level %d: %v", s.Level(), err)
	}
	s.level.Store(1)
	for _, op := range ops[1:] {
		if err := s.admits([]string{ops[0], op}); !errors.Is(err, ErrLevel) {
			t.Errorf("%s at level 1: %v", op, err)
		}
	}
	if err := s.admits(ops[:1]); err != nil {
		t.Error(err)
	}
	b, err := s.Box(t.Context(), "alice", Inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = m.commit(t.Context(), func(*state) []string { return []string{"later@2:x"} })
	if !errors.Is(err, ErrLevel) {
		t.Errorf("a mailbox took an operation of level 2: %v", err)
	}
	const want = "accounts: later: needs feature level 2, and the spool has 1: run 'bobbin upgrade'"
	if err := a.commit(t.Context(), func() []string { return []string{"later@2:x"} }); err == nil || err.Error() != want {
		t.Errorf("the accounts: %v, want %s", err, want)
	}
}
