package spool_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// surplus puts a message's file away as one of two hosts does that each keep
// what the other moves, so that none is left, and returns its new name.
func surplus(t *testing.T, s *spool.Spool, dir, base string) string {
	t.Helper()
	token, err := s.Host.Token()
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "users/alice/bobbin/x", token+"+"+base)
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.Rename(filepath.Join(dir, "users/alice/new", base), name)); err != nil {
		t.Fatal(err)
	}
	return name
}

// A message whose only file was put away as surplus gets it back.
func TestSurplusIsBroughtBack(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	base := mustPut(t, b, "Subject: 1\n\n")
	open(t, b)
	name := surplus(t, s, dir, base)
	m := open(t, b)
	wantUIDs(t, m, 1)
	if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still put away: %v", err)
	}
	checkClean(t, b)
}

// A surplus file that is a message's last is not swept, however old; one
// beside another is.
func TestSurplusIsSwept(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{ForeignOff: true}) // so nobody looks for the message
	b := inbox(t, s)
	numbered(t, b, 3)
	late := inbox(t, later(t, s, 2*time.Hour))
	m := open(t, late)
	msgs := m.Messages()
	last, other := surplus(t, s, dir, msgs[0].Name), surplus(t, s, dir, msgs[1].Name)
	if err := os.Link(other, filepath.Join(dir, "users/alice/new", msgs[1].Name)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Expunge(t.Context(), spool.SetOf(3)); err != nil {
		t.Fatal(err)
	}
	project(t, m) // and sweeps
	if _, err := os.Stat(last); err != nil {
		t.Errorf("the last file of a message: %v", err)
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not needed: %v", err)
	}
	if got := read(t, m, 1); got != "Subject: 1\n\n" {
		t.Errorf("message 1 is %q", got)
	}
}

// Two different files of one name are two messages. The first stays what it
// was, whatever the names show.
func TestTwoMessagesOfOneName(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	base := mustPut(t, b, "Subject: x\n\n")
	m := open(t, b)
	cur := filepath.Join(dir, "users/alice/cur")
	err := os.Rename(filepath.Join(dir, "users/alice/new", base), filepath.Join(cur, base+":2,"))
	if err = errors.Join(err, os.WriteFile(filepath.Join(cur, base+":2,S"), []byte("Subject: other\n\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(m.Messages()); n != 2 {
		t.Fatalf("%d messages", n)
	}
	for uid, want := range map[uint32]string{1: "Subject: x\n\n", 2: "Subject: other\n\n"} {
		if got := read(t, m, uid); got != want {
			t.Errorf("message %d is %q, want %q", uid, got, want)
		}
	}
	project(t, m)
	checkClean(t, b)
}

// phantom adds a name to some listings of cur, as one made during a rename
// shows both names of a file (H48).
type phantom struct {
	netfs.FS
	name *string
	left *int
}

func (p phantom) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := p.FS.Sub(ctx, name)
	p.FS = sub
	return p, err
}

func (p phantom) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := p.FS.ReadDir(ctx, name)
	if name == "cur" && *p.left > 0 {
		*p.left--
		names = append(names, *p.name)
	}
	return names, err
}

// A name that is only in a listing tells nothing: the flag that another program
// has just cleared does not come back.
func TestBothNamesOfOneFile(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	base := mustPut(t, inbox(t, s), "Subject: x\n\n")
	if err := os.Rename(filepath.Join(dir, "users/alice/new", base), filepath.Join(dir, "users/alice/cur", base+":2,F")); err != nil {
		t.Fatal(err)
	}
	h := *s.Host
	before, left := base+":2,S", 0
	h.Share = phantom{h.Share, &before, &left}
	m := open(t, inboxAt(t, &h))
	if msg, err := m.Message(1); err != nil || msg.Flags != spool.Flagged {
		t.Fatalf("%+v, %v", msg, err)
	}
	if err := os.Rename(filepath.Join(dir, "users/alice/cur", base+":2,F"), filepath.Join(dir, "users/alice/cur", base+":2,FR")); err != nil {
		t.Fatal(err)
	}
	left = 2
	for range 5 {
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if msg, err := m.Message(1); err != nil || msg.Flags != spool.Flagged|spool.Answered || left != 0 {
		t.Errorf("%+v, %v, %d listings left", msg, err, left)
	}
}
