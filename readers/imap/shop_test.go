package imap_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/imap"
	"github.com/bobbinmail/bobbin/readers/login"
	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/sasl"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// shop is a spool with one user and two servers, as on two hosts.
type shop struct {
	t     testing.TB
	dir   string
	hosts []*host
}

// host is a server with a view of the spool of its own.
type host struct {
	spool *spool.Spool
	pool  *pool.Pool
	at    net.Addr
	ops   *netfs.Ops // of its sessions
}

func (h *host) Spool() *spool.Spool { return h.spool }

func (h *host) Open(ctx context.Context, user, folder string) (*pool.Use, error) {
	return h.pool.Open(ctx, user, folder)
}

func open(t testing.TB, o imap.Options) *shop {
	t.Helper()
	s := &shop{t: t, dir: t.TempDir()}
	h, err := netfs.OpenHost(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	first, err := spool.Init(t.Context(), h, spool.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := first.Accounts(t.Context())
	if err == nil {
		err = a.Add(t.Context(), "alice", []byte("secret word"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	s.serve(first, o)
	h2, err := netfs.OpenHost(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h2.Share.Close() })
	second, err := spool.Open(t.Context(), h2)
	if err != nil {
		t.Fatal(err)
	}
	s.serve(second, o)
	return s
}

func (s *shop) serve(sp *spool.Spool, o imap.Options) {
	t := s.t
	h := &host{spool: sp, pool: &pool.Pool{Spool: sp, Every: 20 * time.Millisecond}, ops: new(netfs.Ops)}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	h.at = l.Addr()
	ctx, stop := context.WithCancel(netfs.WithOps(t.Context(), h.ops))
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	o.Name, o.Log = "mx.example.org", log
	logins := &login.Service{SASL: sasl.Server{Accounts: login.NewSpool(sp)}}
	frame := &server.Server{Log: log}
	ended := make(chan error, 1)
	go func() {
		ended <- frame.Run(ctx, server.Listener{Listener: l, Protocol: imap.New(h, logins, o).Protocol()})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.pool.CloseIdle()
	})
	s.hosts = append(s.hosts, h)
}

// deliver puts a message into INBOX, on neither of the hosts.
func (s *shop) deliver(text string) {
	s.t.Helper()
	ctx := s.t.Context()
	h, err := netfs.OpenHost(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	defer h.Share.Close()
	sp, err := spool.Open(ctx, h)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := sp.Box(ctx, "alice", spool.Inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	defer b.Close()
	in, err := b.Receive(ctx)
	if err == nil {
		_, err = io.WriteString(in, text)
	}
	if err == nil {
		err = in.Finish(int64(strings.Count(text, "\n")-strings.Count(text, "\r\n")), false)
	}
	if err == nil {
		err = in.Publish(ctx)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// client is a connection to a server.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	tag  string // of a command that goes on
}

func (s *shop) dial(host int) *client {
	s.t.Helper()
	at := s.hosts[host].at
	conn, err := net.Dial(at.Network(), at.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &client{t: s.t, conn: conn, r: bufio.NewReader(conn)}
}

var literal = regexp.MustCompile(`\{(\d+)\}$`)

// line reads a line with the literals in it, without CR.
func (c *client) line() (string, error) {
	all := ""
	for {
		line, err := c.r.ReadString('\n')
		all += strings.ReplaceAll(line, "\r\n", "\n")
		if err != nil {
			return all, err
		}
		m := literal.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
		if m == nil {
			return all, nil
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return all, err
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(c.r, b); err != nil {
			return all, err
		}
		all += strings.ReplaceAll(string(b), "\r\n", "\n")
	}
}

// answer sends a line and returns all up to the tagged answer, or to a wish to go
// on.
func (c *client) answer(line string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	tag := c.tag
	if tag == "" {
		tag, _, _ = strings.Cut(line, " ")
	}
	c.tag = ""
	all := ""
	for {
		text, err := c.line()
		all += text
		if err != nil {
			return all + "(" + err.Error() + ")\n"
		}
		if strings.HasPrefix(text, "+") {
			c.tag = tag
			return all
		}
		if strings.HasPrefix(text, tag+" ") || strings.HasPrefix(text, "* BAD") {
			return all
		}
	}
}
