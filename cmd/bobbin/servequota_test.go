package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Who has no room is refused at RCPT, unless there is room after all; rules that
// change hold a moment later, and nonsense changes nothing.
func TestServeQuota(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "quota")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(changedLook)
	}
	write("* * 2000\n")
	s := serveHere(t, "--quota", rules)
	c, err := dialLMTP(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	rcpt := func(size, want string) {
		t.Helper()
		for _, tt := range [][2]string{{"RSET", "250"}, {"MAIL FROM:<>" + size, "250"}, {"RCPT TO:<alice>", want}} {
			if r, err := c.ask(tt[0] + "\r\n"); err != nil || !strings.HasPrefix(r, tt[1]) {
				t.Errorf("%s: %s, %v, want %s", tt[0], r, err, tt[1])
			}
		}
	}
	const full = "452 4.2.2 the mailbox is full"
	rcpt(" SIZE=3900", "250") // as few bytes as it may be stored in
	rcpt(" SIZE=4002", full)
	deliver := func(want string) {
		t.Helper()
		if _, err := c.ask("RSET\r\n"); err != nil {
			t.Fatal(err)
		}
		if r, err := c.deliver("", "Subject: x\r\n\r\n"+strings.Repeat("long\r\n", 360), "alice"); err != nil || r[0] != want {
			t.Errorf("%q, %v, want %s", r, err, want)
		}
	}
	deliver("250 2.0.0 delivered to alice")
	deliver(full) // found out when it is there
	rcpt("", "250")
	before := s.host.Ops.Read()
	rcpt(" SIZE=1000", full)
	rcpt(" SIZE=100", "250")
	if got := s.host.Ops.Read().Sub(before); got[netfs.OpSymlink]+got[netfs.OpReaddir] > 0 {
		t.Errorf("to ask cost %s", got)
	}
	s.must("", "list")
	s.must("", "delete", "--expunge", "1")
	s.must("", "quota", "--recount", "--quota", rules)
	rcpt(" SIZE=1000", "250")
	deliver("250 2.0.0 delivered to alice")
	write("* * 1000 nonsense\n")
	rcpt(" SIZE=1000", full)
	write("* * 20000\n")
	rcpt(" SIZE=1000", "250")
	if bad, good := s.logged("the rules of the quota cannot be used, those before them are"), s.logged("new rules of the quota"); len(bad) != 1 || len(good) != 1 {
		t.Errorf("log: %v, %v", bad, good)
	}
	if lines := s.logged("recipient refused"); len(lines) != 3 || lines[0]["reply"] != full {
		t.Errorf("log: %v", lines)
	}
}
