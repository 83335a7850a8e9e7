package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/server"
)

// echo greets, and says lines again; "long" is answered by a long one. It ends
// with the client.
func echo(waiting *atomic.Int64) server.Protocol {
	return server.Protocol{Name: "echo", Busy: "busy\r\n", Serve: func(_ context.Context, c *server.Conn) {
		_, _ = c.Writer.WriteString("hello\r\n")
		for {
			waiting.Add(1)
			line, err := c.ReadLine(1000)
			switch {
			case errors.Is(err, server.ErrEnding):
				_, _ = c.Writer.WriteString("bye\r\n")
				_ = c.Writer.Flush()
				return
			case err != nil:
				return
			case string(line) == "long":
				line = []byte(strings.Repeat("long ", 10000))
			}
			_, _ = c.Writer.Write(line)
			_, _ = c.Writer.WriteString("\r\n")
		}
	}}
}

func serve(t *testing.T, p server.Protocol, l server.Limits) (at string) {
	t.Helper()
	at = filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", at)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &server.Server{Limits: l, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	go func() { ended <- s.Run(ctx, server.Listener{Listener: listener, Protocol: p}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return at
}

// dial connects without Go's own cost of a connection.
func dial(t *testing.T, at string) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		err = syscall.Connect(fd, &syscall.SockaddrUnix{Name: at})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return fd
}

// TestIdle: a client that waits costs no buffer: 10,000 are to fit into 150 MB.
func TestIdle(t *testing.T) {
	const clients, most = 500, 12 << 10
	var waiting atomic.Int64
	at := serve(t, echo(&waiting), server.Limits{Connections: clients})
	used := func() int64 {
		runtime.GC()
		runtime.GC() // the first one leaves what sync.Pool has
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapInuse + m.StackInuse)
	}
	before := used()
	for range clients {
		fd := dial(t, at)
		if _, err := syscall.Write(fd, []byte("x\r\n")); err != nil {
			t.Fatal(err)
		}
	}
	for waiting.Load() < 2*clients {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond) // until they wait indeed
	each := (used() - before) / clients
	t.Logf("%d bytes a client", each)
	if each > most {
		t.Errorf("%d bytes a client, want at most %d", each, most)
	}
}

// TestBuffers: what comes in pieces and goes out in large ones arrives as it is.
func TestBuffers(t *testing.T) {
	var waiting atomic.Int64
	c, err := net.Dial("unix", serve(t, echo(&waiting), server.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	want := "hello\r\n"
	go func() {
		for n := range 200 {
			for _, part := range []string{fmt.Sprint("line ", n), "\r", "\nlong\r\na\r\n"} {
				_, _ = io.WriteString(c, part)
				if n%50 == 0 {
					time.Sleep(2 * time.Millisecond)
				}
			}
		}
	}()
	for n := range 200 {
		want += fmt.Sprintf("line %d\r\n%s\r\na\r\n", n, strings.Repeat("long ", 10000))
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Errorf("%v; the same: %v", err, string(got) == want)
	}
}

// TestEnd: who waits is told when the server ends, and one who is slow is cut off.
func TestEnd(t *testing.T) {
	var waiting atomic.Int64
	var said []byte
	t.Run("", func(t *testing.T) {
		at := serve(t, echo(&waiting), server.Limits{Idle: 50 * time.Millisecond})
		slow, err := net.Dial("unix", at)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(slow); err != nil || string(text) != "hello\r\n" {
			t.Errorf("a slow client gets %q, %v", text, err)
		}
	})
	done := make(chan struct{})
	t.Run("", func(t *testing.T) {
		c, err := net.Dial("unix", serve(t, echo(&waiting), server.Limits{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		go func() {
			defer close(done)
			said, _ = io.ReadAll(c)
		}()
	})
	if <-done; string(said) != "bye\r\n" {
		t.Errorf("at the end it said %q", said)
	}
}
