package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/delivery/outgoing"
	"github.com/bobbinmail/bobbin/readers/pop"
	"github.com/bobbinmail/bobbin/spool/message"
)

// sendmail is a program that notes what it is given, and its directory.
func sendmail(t *testing.T) (program, dir string) {
	t.Helper()
	dir = t.TempDir()
	program = filepath.Join(dir, "sendmail")
	script := "#!/bin/sh\ncd " + dir + "\nfor w; do echo \"[$w]\"; done > args\ncat > body\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, dir
}

func wantSent(t *testing.T, dir, args, body string) {
	t.Helper()
	a, _ := os.ReadFile(filepath.Join(dir, "args"))
	b, _ := os.ReadFile(filepath.Join(dir, "body"))
	if string(a) != args || string(b) != body {
		t.Errorf("%q and %q, want %q and %q", a, b, args, body)
	}
}

// TestLetter: a letter goes to those in its header, whose hidden ones it does not
// show, with the line ends of this system.
func TestLetter(t *testing.T) {
	program, dir := sendmail(t)
	way, err := outgoing.Parse(program)
	if err != nil {
		t.Fatal(err)
	}
	for text, sent := range map[string][2]string{
		"To: Bob <bob@example.net>, eve\r\nBcc: joe@example.net,\r\n eve\r\nSubject: x\r\n\r\nBcc: no\r\n\rlast": {
			"[bob@example.net]\n[eve]\n[joe@example.net]\n", "To: Bob <bob@example.net>, eve\nSubject: x\n\nBcc: no\n\rlast"},
		"Resent-Bcc: bob@example.net\r\nTo: eve\r\n": {"[bob@example.net]\n", "To: eve\n"},
	} {
		l, err := post(way, "mx.example.org", "alice")
		if err != nil {
			t.Fatal(err)
		}
		for i := range text {
			if _, err := l.Write([]byte{text[i]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(l.Send(t.Context()), l.Close()); err != nil {
			t.Error(err)
		}
		wantSent(t, dir, "[-i]\n[-f]\n[alice@mx.example.org]\n[--]\n"+sent[0], sent[1])
	}
	l, err := post(way, "mx.example.org", "alice@example.org")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Send(t.Context()); !errors.Is(err, pop.ErrRefused) {
		t.Errorf("without a recipient: %v", err)
	}
}

func FuzzRecipients(f *testing.F) {
	f.Add("To: a, b: c@d;\nBCC : e\nResent-To: f\n\nBcc: g")
	f.Fuzz(func(t *testing.T, text string) {
		_, shown := recipients(message.Header(text))
		if h := message.Header(shown); h.Has("Bcc") || h.Has("Resent-Bcc") {
			t.Errorf("%q shows %q", text, shown)
		}
	})
}

// TestPOPSend: what a POP3 user hands in by XTND XMIT goes by "outgoing".
func TestPOPSend(t *testing.T) {
	bobbin, err := exec.LookPath("bobbin")
	if err != nil {
		t.Fatal(err)
	}
	program, dir := sendmail(t)
	r := newRig(t)
	r.must("secret\n", "user", "passwd", "alice", "--password-stdin")
	cmd, at, err := serveProcess(bobbin, "--spool", r.dir, "--pop3", "127.0.0.1:0", "--pop3-send=on", "--outgoing", program)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
			t.Error(err)
		}
	}()
	_, at, _ = strings.Cut(at, "127.0.0.1:")
	conn, err := net.Dial("tcp", "127.0.0.1:"+strings.TrimSpace(at))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	said := bufio.NewReader(conn)
	for _, line := range []string{"", "USER alice\r\n", "PASS secret\r\n", "XTND XMIT\r\n", "To: bob@example.net\r\n\r\n..\r\n.\r\n", "QUIT\r\n"} {
		if _, err := io.WriteString(conn, line); err != nil {
			t.Fatal(err)
		}
		if answer, err := said.ReadString('\n'); err != nil || !strings.HasPrefix(answer, "+OK") {
			t.Fatalf("%q: %q, %v", line, answer, err)
		}
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	wantSent(t, dir, fmt.Sprintf("[-i]\n[-f]\n[alice@%s]\n[--]\n[bob@example.net]\n", host), "To: bob@example.net\n\n.\n")
}
