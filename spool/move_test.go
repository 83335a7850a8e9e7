package spool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/spool"
)

// A second mover that found the copy adds flags to it that the source had.
// When the owner has cleared one meanwhile, and the first mover carried that
// over, it does not come back.
func TestSecondMoverIsLate(t *testing.T) {
	plain, _ := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, plain) // UID 1 is answered
	target := open(t, archive(t, plain))
	copied, cleared := make(chan bool), make(chan bool)
	ended := make(chan error)
	first := atSlot(t, plain, 2, func() error { // assign, expunge
		close(copied)
		<-cleared
		return nil
	})
	from, to := open(t, inbox(t, first)), open(t, archive(t, first))
	go func() {
		_, err := from.Move(t.Context(), spool.SetOf(1), to)
		ended <- err
	}()
	<-copied
	done := false
	second := atSlot(t, plain, 1, func() error {
		done = true // it is about to add what the source had
		_, err := m.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{Remove: spool.Answered})
		close(cleared)
		if ferr := <-ended; err == nil {
			err = ferr
		}
		return err
	})
	if _, err := open(t, inbox(t, second)).Move(t.Context(), spool.SetOf(1), open(t, archive(t, second))); err != nil {
		t.Fatal(err)
	}
	if err := target.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if msgs := target.Messages(); !done || len(msgs) != 1 || msgs[0].Flags != 0 {
		t.Errorf("second mover was late: %v; the target has %+v", done, msgs)
	}
}

// What append, copy and move cost, projection apart.
func TestOperationsOfMoves(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	s.Host.Profile.Grain = 5 * time.Millisecond
	b := inbox(t, s)
	for i := range 3 {
		mustPut(t, b, fmt.Sprintf("Subject: %d\n\n", i))
	}
	m, target := open(t, b), open(t, archive(t, s))
	set := spool.UIDSet{{First: 1, Last: 3}}
	for _, tt := range []struct {
		name string
		call func() error
		want string
	}{
		{"append of two", func() error {
			one, two := receive(t, b, "Subject: 1\n\n"), receive(t, b, "Subject: 2\n\n")
			_, err := m.Append(t.Context(), spool.NewMessage{In: one}, spool.NewMessage{In: two})
			return err
		}, "open 2 write 2 close 2 getattr 1 symlink 1 rename 2"},
		{"copy of three", func() error {
			_, err := m.Copy(t.Context(), set, target)
			return err
		}, "getattr 4 symlink 1 link 3 rename 3"},
		{"move of three", func() error {
			_, err := m.Move(t.Context(), set, target)
			return err
		}, "getattr 5 symlink 2 link 3 rename 3"},
	} {
		if ops, _ := counted(t, s, tt.call); ops.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, ops, tt.want)
		}
	}
}
