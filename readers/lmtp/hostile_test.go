package lmtp_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/readers/server"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// works delivers a message to show that the server serves others.
func (r *running) works() {
	r.t.Helper()
	c := r.dial()
	c.send("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<pat>\r\nDATA\r\nstill here\r\n.\r\nQUIT\r\n")
	c.want("220 mx.example.org LMTP Bobbin")
	for _, line := range []string{"250-*", "250 2.1.0 OK", "250 2.1.5 OK", "354 end with a dot on a line", "250 2.0.0 delivered to pat",
		"221 2.0.0 mx.example.org closes the connection"} {
		c.want(line)
	}
	c.wantEnd()
}

// Clients that send nothing, half a command or half a message, or a byte now
// and then, are sent away.
func TestSlowClients(t *testing.T) {
	b := &notes{}
	r := start(t, b, lmtp.Options{}, server.Limits{Idle: 200 * time.Millisecond, Stall: 200 * time.Millisecond, Rate: 1000})
	const begin = "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<pat>\r\nDATA\r\n"
	for name, text := range map[string]string{
		"nothing": "", "half a command": "LHL", "half a message": begin + "Subject: x\r\n", "half an end": begin + "\r\n.", "half a chunk": "LHLO a\r\nBDAT 10\r\nx",
	} {
		c := r.dial()
		c.send(text)
		said, err := io.ReadAll(c.r)
		if err != nil || !strings.HasSuffix(string(said), "421 4.4.2 mx.example.org waited too long\r\n") {
			t.Errorf("%s: %q, %v", name, said, err)
		}
	}
	for name, text := range map[string]string{"command": "", "message": begin} {
		c := r.dial()
		c.send(text)
		go func() { // never still, and never done
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}()
		// The server closes with bytes of the client unread, so the last line may be lost.
		said, err := io.ReadAll(c.r)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a byte now and then in a %s: %q, %v", name, said, err)
		}
	}
	r.works()
	if n := len(b.messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// A client that half closes has its answers; one that goes away in the middle
// of a message leaves none.
func TestHalfClosed(t *testing.T) {
	b := &notes{}
	r := start(t, b, lmtp.Options{}, server.Limits{})
	c := r.dial()
	c.send("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<kim>\r\nDATA\r\nwhole\r\n.\r\n")
	if err := c.Conn.(*net.UnixConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(c.r)
	if err != nil || !strings.HasSuffix(string(said), "250 2.0.0 delivered to kim\r\n") {
		t.Errorf("%q, %v", said, err)
	}
	for _, text := range []string{"DATA\r\nhalf", "DATA\r\nhalf\r\n", "DATA\r\nhalf\r\n.", "DATA\r\nhalf\r\n.\r", "BDAT 5 LAST\r\nhalf", "BDAT 4\r\nhalf"} {
		c := r.dial()
		c.send("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<pat>\r\n" + text)
		if err := c.Conn.(*net.UnixConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if said, err := io.ReadAll(c.r); err != nil || strings.Contains(string(said), "delivered") {
			t.Errorf("%q: %q, %v", text, said, err)
		}
	}
	if got := b.messages(); len(got) != 1 {
		t.Errorf("arrived: %q", got)
	}
	r.works()
}

// Garbage of every kind ends in an answer or a closed connection.
func TestGarbage(t *testing.T) {
	r := start(t, &notes{}, lmtp.Options{MaxSize: 10000}, server.Limits{})
	rng := rand.New(rand.NewPCG(7, 0))
	words := []string{"LHLO a\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<pat>\r\n", "DATA\r\n", "BDAT 7\r\n", "BDAT 3 LAST\r\n", "RSET\r\n", ".\r\n", "\r\n", "\n", "\x00\xff",
		"<<<", strings.Repeat("x", 5000), "BDAT 99999999999\r\n", "BDAT -1\r\n", "STARTTLS\r\n", "XCLIENT ADDR=[UNAVAILABLE]\r\n", "XFORWARD IDENT=+\r\n", "QUIT\r\n"}
	for range 200 {
		c := r.dial()
		var text strings.Builder
		for range rng.IntN(60) {
			text.WriteString(words[rng.IntN(len(words))])
		}
		go func() {
			_, _ = io.WriteString(c, text.String())
			_ = c.Conn.(*net.UnixConn).CloseWrite()
		}()
		said, err := io.ReadAll(c.r)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("%q: %v", text.String(), err)
		}
		for line := range strings.Lines(string(said)) {
			if len(line) < 6 || line[0] < '2' || line[0] > '5' || !strings.HasSuffix(line, "\r\n") {
				t.Fatalf("%q: answer %q", text.String(), line)
			}
		}
	}
	// Line upon line of it is ended early.
	c := r.dial()
	c.send(strings.Repeat("GET / HTTP/1.1\r\n", 19))
	c.send("Host: x\r\n")
	said, _ := io.ReadAll(c.r)
	if !strings.HasSuffix(string(said), "421 4.7.0 too many bad commands\r\n") {
		t.Errorf("%q", said)
	}
	r.works()
	if log := r.log.String(); strings.Contains(log, "panic") {
		t.Error(log)
	}
}

// One connection too many is told so, and has its place when another goes.
func TestConnections(t *testing.T) {
	for _, l := range []server.Limits{{Connections: 2}, {PerAddress: 2}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		r := startOn(t, listener, &notes{}, lmtp.Options{}, l)
		a, b := r.dial(), r.dial()
		a.want("220 mx.example.org LMTP Bobbin")
		b.want("220 mx.example.org LMTP Bobbin")
		c := r.dial()
		c.want("421 4.3.2 mx.example.org too many connections, try again later")
		c.wantEnd()
		_ = a.Close()
		for {
			line, err := r.dial().r.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(line, "220") {
				break
			}
		}
	}
}

// When the server ends, a delivery under way ends first, and all clients hear
// of it.
func TestEnd(t *testing.T) {
	b := &notes{open: make(chan struct{})}
	r := start(t, b, lmtp.Options{}, server.Limits{Grace: time.Minute})
	idle, busy := r.dial(), r.dial()
	idle.want("220 mx.example.org LMTP Bobbin")
	busy.send("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<pat>\r\nDATA\r\nlast\r\n.\r\n")
	busy.want("220 mx.example.org LMTP Bobbin")
	for _, line := range []string{"250-*", "250 2.1.0 OK", "250 2.1.5 OK", "354 end with a dot on a line"} {
		busy.want(line)
	}
	r.stop()
	idle.want("421 4.3.2 mx.example.org is shutting down, try again")
	idle.wantEnd()
	if _, err := net.Dial(r.at.Network(), r.at.String()); err == nil {
		t.Error("the server that ends takes another client")
	}
	close(b.open)
	busy.want("250 2.0.0 delivered to pat")
	busy.want("421 4.3.2 mx.example.org is shutting down, try again")
	busy.wantEnd()
}

// full is a disk without room.
type full struct{ lmtp.Scratch }

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
func (full) Close() error              { return nil }

// Without room for a message it is read to its end and refused for now, with a
// line in the log.
func TestNoScratch(t *testing.T) {
	for name, make := range map[string]func() (lmtp.Scratch, error){
		"no file": func() (lmtp.Scratch, error) { return nil, os.ErrPermission },
		"full":    func() (lmtp.Scratch, error) { return full{}, nil },
	} {
		b := &notes{}
		r := start(t, b, lmtp.Options{Scratch: make}, server.Limits{})
		c := r.dial()
		c.send("LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<pat>\r\nRCPT TO:<kim>\r\nDATA\r\n" + strings.Repeat("line\r\n", 100000) + ".\r\n")
		c.want("220 mx.example.org LMTP Bobbin")
		for _, line := range []string{"250-*", "250 2.1.0 OK", "250 2.1.5 OK", "250 2.1.5 OK", "354 end with a dot on a line",
			"452 4.3.1 no room for the message, try again", "452 4.3.1 no room for the message, try again"} {
			c.want(line)
		}
		r.works()
		if got := b.messages(); len(got) != 1 || !strings.Contains(r.log.String(), "scratch file") {
			t.Errorf("%s: %q\n%s", name, got, r.log)
		}
	}
}

// drain is a backend that keeps nothing.
type drain struct{ notes }

func (d *drain) Deliver(_ context.Context, m *lmtp.Message, _ lmtp.Recipient) (lmtp.Delivery, error) {
	_, err := io.Copy(io.Discard, m.Open())
	return lmtp.Delivery{}, err
}

// Messages of any size from many clients at once take the memory of their
// connections.
func TestFlatMemory(t *testing.T) {
	r := start(t, &drain{}, lmtp.Options{}, server.Limits{})
	const clients, blocks = 20, 40
	block := strings.Repeat(strings.Repeat("x", 62)+"\r\n", 1000)
	var sending sync.WaitGroup
	half, on := make(chan struct{}, clients), make(chan struct{})
	runtime.GC()
	var before, during runtime.MemStats
	runtime.ReadMemStats(&before)
	for range clients {
		c := r.dial()
		sending.Go(func() {
			_, _ = io.WriteString(c, "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<pat>\r\nDATA\r\n")
			for i := range blocks {
				if i == blocks/2 {
					half <- struct{}{}
					<-on
				}
				_, _ = io.WriteString(c, block)
			}
			_, _ = io.WriteString(c, ".\r\nQUIT\r\n")
			if said, err := io.ReadAll(c.r); err != nil || !strings.Contains(string(said), "250 2.0.0 delivered to pat") {
				t.Errorf("%q, %v", said, err)
			}
		})
	}
	for range clients {
		<-half
	}
	runtime.GC()
	runtime.ReadMemStats(&during)
	close(on)
	sending.Wait()
	// 1.3 MB of each message have come.
	if each := (int64(during.HeapAlloc) - int64(before.HeapAlloc)) / clients; each > 256<<10 {
		t.Errorf("%d bytes for each connection", each)
	}
}
