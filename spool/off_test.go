package spool_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/spool"
)

// An idle poll costs one operation for each directory that may have news.
func TestIdlePoll(t *testing.T) {
	for _, off := range []bool{false, true} {
		s, _ := newSpool(t, spool.InitOptions{ForeignOff: off})
		b := inbox(t, s)
		m := numbered(t, b, 3)
		if _, err := m.SetFlags(t.Context(), spool.SetOf(1), flagIt); err != nil {
			t.Fatal(err)
		}
		project(t, m)
		want := int64(3)
		if off {
			want = 2
		}
		// Stamps count when they have stood still for a grain.
		for range 2 {
			if err := s.Host.Sleep(t.Context(), s.Host.Grain()); err != nil {
				t.Fatal(err)
			}
			if err := m.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		before := s.Host.Ops.Read()
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if used := s.Host.Ops.Read().Sub(before); used.Total() != want {
			t.Errorf("foreign off %v: an idle poll costs %v, want %d", off, used, want)
		}
	}
}

// Where no other program works, new mail is found still, files are found
// without a listing of cur, and a file that somebody removed all the same is
// noticed when it is looked for.
func TestForeignOff(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{ForeignOff: true})
	b := inbox(t, s)
	m := numbered(t, b, 3)
	if _, err := m.SetFlags(t.Context(), spool.SetOf(1), flagIt); err != nil {
		t.Fatal(err)
	}
	project(t, m)
	msg, _ := m.Message(1)
	name := filepath.Join(dir, "users/alice/cur", msg.Name+":2,F")
	if err := os.Rename(name, strings.TrimSuffix(name, "F")+"FS"); err != nil {
		t.Fatal(err)
	}
	m2 := open(t, inbox(t, s))
	wantUIDs(t, m2, 1, 2, 3)
	if msg, _ := m2.Message(1); msg.Flags != spool.Flagged {
		t.Errorf("flags %v were taken over from a file name", msg.Flags.Words())
	}
	if err := os.Remove(filepath.Join(dir, "users/alice/new", msg.Name)); !os.IsNotExist(err) {
		t.Fatalf("remove: %v", err)
	}
	if err := os.Remove(strings.TrimSuffix(name, "F") + "FS"); err != nil {
		t.Fatal(err)
	}
	m3 := open(t, inbox(t, s))
	if n := len(m3.Messages()); n != 3 {
		t.Errorf("%d messages: the removal was looked for", n)
	}
	if _, _, err := m3.OpenMessage(t.Context(), 1); err == nil {
		t.Error("a removed file was opened")
	}
	wantUIDs(t, m3, 2, 3)
}

// Without projection flags stay in the log; expunged and held files move on.
func TestProjectOff(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{ProjectOff: true})
	b := inbox(t, s)
	m := numbered(t, b, 2)
	if _, err := m.SetFlags(t.Context(), spool.SetOf(1, 2), flagIt); err != nil {
		t.Fatal(err)
	}
	project(t, m)
	wantFiles(t, dir, "new", 2)
	// Another host finds nothing to show either.
	project(t, open(t, inbox(t, s)))
	wantFiles(t, dir, "new", 2)
	if _, err := m.Append(t.Context(), spool.NewMessage{In: receive(t, b, "Subject: 3\n\n"), Flags: spool.Seen}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Expunge(t.Context(), spool.SetOf(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.SetFlags(t.Context(), spool.SetOf(3), flagIt); err != nil {
		t.Fatal(err)
	}
	project(t, m)
	for where, want := range map[string]int{"new": 1, "cur": 1, "bobbin/hold": 0, "bobbin/x": 1} {
		wantFiles(t, dir, where, want)
	}
	m = open(t, inbox(t, s))
	wantUIDs(t, m, 2, 3)
	if msg, _ := m.Message(2); msg.Flags != spool.Flagged {
		t.Errorf("flags %v", msg.Flags.Words())
	}
	checkClean(t, b)
}
