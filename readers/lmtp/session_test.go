package lmtp_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/readers/server"
)

// notes is a backend that writes down what it is given.
type notes struct {
	mu   sync.Mutex
	list []string
	open chan struct{} // not nil: each delivery waits for it
}

func (n *notes) Recipient(_ context.Context, address string, _ int64) (lmtp.Recipient, error) {
	local, _, _ := strings.Cut(address, "@")
	switch local {
	case "pat", "green", "kim", "Postmaster":
		return lmtp.Recipient{User: address, Folder: "INBOX"}, nil
	case "lost":
		return lmtp.Recipient{}, errors.New("the share is gone")
	}
	return lmtp.Recipient{}, &lmtp.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user"}
}

func (n *notes) Deliver(_ context.Context, m *lmtp.Message, to lmtp.Recipient) (lmtp.Delivery, error) {
	if n.open != nil {
		<-n.open
	}
	text, err := io.ReadAll(m.Open())
	if err != nil {
		return lmtp.Delivery{}, err
	}
	if int64(len(text)) != m.Size {
		return lmtp.Delivery{}, fmt.Errorf("%d bytes of %d", len(text), m.Size)
	}
	if strings.HasPrefix(to.User, "green") {
		return lmtp.Delivery{Operations: 2}, &lmtp.Reply{Code: 452, Enhanced: "4.2.2", Text: "the mailbox is full", Cause: errors.New("quota")}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, strings.TrimSpace(fmt.Sprintf("%s <%s> %q %s", to.User, m.Sender, text, m.QueueID)))
	return lmtp.Delivery{Operations: 4}, nil
}

func (n *notes) messages() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.list)
}

// lines takes a log.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a server on a socket of its own.
type running struct {
	t      *testing.T
	at     net.Addr
	log    *lines
	stop   context.CancelFunc
	ended  chan error
	limits server.Limits
}

func start(t *testing.T, b lmtp.Backend, o lmtp.Options, l server.Limits) *running {
	t.Helper()
	listener, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	return startOn(t, listener, b, o, l)
}

func startOn(t *testing.T, listener net.Listener, b lmtp.Backend, o lmtp.Options, l server.Limits) *running {
	t.Helper()
	r := &running{t: t, at: listener.Addr(), log: new(lines), ended: make(chan error, 1), limits: l}
	o.Log = slog.New(slog.NewTextHandler(r.log, nil))
	o.Name = "mx.example.org"
	if o.Scratch == nil {
		o.Scratch = func() (lmtp.Scratch, error) { return os.CreateTemp(t.TempDir(), "") }
	}
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	s := &server.Server{Log: o.Log, Limits: l}
	go func() {
		r.ended <- s.Run(ctx, server.Listener{Listener: listener, Protocol: lmtp.New(b, o).Protocol()})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// client is a connection that a test speaks on.
type client struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (r *running) dial() *client {
	r.t.Helper()
	c, err := net.Dial(r.at.Network(), r.at.String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * time.Minute))
	return &client{r.t, c, bufio.NewReader(c)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// want reads a line; "250-*" stands for the lines of a reply to its end.
func (c *client) want(line string) {
	c.t.Helper()
	for {
		got, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("want %q: %v", line, err)
		}
		if line == "250-*" {
			if strings.HasPrefix(got, "250-") {
				continue
			}
			if strings.HasPrefix(got, "250 ") {
				return
			}
		}
		if got != line+"\r\n" {
			c.t.Fatalf("got %q, want %q", got, line)
		}
		return
	}
}

func (c *client) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		c.t.Errorf("the connection is not closed: %q, %v", rest, err)
	}
}

// TestTranscripts plays the sessions of testdata. C: is a line of the client,
// R: raw text of it, L: a line of so many bytes, X: so many bytes; S: is a line of the
// server, EOF: its end, M: a message that arrives.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 7 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b := &notes{}
			c := start(t, b, lmtp.Options{MaxSize: 1000}, server.Limits{}).dial()
			var arrived []string
			for line := range strings.Lines(string(text)) {
				what, arg, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
				switch what {
				case "C":
					c.send(arg + "\r\n")
				case "R":
					raw, err := strconv.Unquote(arg)
					if err != nil {
						t.Fatal(err)
					}
					c.send(raw)
				case "X", "L":
					n, err := strconv.Atoi(arg)
					if err != nil {
						t.Fatal(err)
					}
					c.send(strings.Repeat("x", n))
					if what == "L" {
						c.send("\r\n")
					}
				case "S":
					c.want(arg)
				case "EOF":
					c.wantEnd()
				case "M":
					arrived = append(arrived, arg)
				default:
					if !strings.HasPrefix(line, "#") {
						t.Fatalf("what is %q?", line)
					}
				}
			}
			if got := b.messages(); arrived != nil && !slices.Equal(got, arrived) {
				t.Errorf("arrived:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(arrived, "\n"))
			}
		})
	}
}
