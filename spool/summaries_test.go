package spool_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
	"github.com/bobbinmail/bobbin/spool/summary"
)

func subjectText(i int) string {
	return fmt.Sprintf("From: joe@example.org\nSubject: number %d\n\nbody %d\n", i, i)
}

// summaries lists what a mailbox says of its messages.
func summaries(t testing.TB, m *spool.Mailbox, want spool.Want) (all []*summary.Summary) {
	t.Helper()
	for s, err := range m.Summaries(t.Context(), spool.AllUIDs(), want) {
		if err != nil {
			t.Error(err)
		}
		all = append(all, s)
	}
	return all
}

// checkSummaries compares every summary with the message.
func checkSummaries(t testing.TB, m *spool.Mailbox, want spool.Want, count int) {
	t.Helper()
	all := summaries(t, m, want)
	if len(all) != count {
		t.Fatalf("%d summaries, want %d", len(all), count)
	}
	for i, s := range all {
		msg := m.Messages()[i]
		text := read(t, m, s.UID)
		_, subject, _ := strings.Cut(text, "Subject: ")
		subject, _, _ = strings.Cut(subject, "\n")
		if s.UID != msg.UID || s.Size != msg.Size || !s.Date.Equal(msg.Date) || s.Subject != subject || s.From != "joe@example.org" || s.Preview != "body "+subject[len("number "):] {
			t.Errorf("message %d (%q) has the summary %+v", msg.UID, text, s)
		}
		if structure := want == spool.Structure; structure && (s.Body == "" || !strings.Contains(s.Envelope, subject)) {
			t.Errorf("message %d has the structure %q %q", msg.UID, s.Envelope, s.Body)
		}
	}
}

func fillSubjects(t testing.TB, b *spool.Box, n int) {
	t.Helper()
	for i := range n {
		mustPut(t, b, subjectText(i))
	}
}

func TestSummaries(t *testing.T) {
	const n = 600
	s, _ := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	fillSubjects(t, b, n)
	m := open(t, b)
	checkSummaries(t, m, spool.Columns, n)
	m.Close(t.Context())
	m = open(t, b)
	for _, want := range []spool.Want{spool.Columns, spool.Structure} {
		ops, _ := counted(t, s, func() error { summaries(t, m, want); return nil })
		if got := ops[netfs.OpOpen]; got > 5 || ops.Total() > 20 {
			t.Errorf("summaries %v of %d messages cost %s", want, n, ops)
		}
		checkSummaries(t, m, want, n)
	}
	checkClean(t, b)
}

// Expunged messages drop out of segments that are merged, and segments without
// messages are no longer named.
func TestSegmentsFollowExpunges(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	m := open(t, b)
	count := 0
	for round := range uint32(12) {
		fillSubjects(t, b, 20)
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		count += 20
		checkSummaries(t, m, spool.Columns, count)
		m.KeepSummaries(t.Context())
		gone, err := m.Expunge(t.Context(), spool.UIDSet{{First: 20*round + 5, Last: 20*round + 12}})
		if err != nil || gone.String() == "" {
			t.Fatal(err)
		}
		if err := m.Project(t.Context()); err != nil {
			t.Fatal(err)
		}
		count -= 8
	}
	again := open(t, b)
	ops, _ := counted(t, s, func() error { summaries(t, again, spool.Columns); return nil })
	if ops[netfs.OpOpen] > 6 {
		t.Errorf("%d messages are in too many segments: %s", count, ops)
	}
	checkSummaries(t, again, spool.Structure, count)
	checkClean(t, b)
}

// The record of a segment costs what is counted here, and nothing else.
func TestSegmentOperations(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	fillSubjects(t, b, 100)
	m := open(t, b)
	ops, _ := counted(t, s, func() error { summaries(t, m, spool.Columns); return nil })
	if want := "open 100 read 100 close 100"; ops.String() != want {
		t.Errorf("reading 100 messages: %s, want %s", ops, want)
	}
	ops, _ = counted(t, s, func() error { m.KeepSummaries(t.Context()); return nil })
	if want := "open 1 write 1 close 1 getattr 1 symlink 1"; ops.String() != want {
		t.Errorf("a segment: %s, want %s", ops, want)
	}
	ops, _ = counted(t, s, func() error { m.KeepSummaries(t.Context()); return nil })
	if ops.Total() != 0 {
		t.Errorf("nothing new: %s", ops)
	}
}

// A segment that is damaged, forged or gone is read off the messages again,
// and replaced.
func TestDamagedSegments(t *testing.T) {
	for name, damage := range map[string]func(file string, text []byte) error{
		"gone":      func(file string, _ []byte) error { return os.Remove(file) },
		"cut":       func(file string, text []byte) error { return os.WriteFile(file, text[:len(text)-1], 0o600) },
		"empty":     func(file string, _ []byte) error { return os.WriteFile(file, nil, 0o600) },
		"list":      func(file string, text []byte) error { text[200] ^= 1; return os.WriteFile(file, text, 0o600) },
		"structure": func(file string, text []byte) error { text[len(text)-9] ^= 1; return os.WriteFile(file, text, 0o600) },
		"link": func(file string, _ []byte) error {
			return errors.Join(os.Remove(file), os.Symlink("/etc/passwd", file))
		},
		"directory": func(file string, _ []byte) error { return errors.Join(os.Remove(file), os.Mkdir(file, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newSpool(t, spool.InitOptions{})
			b := inbox(t, s)
			fillSubjects(t, b, 30)
			m := open(t, b)
			summaries(t, m, spool.Columns)
			m.Close(t.Context())
			files, err := filepath.Glob(filepath.Join(dir, "users/alice/bobbin/s/*"))
			if err != nil || len(files) != 1 {
				t.Fatalf("segments: %q", files)
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(files[0], text); err != nil {
				t.Fatal(err)
			}
			m = open(t, b)
			checkSummaries(t, m, spool.Structure, 30)
			m.Close(t.Context())
			ops, _ := counted(t, s, func() error { summaries(t, open(t, b), spool.Structure); return nil })
			if ops[netfs.OpOpen] > 3 {
				t.Errorf("it was not replaced: %s", ops)
			}
		})
	}
}

// A message that cannot be read is an error of its own.
func TestSummaryOfMissingMessage(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	fillSubjects(t, b, 3)
	m := open(t, b)
	name := m.Messages()[1].Name
	if err := os.Remove(filepath.Join(dir, "users/alice/new", name)); err != nil {
		t.Fatal(err)
	}
	var got []string
	for s, err := range m.Summaries(t.Context(), spool.AllUIDs(), spool.Columns) {
		got = append(got, fmt.Sprint(s.UID, s.Wire, errors.Is(err, spool.ErrMissing) || err == nil))
	}
	// The reader that looks for the file finds, by a complete scan, that
	// another program removed it.
	if len(got) != 2 && (len(got) != 3 || got[1] != "2 60 true") {
		t.Errorf("got %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := 0
	for range open(t, b).Summaries(ctx, spool.AllUIDs(), spool.Columns) {
		n++
	}
	if n != 1 {
		t.Errorf("%d summaries after the context ended, want one with an error", n)
	}
}

// A spool of level 1 gets no segments.
func TestNoSegmentsInLevel1(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	marker := filepath.Join(dir, "bobbin.toml")
	text, err := os.ReadFile(marker)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(marker, []byte(strings.Replace(string(text), "level = 2", "level = 1", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err = spool.Open(t.Context(), s.Host)
	if err != nil {
		t.Fatal(err)
	}
	b := inbox(t, s)
	fillSubjects(t, b, 30)
	m := open(t, b)
	checkSummaries(t, m, spool.Columns, 30)
	before := m.ModSeq()
	m.Close(t.Context())
	if m.ModSeq() != before {
		t.Errorf("closing committed record %d", m.ModSeq())
	}
}

// suspended runs a function before the next link is made, or the next listing
// of the log, as if the process had stood still meanwhile.
type suspended struct {
	netfs.FS
	meanwhile *func()
	listing   *func()
}

func (s suspended) Sub(ctx context.Context, name string) (netfs.FS, error) {
	f, err := s.FS.Sub(ctx, name)
	return suspended{f, s.meanwhile, s.listing}, err
}

func (s suspended) ReadDir(ctx context.Context, name string) ([]string, error) {
	if s.listing != nil && name == "bobbin" {
		resume(s.listing)
	}
	return s.FS.ReadDir(ctx, name)
}

func resume(f *func()) {
	if g := *f; g != nil {
		*f = nil
		g()
	}
}

func (s suspended) Symlink(ctx context.Context, target, name string) error {
	if s.meanwhile != nil {
		resume(s.meanwhile)
	}
	return s.FS.Symlink(ctx, target, name)
}

// A host that is suspended between writing a segment and naming it, until
// others have swept the file, does not name it.
func TestSuspendedSegmentWriter(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{Slots: "symlink"})
	tuning := commitlog.Tuning{Slots: 5, KeepFor: 1}
	s.Tuning = tuning
	b := inbox(t, s)
	fillSubjects(t, b, 30)
	other := open(t, b)

	h := openHost(t, dir)
	var meanwhile func()
	h.Share = suspended{h.Share, &meanwhile, nil}
	slow, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	slow.Tuning = tuning
	m := open(t, inbox(t, slow))
	summaries(t, m, spool.Columns)
	files := func() []string {
		names, err := filepath.Glob(filepath.Join(dir, "users/alice/bobbin/s/*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	meanwhile = func() {
		written := files()
		for i := range 30 {
			if _, err := other.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{AddKeywords: []string{fmt.Sprintf("k%d", i)}}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(written[0]); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s was not swept: %v", written[0], err)
		}
	}
	m.KeepSummaries(t.Context())
	if meanwhile != nil {
		t.Fatal("no segment was written")
	}
	checkClean(t, b)
	checkSummaries(t, m, spool.Structure, 30)
	checkSummaries(t, open(t, b), spool.Structure, 30)
}

// A host that is suspended between ending a generation and clearing away what
// is old removes no segment that others have named meanwhile (seed 360 of
// TestSegmentsRace).
func TestSuspendedSweeper(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	tuning := commitlog.Tuning{Slots: 5, KeepFor: 1}
	s.Tuning = tuning
	b := inbox(t, s)
	fillSubjects(t, b, 30)
	other := open(t, b)
	flag := func(m *spool.Mailbox, n int) {
		t.Helper()
		for i := range n {
			if _, err := m.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{AddKeywords: []string{fmt.Sprintf("k%d", m.ModSeq()+uint64(i))}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	h := openHost(t, dir)
	var listing func()
	h.Share = suspended{h.Share, nil, &listing}
	slow, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	slow.Tuning = tuning
	m := open(t, inbox(t, slow))
	listing = func() {
		flag(other, 1)
		summaries(t, other, spool.Columns)
		other.KeepSummaries(t.Context())
		flag(other, 20)
	}
	flag(m, 10)
	if listing != nil {
		t.Fatal("no generation was ended")
	}
	checkClean(t, b)
}
