package pop_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/pop"
)

const inUse = "-ERR [IN-USE] another session has your mail\r\n"

// TestLock: with the lock a second session is refused, on whatever host, until
// the first one has ended; without it both see the mailbox.
func TestLock(t *testing.T) {
	s := openWith(t, pop.Options{Lock: true}, "Subject: one\n\n1\n", "Subject: two\n\n2\n")
	other := s.beside(pop.Options{Lock: true})
	free := s.beside(pop.Options{})
	c := s.dial()
	c.send("USER alice")
	if got := c.send("PASS secret word"); got != "+OK 2 messages (38 octets)\r\n" {
		t.Fatal(got)
	}
	for _, s := range []*shop{s, other} {
		if said := s.talk("USER alice", "PASS secret word", "STAT", "QUIT"); !strings.Contains(said, inUse+"-ERR log in first\r\n") {
			t.Errorf("%q", said)
		}
	}
	if got := free.session("STAT"); got != "+OK 2 38\n"+bye(2) {
		t.Error(got)
	}
	c.send("DELE 1")
	if got := c.send("QUIT"); !strings.HasPrefix(got, "+OK") {
		t.Error(got)
	}
	for range 3 {
		if got := other.session("STAT"); got != "+OK 1 19\n"+bye(1) {
			t.Error(got)
		}
	}
}

// TestLockOfTheDead: a session that lost its lock deletes nothing, and the lock
// of a host that died is stolen soon after somebody was refused.
func TestLockOfTheDead(t *testing.T) {
	if os.Getenv("BOBBIN_TEST_FULL") == "" {
		t.Skip("it waits for a minute; set BOBBIN_TEST_FULL")
	}
	s := openWith(t, pop.Options{Lock: true}, "Subject: one\n\n1\n")
	c := s.dial()
	for _, line := range []string{"USER alice", "PASS secret word", "DELE 1"} {
		c.send(line)
	}
	dir := filepath.Join(s.dir, "users/alice/bobbin/lk")
	held, err := filepath.Glob(filepath.Join(dir, "H.*"))
	if err != nil || len(held) != 1 {
		t.Fatalf("%v, %v", held, err)
	}
	if err := os.Rename(held[0], filepath.Join(dir, "H.100."+strings.Repeat("a", 26)+"-dead.0")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second) // until the holder has looked
	if got := c.send("QUIT"); got != "-ERR [SYS/TEMP] some deleted messages are not removed, try again later\r\n" {
		t.Error(got)
	}
	refused := 0
	for begun := time.Now(); ; time.Sleep(5 * time.Second) {
		said := s.talk("USER alice", "PASS secret word", "QUIT")
		if strings.Contains(said, "+OK 1 messages (19 octets)") {
			break
		}
		if refused++; !strings.Contains(said, inUse) || time.Since(begun) > 90*time.Second {
			t.Fatalf("after %d refusals: %q", refused, said)
		}
	}
	if refused == 0 {
		t.Error("the lock was not held")
	}
}
