package delivery_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// otherHost opens the spool as another host does.
func otherHost(t *testing.T, dir string) *spool.Spool {
	t.Helper()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	s, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func nothingInTmp(t *testing.T, dir string) {
	t.Helper()
	if names, err := filepath.Glob(filepath.Join(dir, "users/alice/tmp/*")); err != nil || len(names) > 0 {
		t.Errorf("left behind: %q, %v", names, err)
	}
}

// What a mail system tries again because it did not hear of the end is there once, on
// whatever host, and whatever its reader did meanwhile.
func TestCompleteRetry(t *testing.T) {
	const received = "Received: from a by b id 4F1;\r\n Mon, 23 Nov 2026 04:00:00 +0000\r\nReceived: from c by a\r\n"
	for _, meanwhile := range []string{"nothing", "moved", "expunged"} {
		for _, by := range []string{"4F1", ""} {
			s, dir := newSpool(t, "alice")
			other := otherHost(t, dir)
			deliver := func(s *spool.Spool, queueID, text string) {
				t.Helper()
				e := delivery.Envelope{Users: []string{"alice"}, QueueID: queueID, Once: true}
				if err := delivery.Deliver(t.Context(), s, e, strings.NewReader(text)); err != nil {
					t.Fatal(err)
				}
			}
			deliver(s, by, received+"\r\nhello\r\n")
			_, name := only(t, dir, "alice")
			take(t, s, dir, name, meanwhile)
			left := len(stored(t, dir, "alice"))
			want := func(n int, what string) {
				t.Helper()
				if got := len(stored(t, dir, "alice")) - left; got != n {
					t.Errorf("%s, %q: %d more messages after %s, want %d", meanwhile, by, got, what, n)
				}
			}
			for range 2 {
				deliver(other, by, received+"\r\nhello\r\n")
			}
			want(0, "the retry")
			deliver(other, by, received+"\r\nother\r\n")
			want(1, "another message")
			deliver(other, by+"x", "Received: x\r\n"+received+"\r\nhello\r\n")
			want(2, "a message that came another way")
			deliver(s, "", "Subject: x\r\n\r\n")
			deliver(s, "", "Subject: x\r\n\r\n")
			want(4, "messages that tell nothing of where they came from")
			nothingInTmp(t, dir)
		}
	}
}

// Looking for duplicates costs one put-if-absent.
func TestCompleteRetryCost(t *testing.T) {
	s, _ := newSpool(t, "alice")
	cost := func(e delivery.Envelope, text string) netfs.Counts {
		t.Helper()
		e.Users = []string{"alice"}
		before := s.Host.Ops.Read()
		if err := delivery.Deliver(t.Context(), s, e, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		return s.Host.Ops.Read().Sub(before)
	}
	const text = "Received: by x\nMessage-ID: <a@b>\n\n"
	once := delivery.Envelope{QueueID: "1", Once: true}
	cost(once, text) // makes the directory
	plain := cost(delivery.Envelope{}, text)
	var put netfs.Counts
	put[netfs.OpSymlink] = 1
	if s.Host.Profile.DirSync {
		put[netfs.OpSync] = 1
	}
	once.QueueID = "2"
	if got := cost(once, text).Sub(plain); got != put {
		t.Errorf("with a queue id: %s more, want %s", got, put)
	}
	if got := cost(delivery.Envelope{Once: true}, text).Sub(plain); got != put {
		t.Errorf("with Received: %s more, want %s", got, put)
	}
	if got := cost(delivery.Envelope{MessageIDs: time.Hour}, text).Sub(plain); got != put {
		t.Errorf("with Message-ID: %s more, want %s", got, put)
	}
}

// Of messages with one Message-ID only the first is delivered for some time, in each mailbox.
func TestMessageIDs(t *testing.T) {
	s, dir := newSpool(t, "alice", "bob")
	later := *s.Host
	wall := s.Host.Wall
	later.Wall = func() time.Time { return wall().Add(2 * time.Hour) }
	afterwards, err := spool.Open(context.WithoutCancel(t.Context()), &later)
	if err != nil {
		t.Fatal(err)
	}
	deliver := func(s *spool.Spool, header string, users ...string) {
		t.Helper()
		e := delivery.Envelope{Users: users, MessageIDs: time.Hour}
		if err := delivery.Deliver(t.Context(), s, e, strings.NewReader(header+"\n\n")); err != nil {
			t.Fatal(err)
		}
	}
	deliver(s, "Message-ID: <a@b>", "alice")
	deliver(otherHost(t, dir), "Subject: changed by a list\nMessage-ID: <a@b>", "alice", "bob")
	only(t, dir, "alice")
	only(t, dir, "bob")
	nothingInTmp(t, dir)
	deliver(s, "Message-ID: <c@d>", "alice")
	deliver(s, "Subject: none", "alice")
	deliver(s, "Subject: none", "alice")
	if n := len(stored(t, dir, "alice")); n != 4 {
		t.Errorf("%d messages, want 4", n)
	}
	deliver(afterwards, "Message-ID: <a@b>", "alice")
	deliver(afterwards, "Message-ID: <a@b>", "alice")
	if n := len(stored(t, dir, "alice")); n != 5 {
		t.Errorf("%d messages after two hours, want 5", n)
	}
}
