package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/spool"
)

// serving is "bobbin serve" in this process, with its log.
type serving struct {
	*rig
	socket string
	host   *netfs.Host
	log    *syncBuffer
}

// syncBuffer takes what goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func serveHere(t *testing.T, flags ...string) *serving {
	t.Helper()
	s := &serving{rig: newRig(t), log: new(syncBuffer)}
	s.socket = filepath.Join(t.TempDir(), "lmtp")
	env := processEnvironment()
	env.Stdout, env.Stderr = io.Discard, s.log
	env.Getenv = func(name string) string { return map[string]string{"BOBBIN_SPOOL": s.dir}[name] }
	opened := make(chan *netfs.Host, 1)
	open := env.Host
	env.Host = func(ctx context.Context, dir string) (*netfs.Host, error) {
		h, err := open(ctx, dir)
		opened <- h
		return h, err
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"serve", "--log", "json", "--lmtp", "unix:" + s.socket}, flags...), env)
	}()
	select {
	case s.host = <-opened:
	case code := <-ended:
		t.Fatalf("exit code %d: %s", code, s.log)
	}
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != 0 {
			t.Errorf("exit code %d: %s", code, s.log)
		}
		_ = s.host.Share.Close()
	})
	return s
}

// lmtpClient speaks LMTP and waits for each reply.
type lmtpClient struct {
	conn net.Conn
	r    *bufio.Reader
}

func dialLMTP(socket string) (*lmtpClient, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(2 * time.Minute))
	c := &lmtpClient{conn, bufio.NewReader(conn)}
	if _, err := c.reply(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if _, err := c.ask("LHLO test\r\n"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

func (c *lmtpClient) reply() (string, error) {
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line[3] != '-' {
			return strings.TrimSpace(line), nil
		}
	}
}

func (c *lmtpClient) ask(text string) (string, error) {
	if _, err := io.WriteString(c.conn, text); err != nil {
		return "", err
	}
	return c.reply()
}

// deliver hands in a message, named by a queue id unless that is "", and
// returns the answer for each address.
func (c *lmtpClient) deliver(id, text string, to ...string) ([]string, error) {
	if id != "" {
		if r, err := c.ask("XFORWARD IDENT=" + id + "\r\n"); err != nil || r[0] != '2' {
			return nil, fmt.Errorf("XFORWARD: %s %w", r, err)
		}
	}
	if r, err := c.ask("MAIL FROM:<joe@example.org>\r\n"); err != nil || r[0] != '2' {
		return nil, fmt.Errorf("MAIL: %s %w", r, err)
	}
	replies := make([]string, len(to))
	good := 0
	for i, address := range to {
		r, err := c.ask("RCPT TO:<" + address + ">\r\n")
		if err != nil {
			return nil, err
		}
		if r[0] == '2' {
			good++
		} else {
			replies[i] = r
		}
	}
	if good == 0 {
		_, err := c.ask("RSET\r\n")
		return replies, err
	}
	if r, err := c.ask("DATA\r\n"); err != nil || r[0] != '3' {
		return nil, fmt.Errorf("DATA: %s %w", r, err)
	}
	if _, err := io.WriteString(c.conn, strings.ReplaceAll(text, "\n.", "\n..")+".\r\n"); err != nil {
		return nil, err
	}
	for i := range replies {
		if replies[i] != "" {
			continue
		}
		var err error
		if replies[i], err = c.reply(); err != nil {
			return replies, err
		}
	}
	return replies, nil
}

func (s *serving) deliver(id, text string, to ...string) []string {
	s.t.Helper()
	c, err := dialLMTP(s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.conn.Close()
	replies, err := c.deliver(id, text, to...)
	if err != nil {
		s.t.Fatal(err)
	}
	return replies
}

// logged returns the lines of the log that have a message.
func (s *serving) logged(msg string) (list []map[string]any) {
	s.t.Helper()
	for line := range strings.Lines(s.log.String()) {
		var l map[string]any
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			s.t.Fatalf("%q: %v", line, err)
		}
		if l["msg"] == msg {
			list = append(list, l)
		}
	}
	return list
}

// A message is stored byte for byte for each of its recipients, in the folder
// that the address names, and each has a line in the log.
func TestServe(t *testing.T) {
	s := serveHere(t)
	s.must("", "folder", "create", "Lists")
	text := "Subject: x\r\n\r\n.dot\r\n..\r\nlast\r\n"
	got := s.deliver("4F1", text, "alice+lists@example.org", "ALICE+Lists", "alice+lists", "bob+none", "nobody", "bob")
	want := []string{
		"550 5.1.1 no such user", "250 2.0.0 delivered to alice", "250 2.0.0 delivered to alice", "250 2.0.0 delivered to bob", "550 5.1.1 no such user",
		"250 2.0.0 delivered to bob",
	}
	if !slices.Equal(got, want) {
		t.Errorf("replies:\n%s", strings.Join(got, "\n"))
	}
	for _, words := range [][]string{{"--user", "alice", "--folder", "Lists"}, {"--user", "bob"}} {
		stored := s.must("", append([]string{"show", "--raw", "1"}, words...)...)
		fields := "Return-Path: <joe@example.org>\nDelivered-To: " + words[1] + "\n"
		if stored != fields+strings.ReplaceAll(text, "\r\n", "\n") {
			t.Errorf("%q: stored %q", words, stored)
		}
		if n := strings.Count(s.must("", append([]string{"list", "--json"}, words...)...), `"uid"`); n != 1 {
			t.Errorf("%q: %d messages", words, n)
		}
	}
	lines := s.logged("delivered")
	if len(lines) != 2 {
		t.Fatalf("log: %s", s.log)
	}
	for i, want := range []map[string]any{
		{"user": "alice", "folder": "Lists", "size": float64(len(text)), "queue": "4F1", "sender": "joe@example.org"},
		{"user": "bob", "folder": "INBOX", "size": float64(len(text)), "queue": "4F1", "sender": "joe@example.org"},
	} {
		for name, value := range want {
			if lines[i][name] != value {
				t.Errorf("log: %s is %v, want %v", name, lines[i][name], value)
			}
		}
		if took, _ := lines[i]["took"].(float64); took <= 0 {
			t.Errorf("log: %v", lines[i])
		}
	}
}

// A delivery costs the server the four operations of its core; one more finds the
// mailbox, for each of the two times it is asked for. The log tells it.
func TestServeOperations(t *testing.T) {
	s := serveHere(t)
	c, err := dialLMTP(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	const messages = 5
	before := s.host.Ops.Read()
	for range messages {
		if r, err := c.deliver("", "Subject: x\r\n\r\nhello\r\n", "alice"); err != nil || r[0] != "250 2.0.0 delivered to alice" {
			t.Fatal(r, err)
		}
	}
	var want netfs.Counts
	want[netfs.OpLookup] = 2 * messages
	want[netfs.OpOpen], want[netfs.OpWrite], want[netfs.OpClose], want[netfs.OpRename] = messages, messages, messages, messages
	logged := 5.0
	if s.host.Profile.DirSync {
		want[netfs.OpSync] = messages
		logged++
	}
	if got := s.host.Ops.Read().Sub(before); got != want {
		t.Errorf("%d deliveries cost %s, want %s", messages, got, want)
	}
	for _, line := range s.logged("delivered") {
		if line["operations"] != logged {
			t.Errorf("log: %v operations, want %v", line["operations"], logged)
		}
	}
}

// The log tells what a quota costs: a record in the user's log.
func TestServeQuotaOperations(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "quota")
	if err := os.WriteFile(rules, []byte("* * 1G\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serveHere(t, "--quota", rules)
	for range 2 { // the first one opens the user's log
		if r := s.deliver("", "Subject: x\r\n\r\nhello\r\n", "alice"); r[0] != "250 2.0.0 delivered to alice" {
			t.Fatal(r)
		}
	}
	want := 5.0 + 2
	if s.host.Profile.DirSync {
		want += 2
	}
	if lines := s.logged("delivered"); len(lines) != 2 || lines[1]["operations"] != want {
		t.Errorf("log: %v, want %v operations", lines, want)
	}
}

// What can mend itself is a temporary error with a line in the log, and leaves
// nothing.
func TestServeFaults(t *testing.T) {
	s := serveHere(t)
	c, err := dialLMTP(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	deliver := func() string {
		t.Helper()
		r, err := c.deliver("4F2", "x\r\n", "alice")
		if err != nil {
			t.Fatal(err)
		}
		return r[0]
	}
	tmp := filepath.Join(s.dir, "users/alice/tmp")
	s.do(os.Remove(tmp))
	s.do(os.WriteFile(tmp, nil, 0o600))
	if r := deliver(); r != "451 4.3.0 it did not work now, try again" {
		t.Errorf("a mailbox that cannot be written: %s", r)
	}
	if lines := s.logged("not delivered"); len(lines) != 1 || lines[0]["queue"] != "4F2" || !strings.Contains(fmt.Sprint(lines[0]["error"]), "not a directory") {
		t.Errorf("log: %v", lines)
	}
	s.do(os.Remove(tmp))

	s.do(os.Rename(filepath.Join(s.dir, "users/alice"), filepath.Join(s.dir, "away")))
	if r := deliver(); r[:5] != "451 4" {
		t.Errorf("the user's directory is missing: %s", r)
	}
	s.do(os.Rename(filepath.Join(s.dir, "away"), filepath.Join(s.dir, "users/alice")))
	if r := deliver(); r != "250 2.0.0 delivered to alice" {
		t.Errorf("when all is well again: %s", r)
	}

	// Nothing is left where the share was mounted.
	names, err := os.ReadDir(s.dir)
	s.do(err)
	s.do(os.Mkdir(s.dir+"-away", 0o700))
	for _, n := range names {
		s.do(os.Rename(filepath.Join(s.dir, n.Name()), filepath.Join(s.dir+"-away", n.Name())))
	}
	if r := deliver(); r[:5] != "451 4" {
		t.Errorf("the share is gone: %s", r)
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) != 0 {
		t.Errorf("left on the mount point: %v, %v", left, err)
	}
	for _, n := range names {
		s.do(os.Rename(filepath.Join(s.dir+"-away", n.Name()), filepath.Join(s.dir, n.Name())))
	}
	if r := deliver(); r != "250 2.0.0 delivered to alice" {
		t.Errorf("when the share is back: %s", r)
	}
	if n := strings.Count(s.must("", "list", "--json"), `"uid"`); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
	if left, _ := filepath.Glob(tmp + "/*"); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestLMTPReplies(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{spool.ErrNoUser, "550 5.1.1 no such user"},
		{spool.ErrBadName, "550 5.1.1 no such user"},
		{delivery.ErrLoop, "554 5.4.6 the message was here before"},
		{syscall.ENOSPC, "452 4.3.1 the mail system is full"},
		{syscall.EDQUOT, "452 4.2.2 the mailbox is full"},
		{syscall.EACCES, "451 4.2.0 the mailbox cannot be written now"},
		{syscall.EROFS, "451 4.3.0 it did not work now, try again"},
		{syscall.ESTALE, "451 4.3.0 it did not work now, try again"},
		{netfs.ErrUncertain, "451 4.4.2 it did not work now, try again"},
		{errors.New("never heard of"), "451 4.3.0 it did not work now, try again"},
		{newChildError(io.EOF, "5.1.1 bobbin: no such user\n"), "550 5.1.1 no such user"},
		{newChildError(io.EOF, "4.2.2 bobbin: full\n"), "452 4.2.2 the mailbox is full"},
		{newChildError(io.EOF, "5.7.1 bobbin: no\n"), "554 5.7.1 refused"},
		{newChildError(io.EOF, "SIGABRT: abort\n"), "451 4.3.0 it did not work now, try again"},
	} {
		r, ok := errors.AsType[*lmtp.Reply](lmtpReply(fmt.Errorf("user x: %w", tt.err)))
		if !ok || r.Error() != tt.want || r.Cause == nil {
			t.Errorf("%v: %v, want %s", tt.err, r, tt.want)
		}
	}
}

// A message that comes again with its queue id is there once.
func TestServeOnce(t *testing.T) {
	s := serveHere(t, "--duplicates", "drop")
	for _, id := range []string{"4F1", "4F1", "4F2"} {
		if r := s.deliver(id, "Subject: x\r\n\r\n", "alice"); r[0] != "250 2.0.0 delivered to alice" {
			t.Fatal(r)
		}
	}
	if n := strings.Count(s.must("", "list", "--json"), `"uid"`); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

// What cannot be served is said at once.
func TestServeRefuses(t *testing.T) {
	r := newRig(t)
	busy := filepath.Join(t.TempDir(), "busy")
	l, err := net.Listen("unix", busy)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, tt := range []struct {
		words []string
		code  int
		says  string
	}{
		{[]string{"--lmtp", "unix:" + busy}, exitFailure, "another process listens"},
		{[]string{"--lmtp", "nonsense"}, exitUsage, `--lmtp: "nonsense": an address is HOST:PORT or unix:PATH`},
		{[]string{"--lmtp", "unix:"}, exitUsage, `--lmtp: "unix:": an address is`},
		{[]string{"--lmtp", "127.0.0.1:0", "--trusted", "10.0.0.0/99"}, exitConfig, `"10.0.0.0/99" is neither an address nor a network`},
		{[]string{"--lmtp", "127.0.0.1:0", "--tls-cert", "x"}, exitConfig, "go together"},
		{[]string{"--lmtp", "127.0.0.1:0", "--tls-cert", "none", "--tls-key", "none"}, exitConfig, "certificate none"},
		{[]string{"--log", "xml"}, exitConfig, "log \"xml\": it is text or json"},
		{[]string{"--log-to", "file"}, exitConfig, "log-to \"file\": it is stderr, syslog or journal"},
		{[]string{"--max-size", "-1"}, exitUsage, "--max-size"},
		{[]string{"--lmtp", "127.0.0.1:0", "--spool", "none"}, exitTempFail, "no such file"},
		{[]string{"--lmtp", "127.0.0.1:0", "--location", "relative"}, exitConfig, "location"},
		{[]string{"more"}, exitUsage, "takes no argument"},
	} {
		if got := r.run("", append([]string{"serve"}, tt.words...)...); got.code != tt.code || !strings.Contains(got.err, tt.says) {
			t.Errorf("serve %q: %d %s", tt.words, got.code, got.err)
		}
	}
}
