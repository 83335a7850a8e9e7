package spool_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// hooked is a share on which a test comes between.
type hooked struct {
	netfs.FS
	before func(op, name string) error
}

func (h *hooked) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := h.FS.Sub(ctx, name)
	return &hooked{sub, h.before}, err
}

func (h *hooked) Symlink(ctx context.Context, target, name string) error {
	if err := h.before("symlink", name); err != nil {
		return err
	}
	return h.FS.Symlink(ctx, target, name)
}

func (h *hooked) Link(ctx context.Context, oldname, newname string) error {
	if err := h.before("link", newname); err != nil {
		return err
	}
	return h.FS.Link(ctx, oldname, newname)
}

func (h *hooked) Rename(ctx context.Context, oldname, newname string) error {
	if err := h.before("rename", oldname); err != nil {
		return err
	}
	return h.FS.Rename(ctx, oldname, newname)
}

// hook returns the same spool as another host sees it, through h.
func hook(t *testing.T, s *spool.Spool, before func(op, name string) error) *spool.Spool {
	t.Helper()
	host := *s.Host
	host.Share = &hooked{host.Share, before}
	s2, err := spool.Open(t.Context(), &host)
	if err != nil {
		t.Fatal(err)
	}
	return s2
}

// atSlot is hook for what comes before slot n that this host puts, counted
// from 1.
func atSlot(t *testing.T, s *spool.Spool, n int, f func() error) *spool.Spool {
	t.Helper()
	slots := 0
	return hook(t, s, func(op, _ string) error {
		if op != "symlink" {
			return nil
		}
		if slots++; slots != n {
			return nil
		}
		return f()
	})
}

func diskFull() error { return syscall.ENOSPC }

// archive is a second folder of alice's.
func archive(t *testing.T, s *spool.Spool) *spool.Box {
	t.Helper()
	if err := s.CreateFolder(t.Context(), "alice", "Archive"); err != nil && !errors.Is(err, spool.ErrExists) {
		t.Fatal(err)
	}
	b, err := s.Box(t.Context(), "alice", "Archive")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// receive finishes a message for Append.
func receive(t *testing.T, b *spool.Box, text string) *spool.Incoming {
	t.Helper()
	in, err := b.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, text); err != nil {
		t.Fatal(err)
	}
	if err := in.Finish(int64(strings.Count(text, "\n")), false); err != nil {
		t.Fatal(err)
	}
	return in
}

func project(t *testing.T, m *spool.Mailbox) {
	t.Helper()
	if err := m.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantFiles checks how many files a directory of alice's has.
func wantFiles(t *testing.T, root, dir string, want int) {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(root, "users/alice", dir))
	if err != nil || len(names) != want {
		t.Errorf("%s has %v, %v; want %d files", dir, names, err, want)
	}
}

func TestAppend(t *testing.T) {
	s, root := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	m := open(t, b)
	date := time.Unix(1_000_000_000, 0)
	one := spool.NewMessage{In: receive(t, b, "Subject: 1\n\n"), Flags: spool.Seen | spool.Flagged, Keywords: []string{"work", "$Junk"}, Date: date}
	two := spool.NewMessage{In: receive(t, b, "Subject: 2\n\n"), Keywords: []string{"work"}}
	uids, err := m.Append(t.Context(), one, two)
	if err != nil || !slices.Equal(uids, []uint32{1, 2}) {
		t.Fatalf("UIDs %v, %v", uids, err)
	}
	wantFiles(t, root, "bobbin/hold", 2)
	other := open(t, inbox(t, s)) // while the files are in hold
	if got := read(t, other, 1); got != "Subject: 1\n\n" {
		t.Errorf("UID 1 is %q", got)
	}
	msgs := other.Messages()
	if len(msgs) != 2 || msgs[0].Flags != spool.Seen|spool.Flagged || !slices.Equal(msgs[0].Keywords, []string{"$Junk", "work"}) ||
		!msgs[0].Date.Equal(date) || msgs[1].Flags != 0 || !slices.Equal(msgs[1].Keywords, []string{"work"}) {
		t.Errorf("another reader has %+v", msgs)
	}
	if m.ModSeq() != 2 {
		t.Errorf("%d records, want 2", m.ModSeq())
	}
	project(t, other) // whoever comes first
	project(t, m)
	wantFiles(t, root, "bobbin/hold", 0)
	wantFiles(t, root, "cur", 2)
	if got := read(t, m, 2); got != "Subject: 2\n\n" {
		t.Errorf("UID 2 is %q", got)
	}
	checkClean(t, b)

	bad := spool.NewMessage{In: receive(t, b, "Subject: 3\n\n"), Keywords: []string{"two words"}}
	good := spool.NewMessage{In: receive(t, b, "Subject: 4\n\n")}
	if _, err := m.Append(t.Context(), good, bad); !errors.Is(err, spool.ErrBadName) {
		t.Errorf("a keyword that is none: %v", err)
	}
	for _, dir := range []string{"bobbin/hold", "tmp", "new"} {
		wantFiles(t, root, dir, 0)
	}
	if n := len(m.Messages()); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

// twoMessages makes INBOX with two messages of different flags.
func twoMessages(t *testing.T, s *spool.Spool) *spool.Mailbox {
	t.Helper()
	b := inbox(t, s)
	mustPut(t, b, "Subject: 1\n\n")
	mustPut(t, b, "Subject: 2\n\n")
	m := open(t, b)
	c := spool.FlagChange{Add: spool.Answered, AddKeywords: []string{"work"}}
	if _, err := m.SetFlags(t.Context(), spool.SetOf(1), c); err != nil {
		t.Fatal(err)
	}
	return m
}

// wantCopies checks that got are copies of what twoMessages made.
func wantCopies(t *testing.T, m *spool.Mailbox, got []spool.Copied, was []*spool.Message) {
	t.Helper()
	if len(got) != 2 {
		t.Fatalf("copied %+v", got)
	}
	for i, c := range got {
		msg, err := m.Message(c.Target)
		if err != nil {
			t.Fatal(err)
		}
		src := was[i]
		if c.Source != src.UID || msg.Name == src.Name || msg.Flags != src.Flags || !slices.Equal(msg.Keywords, src.Keywords) ||
			!msg.Date.Equal(src.Date) || msg.Size != src.Size {
			t.Errorf("%+v is copied as %+v", src, msg)
		}
		if want := "Subject: " + string(rune('1'+i)) + "\n\n"; read(t, m, c.Target) != want {
			t.Errorf("UID %d is %q, want %q", c.Target, read(t, m, c.Target), want)
		}
	}
}

func TestCopyAndMove(t *testing.T) {
	noLinks := func(op, _ string) error {
		if op == "link" {
			return syscall.EXDEV
		}
		return nil
	}
	for _, tt := range []struct {
		name   string
		before func(op, name string) error
		links  bool
	}{
		{"linked", func(string, string) error { return nil }, true},
		{"written", noLinks, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plain, root := newSpool(t, spool.InitOptions{})
			s := hook(t, plain, tt.before)
			m := twoMessages(t, s)
			was := m.Messages()
			target := open(t, archive(t, s))
			set, _ := spool.ParseUIDSet("1-9")
			copies, err := m.Copy(t.Context(), set, target)
			if err != nil {
				t.Fatal(err)
			}
			wantCopies(t, target, copies, was)
			i, err := plain.Host.Share.Stat(t.Context(), "users/alice/.Archive/bobbin/hold/"+target.Messages()[0].Name)
			if err != nil || (i.Nlink == 2) != tt.links {
				t.Errorf("%+v, %v; linked should be %v", i, err, tt.links)
			}
			project(t, target)

			moved, err := m.Move(t.Context(), set, target)
			if err != nil {
				t.Fatal(err)
			}
			wantCopies(t, target, moved, was)
			again := open(t, archive(t, s))
			wantCopies(t, again, moved, was)
			if n := len(m.Messages()); n != 0 {
				t.Errorf("%d messages stayed", n)
			}
			project(t, m)
			project(t, again)
			wantFiles(t, root, "new", 0)
			wantFiles(t, root, "bobbin/x", 2)
			wantFiles(t, root, ".Archive/cur", 4)
			for _, dir := range []string{"bobbin/hold", "tmp"} {
				wantFiles(t, root, ".Archive/"+dir, 0)
			}
			checkClean(t, inbox(t, s))
			checkClean(t, archive(t, s))
		})
	}
}

// On AFS a file with two names could not be renamed into cur (H21).
func TestNoLinksOnAFS(t *testing.T) {
	plain, _ := newSpool(t, spool.InitOptions{})
	linked := 0
	plain.Host.Profile.Kind = "afs"
	s := hook(t, plain, func(op, _ string) error {
		if op == "link" {
			linked++
		}
		return nil
	})
	m := twoMessages(t, s)
	was := m.Messages()
	target := open(t, archive(t, s))
	copies, err := m.Copy(t.Context(), spool.SetOf(1, 2), target)
	if err != nil || linked != 0 {
		t.Fatalf("%d links, %v", linked, err)
	}
	wantCopies(t, target, copies, was)
}

// A mailbox may be its own target.
func TestCopyInPlace(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, s)
	was := m.Messages()
	copies, err := m.Copy(t.Context(), spool.SetOf(1, 2), m)
	if err != nil {
		t.Fatal(err)
	}
	wantCopies(t, m, copies, was)
	moved, err := m.Move(t.Context(), spool.SetOf(1, 2), m)
	if err != nil {
		t.Fatal(err)
	}
	wantCopies(t, m, moved, was)
	if n := len(m.Messages()); n != 4 {
		t.Errorf("%d messages, want 4", n)
	}
	project(t, m)
	checkClean(t, inbox(t, s))
}

// What cannot be copied whole is not copied at all.
func TestCopyMissing(t *testing.T) {
	s, root := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, s)
	target := open(t, archive(t, s))
	name := m.Messages()[1].Name
	if err := os.Remove(filepath.Join(root, "users/alice/new", name)); err != nil {
		t.Fatal(err)
	}
	// A link in the file's place leads nowhere else.
	if err := os.Symlink("/etc/passwd", filepath.Join(root, "users/alice/new", name)); err != nil {
		t.Fatal(err)
	}
	for _, act := range []func(context.Context, spool.UIDSet, *spool.Mailbox) ([]spool.Copied, error){m.Copy, m.Move} {
		if got, err := act(t.Context(), spool.SetOf(1, 2), target); !errors.Is(err, netfs.ErrIrregular) || len(got) != 0 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if a, b := len(m.Messages()), len(target.Messages()); a != 2 || b != 0 {
		t.Errorf("%d and %d messages, want 2 and 0", a, b)
	}
	for _, dir := range []string{"bobbin/hold", "tmp"} {
		wantFiles(t, root, ".Archive/"+dir, 0)
	}
}

// A move that was broken off between the copy and the removal is completed by
// the next one, without a double.
func TestMoveAgain(t *testing.T) {
	plain, _ := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, plain)
	archive(t, plain)
	s := atSlot(t, plain, 2, diskFull) // assign, expunge
	got, err := open(t, inbox(t, s)).Move(t.Context(), spool.SetOf(1, 2), open(t, archive(t, s)))
	if !errors.Is(err, syscall.ENOSPC) || len(got) != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	// Meanwhile both are used.
	target := open(t, archive(t, plain))
	if _, err := m.SetFlags(t.Context(), spool.SetOf(2), spool.FlagChange{AddKeywords: []string{"here"}, Add: spool.Seen}); err != nil {
		t.Fatal(err)
	}
	if _, err := target.SetFlags(t.Context(), spool.SetOf(got[1].Target), spool.FlagChange{AddKeywords: []string{"there"}}); err != nil {
		t.Fatal(err)
	}
	again, err := m.Move(t.Context(), spool.SetOf(1, 2), target)
	if err != nil || !slices.Equal(got, again) {
		t.Fatalf("%+v, %v; want %+v", again, err, got)
	}
	msgs := target.Messages()
	if len(msgs) != 2 || len(m.Messages()) != 0 {
		t.Fatalf("%d messages, and %d stayed; want 2 and none", len(msgs), len(m.Messages()))
	}
	if msgs[0].Flags != spool.Answered || msgs[1].Flags != spool.Seen || !slices.Equal(msgs[1].Keywords, []string{"here", "there"}) {
		t.Errorf("%+v, %+v", msgs[0], msgs[1])
	}
	project(t, m)
	checkClean(t, inbox(t, plain))
}

// A copy of an earlier try that somebody removed from the target does not
// count: the message is not lost.
func TestMoveAfterTheCopyWent(t *testing.T) {
	plain, _ := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, plain)
	target := open(t, archive(t, plain))
	s := atSlot(t, plain, 2, diskFull)
	got, err := open(t, inbox(t, s)).Move(t.Context(), spool.SetOf(1), open(t, archive(t, s)))
	if err == nil || len(got) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := target.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := target.Expunge(t.Context(), spool.SetOf(got[0].Target)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Move(t.Context(), spool.SetOf(1), target); err != nil {
		t.Fatal(err)
	}
	msgs := target.Messages()
	if len(msgs) != 1 || read(t, target, msgs[0].UID) != "Subject: 1\n\n" {
		t.Errorf("the target has %+v", msgs)
	}
}

// Flags that are set while a message moves go with it.
func TestMoveTakesFlagsAlong(t *testing.T) {
	plain, _ := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, plain)
	target := open(t, archive(t, plain))
	s := atSlot(t, plain, 2, func() error { // assign, expunge
		_, err := m.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{
			Add: spool.Seen, Remove: spool.Answered, AddKeywords: []string{"late"}, RemoveKeywords: []string{"work"},
		})
		return err
	})
	got, err := open(t, inbox(t, s)).Move(t.Context(), spool.SetOf(1, 2), open(t, archive(t, s)))
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	msg, err := target.Message(got[0].Target)
	if err != nil || msg.Flags != spool.Seen || !slices.Equal(msg.Keywords, []string{"late"}) {
		t.Errorf("%+v, %v", msg, err)
	}
	if err := m.Refresh(t.Context()); err != nil || len(m.Messages()) != 0 {
		t.Errorf("%d messages stayed, %v", len(m.Messages()), err)
	}
}

// A message that was expunged elsewhere, and whose file is unlinked by now, is
// no message: nothing is missing.
func TestOpenAfterExpunge(t *testing.T) {
	s, root := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, s)
	other := open(t, inbox(t, s))
	if _, err := other.Expunge(t.Context(), spool.SetOf(1)); err != nil {
		t.Fatal(err)
	}
	project(t, other)
	gone := filepath.Join(root, "users/alice/bobbin/x")
	if err := errors.Join(os.RemoveAll(gone), os.Mkdir(gone, 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := m.OpenMessage(t.Context(), 1); !errors.Is(err, spool.ErrNoMessage) {
		t.Errorf("open: %v, want ErrNoMessage", err)
	}
}

// If the copy is removed before it has all flags, the message stays where it
// was.
func TestMoveLosesTheCopy(t *testing.T) {
	plain, _ := newSpool(t, spool.InitOptions{})
	m := twoMessages(t, plain)
	target := open(t, archive(t, plain))
	s := atSlot(t, plain, 2, func() error { // assign, expunge
		_, err := m.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{AddKeywords: []string{"late"}})
		if err == nil {
			err = target.Refresh(t.Context())
		}
		if err == nil {
			_, err = target.Expunge(t.Context(), spool.SetOf(1))
		}
		return err
	})
	if _, err := open(t, inbox(t, s)).Move(t.Context(), spool.SetOf(1), open(t, archive(t, s))); !errors.Is(err, spool.ErrRetry) || !strings.Contains(err.Error(), "a copy was removed") {
		t.Errorf("move: %v", err)
	}
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if msg, err := m.Message(1); err != nil || !slices.Equal(msg.Keywords, []string{"late", "work"}) {
		t.Errorf("%+v, %v", msg, err)
	}
}
