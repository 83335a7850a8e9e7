package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// oldClient speaks POP2 or POP as somebody at a terminal would.
type oldClient struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func dialOld(t *testing.T, at string) *oldClient {
	t.Helper()
	_, at, _ = strings.Cut(strings.TrimSpace(at), " at ")
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &oldClient{t, conn, bufio.NewReader(conn)}
}

// say sends a line, or nothing, and returns the number in the answer, which
// begins with a sign.
func (c *oldClient) say(line, sign string) int {
	c.t.Helper()
	if line != "" {
		if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
			c.t.Fatal(err)
		}
	}
	answer, err := c.r.ReadString('\n')
	rest, ok := strings.CutPrefix(answer, sign)
	if err != nil || !ok {
		c.t.Fatalf("%q: %q, %v", line, answer, err)
	}
	word, _, _ := strings.Cut(rest, " ")
	n, _ := strconv.Atoi(word)
	return n
}

// take asks for so many bytes.
func (c *oldClient) take(line string, n int) string {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(c.r, b); err != nil {
		c.t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// TestPOP2: two processes serve one spool to clients of POP2 by turns, and a
// client of POP takes the rest.
func TestPOP2(t *testing.T) {
	program, err := exec.LookPath("bobbin")
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	r.must("secret\n", "user", "passwd", "alice", "--password-stdin")
	for _, text := range popMail {
		r.must(text, "deliver", "alice")
	}
	var at []string
	for _, flag := range []string{"--pop2", "--pop2", "--pop"} {
		cmd, where, err := serveProcess(program, "--spool", r.dir, flag, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, where)
		t.Cleanup(func() {
			if err := errors.Join(cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
				t.Error(err)
			}
		})
	}
	for i, text := range popMail {
		c := dialOld(t, at[i%2])
		c.say("", "+ POP2 ")
		if n := c.say("HELO alice secret", "#"); n != len(popMail)-max(0, i-1) {
			t.Errorf("turn %d: %d messages", i, n)
		}
		// The first turn keeps its message, the others delete theirs.
		number, acknowledge := i+1-max(0, i-1), "ACKD"
		if i == 0 {
			acknowledge = "ACKS"
		}
		n := c.say(fmt.Sprintf("READ %d", number), "=")
		if got := c.take("RETR", n); body(got) != body(text) {
			t.Errorf("turn %d: %q, want %q", i, got, text)
		}
		c.say(acknowledge, "=")
		c.say("QUIT", "+ OK")
	}
	c := dialOld(t, at[2])
	c.say("", "+OK")
	c.say("USER alice", "+OK")
	c.say("PASS secret", "+OK")
	n := c.say("RDEL inbox", "#")
	if got := c.take("RCEV", n); !strings.HasPrefix(got, "From MAILER-DAEMON ") || !strings.HasSuffix(got, "\n>From here\n\n") {
		t.Errorf("the mailbox is %q", got)
	}
	c.say("RCVD", "+OK")
	c.say("QUIT", "+OK")
	if out := r.must("", "list"); strings.Contains(out, "joe@example.net") {
		t.Errorf("left: %s", out)
	}
}
