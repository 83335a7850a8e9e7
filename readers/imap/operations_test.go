package imap_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/imap"
)

// TestOperations: what commands cost the file server in a mailbox that this host
// knows.
func TestOperations(t *testing.T) {
	s := open(t, imap.Options{})
	for range 20 {
		s.deliver("Subject: x\n\nx\n")
	}
	ops := s.hosts[0].ops
	c := s.dial(0)
	if _, err := c.line(); err != nil {
		t.Fatal(err)
	}
	say := func(command string) {
		t.Helper()
		if got := c.answer("1 " + command); !strings.Contains(got, "1 OK ") {
			t.Fatalf("%s: %s", command, got)
		}
	}
	say(`LOGIN alice "secret word"`)
	say("SELECT INBOX")
	say("FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)")
	say("UNSELECT")
	for _, step := range []struct {
		command string
		most    int64
	}{
		{"SELECT INBOX", 4},
		{"NOOP", 3},
		{"FETCH 1:* (UID ENVELOPE BODYSTRUCTURE RFC822.SIZE)", 1},
		{"STORE 1:* +FLAGS (label)", 2},
		{"FETCH 1:* FLAGS", 0},
	} {
		// A change in the last tick of the clock is looked for again; if that had
		// no end, the test would time out.
		for n := step.most + 1; n > step.most; time.Sleep(5 * time.Millisecond) {
			before := requests(ops)
			say(step.command)
			n = requests(ops) - before
			if n > step.most && strings.HasPrefix(step.command, "STORE") {
				say("STORE 1:* -FLAGS (label)")
			}
		}
	}
}

// requests leaves out the syncing of directories, which servers do by themselves.
func requests(ops *netfs.Ops) int64 {
	n := ops.Read()
	return n.Total() - n[netfs.OpSync]
}
