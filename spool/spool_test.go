package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// newSpool makes a spool with the user alice in a directory of the test's.
func newSpool(t testing.TB, o spool.InitOptions) (*spool.Spool, string) {
	t.Helper()
	dir := t.TempDir()
	return initSpool(t, openHost(t, dir), o), dir
}

// initSpool makes a spool with the user alice.
func initSpool(t testing.TB, h *netfs.Host, o spool.InitOptions) *spool.Spool {
	t.Helper()
	s, err := spool.Init(t.Context(), h, o)
	if err != nil {
		t.Fatal(err)
	}
	addAlice(t, s)
	return s
}

func addAlice(t testing.TB, s *spool.Spool) {
	t.Helper()
	a, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(t.Context(), "alice", nil); err != nil {
		t.Fatal(err)
	}
}

func openHost(t testing.TB, dir string) *netfs.Host {
	t.Helper()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	return h
}

// inbox is alice's.
func inbox(t testing.TB, s *spool.Spool) *spool.Box {
	t.Helper()
	b, err := s.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func put(ctx context.Context, b *spool.Box, text string) (string, error) {
	in, err := b.Receive(ctx)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(in, text); err != nil {
		return "", err
	}
	if err := in.Finish(int64(strings.Count(text, "\n")), false); err != nil {
		return "", err
	}
	return in.Name(), in.Publish(ctx)
}

func mustPut(t testing.TB, b *spool.Box, text string) string {
	t.Helper()
	name, err := put(t.Context(), b, text)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func open(t testing.TB, b *spool.Box) *spool.Mailbox {
	t.Helper()
	m, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func read(t testing.TB, m *spool.Mailbox, uid uint32) string {
	t.Helper()
	f, _, err := m.OpenMessage(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func checkClean(t testing.TB, b *spool.Box) {
	t.Helper()
	found, err := b.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("check: %s", f)
	}
}

func TestDeliverFlagExpunge(t *testing.T) {
	for _, slots := range []string{"symlink", "link", "directory"} {
		t.Run(slots, func(t *testing.T) {
			s, dir := newSpool(t, spool.InitOptions{Slots: slots})
			b := inbox(t, s)
			for i := range 3 {
				mustPut(t, b, fmt.Sprintf("Subject: %d\n\nbody\n", i))
			}
			m := open(t, b)
			if n := len(m.Messages()); n != 3 {
				t.Fatalf("%d messages, want 3", n)
			}
			if got := read(t, m, 2); !strings.HasPrefix(got, "Subject: ") {
				t.Errorf("message 2 is %q", got)
			}
			c, err := spool.ParseFlagChange("+seen,+kw:work")
			if err != nil {
				t.Fatal(err)
			}
			changed, err := m.SetFlags(t.Context(), spool.SetOf(1, 3, 9), c)
			if err != nil || changed.String() != "1,3" {
				t.Fatalf("changed %s, %v; want 1,3", changed, err)
			}
			if _, err := m.Expunge(t.Context(), spool.SetOf(2)); err != nil {
				t.Fatal(err)
			}
			if err := m.Project(t.Context()); err != nil {
				t.Fatal(err)
			}
			seen, err := filepath.Glob(filepath.Join(dir, "users/alice/cur/*:2,S"))
			if err != nil || len(seen) != 2 {
				t.Errorf("files shown as seen: %q, want 2", seen)
			}
			again := open(t, inbox(t, s))
			msgs := again.Messages()
			if len(msgs) != 2 || msgs[1].UID != 3 || msgs[1].Flags != spool.Seen || msgs[1].Keywords[0] != "work" {
				t.Errorf("another reader has %+v", msgs)
			}
			if _, err := again.Message(2); !errors.Is(err, spool.ErrNoMessage) {
				t.Errorf("message 2: %v", err)
			}
			checkClean(t, b)
		})
	}
}

func TestForeignMailGetsUIDs(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	m := open(t, b)
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "users/alice", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("new/1700000000.M1P2.mutt", "Subject: a\n\n")
	write("cur/1600000000.M1P2.old:2,FS", "Subject: b\n\n")
	write("cur/.hidden", "no mail")
	if err := os.Symlink("/etc/passwd", filepath.Join(dir, "users/alice/cur/1500000000.evil")); err != nil {
		t.Fatal(err)
	}
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	msgs := m.Messages()
	if len(msgs) != 2 || msgs[0].Name != "1600000000.M1P2.old" || msgs[0].Flags != spool.Seen|spool.Flagged || msgs[1].Size != 12 {
		t.Fatalf("messages: %+v", msgs)
	}
}

func TestManyRecordsAndPayload(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	for range 100 {
		mustPut(t, b, "Subject: x\n\n")
	}
	m := open(t, b) // one record of 100 assigns: a payload
	if n := len(m.Messages()); n != 100 {
		t.Fatalf("%d messages, want 100", n)
	}
	c, _ := spool.ParseFlagChange("+flagged")
	for uid := range uint32(60) {
		if _, err := m.SetFlags(t.Context(), spool.SetOf(uid+1), c); err != nil {
			t.Fatal(err)
		}
	}
	before := s.Host.Ops.Read()
	again := open(t, inbox(t, s))
	used := s.Host.Ops.Read().Sub(before)
	n := 0
	for _, msg := range again.Messages() {
		if msg.Flags == spool.Flagged {
			n++
		}
	}
	if n != 60 || again.ModSeq() != m.ModSeq() {
		t.Errorf("%d flagged at record %d, want 60 at %d", n, again.ModSeq(), m.ModSeq())
	}
	if slots := used[netfs.OpReadlink]; slots > 8 {
		t.Errorf("read %d slots for %d records: the tails are not used (%v)", slots, m.ModSeq(), used)
	}
	checkClean(t, b)
}

// Mail that arrives within one second keeps its order, where the file system's
// times tell.
func TestOrderWithinASecond(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	var names []string
	for range 20 {
		names = append(names, mustPut(t, b, "Subject: x\n\n"))
		if err := s.Host.Sleep(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	for i, msg := range open(t, b).Messages() {
		if msg.Name != names[i] {
			t.Errorf("UID %d is %s, want %s", msg.UID, msg.Name, names[i])
		}
	}
}
