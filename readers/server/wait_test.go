package server_test

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/readers/server"
)

// TestWait: who waits for a line can be given something to say, and does not
// lose the beginning of one; a wake that comes while nobody waits counts.
func TestWait(t *testing.T) {
	wake := make(chan struct{})
	at := serve(t, server.Protocol{Name: "wait", Serve: func(_ context.Context, c *server.Conn) {
		go func() {
			for range wake {
				c.Wake()
			}
		}()
		for {
			err := c.Wait()
			if errors.Is(err, server.ErrWoken) {
				_, _ = c.Writer.WriteString("news\r\n")
				continue
			}
			var line []byte
			if err == nil {
				line, err = c.ReadLine(100)
			}
			if err != nil {
				return
			}
			_, _ = c.Writer.WriteString("got " + string(line) + "\r\n")
		}
	}}, server.Limits{})
	conn, err := net.Dial("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	defer close(wake)
	r := bufio.NewReader(conn)
	step := func(send, want string) {
		t.Helper()
		if send == "wake" {
			wake <- struct{}{}
		} else if _, err := conn.Write([]byte(send)); err != nil {
			t.Fatal(err)
		}
		if got, err := r.ReadString('\n'); err != nil || got != want+"\r\n" {
			t.Fatalf("%q: %q, %v; want %q", send, got, err, want)
		}
	}
	step("wake", "news")
	step("one\r\n", "got one")
	step("wake", "news")
	step("two\r\nthree\r\n", "got two")
	step("", "got three")
	step("wake", "news")
}

// TestLongLine: a line may be longer than the buffer, and one that is too long
// is skipped.
func TestLongLine(t *testing.T) {
	at := serve(t, server.Protocol{Name: "long", Serve: func(_ context.Context, c *server.Conn) {
		for {
			line, err := c.ReadLine(50_000)
			answer := string(line)
			if errors.Is(err, server.ErrLine) {
				answer = "too long"
			} else if err != nil {
				return
			}
			_, _ = c.Writer.WriteString(answer + "\r\n")
		}
	}}, server.Limits{})
	conn, err := net.Dial("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, n := range []int{1, 16 << 10, 40_000, 50_000, 50_001, 60_000, 3} {
		line := strings.Repeat("x", n)
		if _, err := conn.Write([]byte(line + "\r\n")); err != nil {
			t.Fatal(err)
		}
		want := line
		if n > 50_000 {
			want = "too long"
		}
		if got, err := r.ReadString('\n'); err != nil || got != want+"\r\n" {
			t.Errorf("a line of %d bytes: %d bytes, %v", n, len(got), err)
		}
	}
}
