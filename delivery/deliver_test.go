package delivery_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

func newSpool(t testing.TB, users ...string) (*spool.Spool, string) {
	t.Helper()
	dir := t.TempDir()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	s, err := spool.Init(t.Context(), h, spool.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range users {
		if err := a.Add(t.Context(), u, nil); err != nil {
			t.Fatal(err)
		}
	}
	return s, dir
}

// stored returns the files in a user's new directory.
func stored(t testing.TB, dir, user string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "users", user, "new", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func only(t testing.TB, dir, user string) (text, name string) {
	t.Helper()
	files := stored(t, dir, user)
	if len(files) != 1 {
		t.Fatalf("%s has %d messages, want 1", user, len(files))
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(b), filepath.Base(files[0])
}

func noLitter(t testing.TB, dir, user string) {
	t.Helper()
	for _, sub := range []string{"tmp", "bobbin/q"} {
		left, _ := filepath.Glob(filepath.Join(dir, "users", user, sub, "*"))
		if len(left) > 0 {
			t.Errorf("left in %s: %q", sub, left)
		}
	}
}

func TestLineEnds(t *testing.T) {
	long := strings.Repeat("0123456789abcde\r\n", 1<<17) // 2 MiB, beyond what is held in memory
	tests := []struct {
		name, in, want string
		mixed          bool
	}{
		{"LF", "Subject: a\n\nb\n", "Subject: a\n\nb\n", false},
		{"CRLF", "Subject: a\r\n\r\nb\r\n", "Subject: a\n\nb\n", false},
		{"CRLF without the last", "Subject: a\r\n\r\nb", "Subject: a\n\nb", false},
		{"CR at the end", "Subject: a\r\n\r\nb\r", "Subject: a\n\nb\r", false},
		{"mixed", "Subject: a\r\n\nb\r\n", "Subject: a\r\n\nb\r\n", true},
		{"bare CR", "Subject: a\rb\n\nc\r\r\n", "Subject: a\rb\n\nc\r\r\n", true},
		{"empty", "", "", false},
		{"no line end", "x", "x", false},
		{"NUL", "a\x00b\r\n", "a\x00b\n", false},
		{"From line", "From joe@example.org Mon Nov 23 04:00:00 2026\nSubject: a\n\n", "Subject: a\n\n", false},
		{"long CRLF", long, strings.ReplaceAll(long, "\r\n", "\n"), false},
		{"long LF", strings.ReplaceAll(long, "\r\n", "\n"), strings.ReplaceAll(long, "\r\n", "\n"), false},
		{"late LF", long + "x\n" + long, long + "x\n" + long, true},
		{"late CRLF", strings.ReplaceAll(long, "\r\n", "\n") + "x\r\n", strings.ReplaceAll(long, "\r\n", "\n") + "x\r\n", true},
		{"a line longer than memory", strings.Repeat("x", 3<<20) + "\r\ny\r\n", strings.Repeat("x", 3<<20) + "\ny\n", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, dir := newSpool(t, "alice", "bob")
			e := delivery.Envelope{Sender: "joe@example.org", Users: []string{"alice", "bob"}}
			// Chunks of odd sizes cut CR from LF.
			r := &chunks{strings.NewReader(tt.in), 4099}
			if err := delivery.Deliver(t.Context(), s, e, r); err != nil {
				t.Fatal(err)
			}
			for _, u := range e.Users {
				got, name := only(t, dir, u)
				want := "Return-Path: <joe@example.org>\nDelivered-To: " + u + "\n" + tt.want
				if got != want {
					t.Errorf("%s: stored %d bytes %.80q, want %d bytes %.80q", u, len(got), got, len(want), want)
				}
				wire := strings.Count(got, "\n") - strings.Count(got, "\r\n") + len(got)
				if !strings.Contains(name, fmt.Sprintf(",S=%d,W=%d", len(got), wire)) || strings.HasSuffix(name, ",M") != tt.mixed {
					t.Errorf("%s: the name is %s, want S=%d W=%d mixed %v", u, name, len(got), wire, tt.mixed)
				}
				noLitter(t, dir, u)
			}
		})
	}
}

type chunks struct {
	r io.Reader
	n int
}

func (c *chunks) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }

func TestRefused(t *testing.T) {
	tests := []struct {
		name string
		e    delivery.Envelope
		text string
		want error
	}{
		{"unknown user", delivery.Envelope{Users: []string{"alice", "nobody"}}, "x\n", spool.ErrNoUser},
		{"bad name", delivery.Envelope{Users: []string{"../alice"}}, "x\n", spool.ErrBadName},
		{"NUL", delivery.Envelope{Users: []string{"alice\x00"}}, "x\n", spool.ErrBadName},
		{"nobody", delivery.Envelope{}, "x\n", delivery.ErrNoRecipient},
		{"loop", delivery.Envelope{Users: []string{"alice"}}, "Delivered-To: Alice\n\n", delivery.ErrLoop},
		{"hops", delivery.Envelope{Users: []string{"alice"}}, strings.Repeat("Received: x\n", 101) + "\n", delivery.ErrLoop},
		{"sender", delivery.Envelope{Sender: "a\nb", Users: []string{"alice"}}, "x\n", spool.ErrBadName},
		{"no folder", delivery.Envelope{Users: []string{"alice"}, Folder: "Nope"}, "x\n", spool.ErrNoFolder},
		{"folder with slash", delivery.Envelope{Users: []string{"alice"}, Folder: "../bob"}, "x\n", spool.ErrBadName},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, dir := newSpool(t, "alice")
			err := delivery.Deliver(t.Context(), s, tt.e, strings.NewReader(tt.text))
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if n := len(stored(t, dir, "alice")); n != 0 {
				t.Errorf("%d messages were delivered", n)
			}
			noLitter(t, dir, "alice")
		})
	}
}

// A user whose mailbox cannot be written keeps the others from getting the
// message, and the retry after the repair gives it to all, once.
func TestOneUserFails(t *testing.T) {
	s, dir := newSpool(t, "alice", "bob")
	e := delivery.Envelope{Users: []string{"alice", "bob"}, QueueID: "4F1"}
	bobsTmp := filepath.Join(dir, "users/bob/tmp")
	if err := os.Remove(bobsTmp); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bobsTmp, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := delivery.Deliver(t.Context(), s, e, strings.NewReader("hello\n")); err == nil {
		t.Fatal("delivered to a mailbox without tmp")
	}
	if n := len(stored(t, dir, "alice")); n != 0 {
		t.Fatalf("alice has %d messages although bob failed", n)
	}
	if err := errors.Join(os.Remove(bobsTmp), os.Mkdir(bobsTmp, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := delivery.Deliver(t.Context(), s, e, strings.NewReader("hello\n")); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "alice")
	only(t, dir, "bob")
	noLitter(t, dir, "alice")
}

// failingFS fails renames into one user's new directory.
type failingFS struct {
	netfs.FS
	prefix, victim string
}

func (f *failingFS) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := f.FS.Sub(ctx, name)
	return &failingFS{sub, name, f.victim}, err
}

func (f *failingFS) Rename(ctx context.Context, o, n string) error {
	if strings.HasPrefix(f.prefix+"/"+n, f.victim) {
		return os.ErrPermission
	}
	return f.FS.Rename(ctx, o, n)
}

// When the second rename fails, the first user has the message already. The
// retry with the same queue id, even after a reader took the message away,
// gives it to the second user alone.
func TestRetryAfterHalf(t *testing.T) {
	for _, meanwhile := range []string{"nothing", "moved", "expunged"} {
		t.Run(meanwhile, func(t *testing.T) {
			s, dir := newSpool(t, "alice", "bob")
			e := delivery.Envelope{Users: []string{"alice", "bob"}, QueueID: "4F1"}
			h := *s.Host
			h.Share = &failingFS{s.Host.Share, "", "users/bob/new"}
			broken, err := spool.Open(t.Context(), &h)
			if err != nil {
				t.Fatal(err)
			}
			if err := delivery.Deliver(t.Context(), broken, e, strings.NewReader("hello\n")); err == nil {
				t.Fatal("the rename did not fail")
			}
			_, name := only(t, dir, "alice")
			if n := len(stored(t, dir, "bob")); n != 0 {
				t.Fatalf("bob has %d messages", n)
			}
			take(t, s, dir, name, meanwhile)
			left := len(stored(t, dir, "alice"))
			if err := delivery.Deliver(t.Context(), s, e, strings.NewReader("hello\n")); err != nil {
				t.Fatal(err)
			}
			only(t, dir, "bob")
			if n := len(stored(t, dir, "alice")); n != left {
				t.Errorf("alice has %d new messages after the retry, %d before", n, left)
			}
			noLitter(t, dir, "alice")
			// The same id with another message is another message.
			if err := delivery.Deliver(t.Context(), s, e, strings.NewReader("other\n")); err != nil {
				t.Fatal(err)
			}
			if n := len(stored(t, dir, "bob")); n != 2 {
				t.Errorf("bob has %d messages, want 2", n)
			}
		})
	}
}

// take does what a reader may do between a try and its retry.
func take(t *testing.T, s *spool.Spool, dir, name, what string) {
	t.Helper()
	switch what {
	case "moved":
		cur := filepath.Join(dir, "users/alice/cur", name+":2,S")
		if err := os.Rename(filepath.Join(dir, "users/alice/new", name), cur); err != nil {
			t.Fatal(err)
		}
	case "expunged":
		b, err := s.Box(t.Context(), "alice", spool.Inbox)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		m, err := b.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Expunge(t.Context(), spool.SetOf(1)); err != nil {
			t.Fatal(err)
		}
		if err := m.Project(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, "users/alice/bobbin/x", name)); err != nil {
			t.Fatal(err)
		}
	}
}

// The core of a delivery is four operations of these kinds.
func TestOperations(t *testing.T) {
	s, _ := newSpool(t, "alice")
	b, err := s.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	before := s.Host.Ops.Read()
	in, err := b.Receive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write(bytes.Repeat([]byte("x\n"), 1000)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.Finish(1000, false), in.Publish(t.Context())); err != nil {
		t.Fatal(err)
	}
	var want netfs.Counts
	want[netfs.OpOpen], want[netfs.OpWrite], want[netfs.OpClose], want[netfs.OpRename] = 1, 1, 1, 1
	if s.Host.Profile.DirSync {
		want[netfs.OpSync] = 1
	}
	if got := s.Host.Ops.Read().Sub(before); got != want {
		t.Errorf("a delivery costs %s, want %s", got, want)
	}
}

// A message of any size is delivered in the same memory.
func TestFlatMemory(t *testing.T) {
	size := int64(64 << 20)
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		size = 1 << 30
	}
	s, dir := newSpool(t, "alice")
	src := &endless{line: []byte(strings.Repeat("x", 76) + "\r\n"), left: size}
	sum := sha256.New()
	peak := &peakReader{r: src}
	e := delivery.Envelope{Users: []string{"alice"}}
	if err := delivery.Deliver(t.Context(), s, e, peak); err != nil {
		t.Fatal(err)
	}
	if peak.max > 16<<20 {
		t.Errorf("the heap grew to %d bytes for a message of %d", peak.max, size)
	}
	f, err := os.Open(stored(t, dir, "alice")[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n, err := io.Copy(sum, f)
	if lines := size / 78; err != nil || n < lines*77 {
		t.Errorf("stored %d bytes of %d, %v", n, lines*77, err)
	}
}

type endless struct {
	line []byte
	at   int
	left int64
}

func (e *endless) Read(p []byte) (n int, err error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	for n < len(p) {
		k := copy(p[n:], e.line[e.at:])
		n += k
		e.at = (e.at + k) % len(e.line)
	}
	e.left -= int64(n)
	return n, nil
}

// peakReader notes the size of the live heap now and then.
type peakReader struct {
	r     io.Reader
	calls int
	base  uint64
	max   uint64
}

func (p *peakReader) Read(b []byte) (int, error) {
	if p.calls++; p.calls%100 == 0 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if p.base == 0 {
			p.base = m.HeapAlloc
		}
		p.max = max(p.max, m.HeapAlloc-min(p.base, m.HeapAlloc))
	}
	return p.r.Read(b)
}

// A directory that is missing is made, whichever it is.
func TestMissingDirectory(t *testing.T) {
	for _, name := range []string{"tmp", "new", "cur"} {
		s, dir := newSpool(t, "alice")
		if err := os.Remove(filepath.Join(dir, "users/alice", name)); err != nil {
			t.Fatal(err)
		}
		if err := delivery.Deliver(t.Context(), s, delivery.Envelope{Users: []string{"alice"}}, strings.NewReader("x\n")); err != nil {
			t.Errorf("without %s: %v", name, err)
		}
		only(t, dir, "alice")
	}
}

// cut ends a message in the middle, in one of two ways.
type cut struct {
	io.Reader
	end func() error
}

func (c *cut) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = c.end()
	}
	return n, err
}

// Half a message is not delivered.
func TestHalfMessage(t *testing.T) {
	for _, size := range []int{10, 3 << 20} {
		s, dir := newSpool(t, "alice")
		ctx, cancel := context.WithCancel(t.Context())
		for name, end := range map[string]func() error{
			"connection broken": func() error { return io.ErrUnexpectedEOF },
			"told to end":       func() error { cancel(); return io.EOF },
		} {
			in := &cut{strings.NewReader(strings.Repeat("x", size)), end}
			if err := delivery.Deliver(ctx, s, delivery.Envelope{Users: []string{"alice"}}, in); err == nil {
				t.Errorf("%s after %d bytes: delivered", name, size)
			}
		}
		if n := len(stored(t, dir, "alice")); n != 0 {
			t.Errorf("%d messages were delivered", n)
		}
		noLitter(t, dir, "alice")
		cancel()
	}
}

// A retry for one of the users of a delivery that was broken off finds it.
func TestRetryForOneUser(t *testing.T) {
	s, dir := newSpool(t, "alice", "bob")
	h := *s.Host
	h.Share = &failingFS{s.Host.Share, "", "users/bob/new"}
	broken, err := spool.Open(t.Context(), &h)
	if err != nil {
		t.Fatal(err)
	}
	e := delivery.Envelope{Users: []string{"alice", "bob"}, QueueID: "4F1"}
	if err := delivery.Deliver(t.Context(), broken, e, strings.NewReader("hello\n")); err == nil {
		t.Fatal("the rename did not fail")
	}
	for _, u := range e.Users {
		one := delivery.Envelope{Users: []string{u}, QueueID: "4F1"}
		if err := delivery.Deliver(t.Context(), s, one, strings.NewReader("hello\n")); err != nil {
			t.Fatal(err)
		}
		only(t, dir, u)
	}
}

func TestFromLines(t *testing.T) {
	for line, envelope := range map[string]bool{
		"From joe@example.org Mon Nov 23 04:00:00 2026":     true,
		"From joe@example.org  Mon Nov  3 04:00 +0100 2026": true,
		"From  Mon Nov 23 04:00:00 2026":                    true,
		"From now on I write without a header.":             false,
		"From: joe@example.org":                             false,
		"From joe@example.org 23 Nov 2026":                  false,
	} {
		s, dir := newSpool(t, "alice")
		if err := delivery.Deliver(t.Context(), s, delivery.Envelope{Users: []string{"alice"}}, strings.NewReader(line+"\nrest\n")); err != nil {
			t.Fatal(err)
		}
		if text, _ := only(t, dir, "alice"); strings.Contains(text, line) == envelope {
			t.Errorf("%q: stored as %q", line, text)
		}
	}
}
