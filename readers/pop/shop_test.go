package pop_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/login"
	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/pop"
	"github.com/bobbinmail/bobbin/readers/sasl"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// shop is a spool with one user and a server.
type shop struct {
	net.Listener
	t   testing.TB
	dir string
	// protocol is "pop3" if empty.
	protocol string
	spool    *spool.Spool
	pool     *pool.Pool
	logins   *login.Service
	at       net.Addr
	remote   atomic.Pointer[net.TCPAddr] // where clients seem to come from; nil for the socket
}

// Accept lets clients come from elsewhere.
func (s *shop) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if at := s.remote.Load(); at != nil && err == nil {
		return remoteConn{c, at}, nil
	}
	return c, err
}

type remoteConn struct {
	net.Conn
	at net.Addr
}

func (c remoteConn) RemoteAddr() net.Addr { return c.at }

func (s *shop) Open(ctx context.Context, user, folder string) (*pool.Use, error) {
	return s.pool.Open(ctx, user, folder)
}

func (s *shop) Shared(ctx context.Context, user string) ([]string, error) {
	return s.spool.SharedFolders(ctx, user)
}

func open(t *testing.T, texts ...string) *shop {
	t.Helper()
	return openWith(t, pop.Options{}, texts...)
}

func openWith(t testing.TB, o pop.Options, texts ...string) *shop {
	t.Helper()
	return openAt(t, t.TempDir(), o, texts...)
}

func openAt(t testing.TB, dir string, o pop.Options, texts ...string) *shop {
	t.Helper()
	s := &shop{t: t, dir: dir}
	s.make(o, texts...)
	return s
}

// make makes the spool and serves it.
func (s *shop) make(o pop.Options, texts ...string) {
	t := s.t
	t.Helper()
	h, err := netfs.OpenHost(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.spool, err = spool.Init(t.Context(), h, spool.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	a, err := s.spool.Accounts(t.Context())
	if err == nil {
		err = a.Add(t.Context(), "alice", []byte("secret word"))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		s.deliver(text)
	}
	s.serve(h, o)
}

// beside serves the same spool as another host would.
func (s *shop) beside(o pop.Options) *shop {
	s.t.Helper()
	other := &shop{t: s.t, dir: s.dir}
	h, err := netfs.OpenHost(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	if other.spool, err = spool.Open(s.t.Context(), h); err != nil {
		s.t.Fatal(err)
	}
	other.serve(h, o)
	return other
}

func (s *shop) serve(h *netfs.Host, o pop.Options) {
	t := s.t
	t.Helper()
	s.pool = &pool.Pool{Spool: s.spool}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	s.Listener, s.at = l, l.Addr()
	ctx, stop := context.WithCancel(t.Context())
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	o.Name, o.Log = "mx.example.org", log
	accounts := login.NewSpool(s.spool)
	s.logins = &login.Service{SASL: sasl.Server{Accounts: accounts, Keys: accounts, Name: "mx.example.org"}}
	frame := &server.Server{Log: log}
	served := pop.New(s.logins, s, o)
	protocol := map[string]func() server.Protocol{"pop": served.POP, "pop2": served.POP2}[s.protocol]
	if protocol == nil {
		protocol = served.Protocol
	}
	ended := make(chan error, 1)
	go func() {
		ended <- frame.Run(ctx, server.Listener{Listener: s, Protocol: protocol()})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		served.Wait()
		s.pool.CloseIdle()
		_ = h.Share.Close()
	})
}

func (s *shop) box() *spool.Box {
	s.t.Helper()
	b, err := s.spool.Box(s.t.Context(), "alice", spool.Inbox)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = b.Close() })
	return b
}

func (s *shop) deliver(text string) {
	s.t.Helper()
	s.deliverTo(s.box(), text)
}

func (s *shop) deliverTo(b *spool.Box, text string) {
	s.t.Helper()
	in, err := b.Receive(s.t.Context())
	if err == nil {
		_, err = io.WriteString(in, text)
	}
	if err == nil {
		err = in.Finish(int64(strings.Count(text, "\n")-strings.Count(text, "\r\n")), false)
	}
	if err == nil {
		err = in.Publish(s.t.Context())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// testTLS has a certificate of nobody.
func testTLS(t *testing.T) *tls.Config {
	t.Helper()
	certified := httptest.NewTLSServer(nil)
	t.Cleanup(certified.Close)
	return &tls.Config{Certificates: certified.TLS.Certificates}
}

// client is a connection to the server.
type client struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader

	greeting string
}

// dial reads the greeting.
func (s *shop) dial() *client {
	s.t.Helper()
	c := s.connect()
	c.greeting = c.line()
	return c
}

func (s *shop) connect() *client {
	s.t.Helper()
	conn, err := net.Dial(s.at.Network(), s.at.String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return &client{t: s.t, conn: conn, r: bufio.NewReader(conn)}
}

func (c *client) line() string {
	c.t.Helper()
	line, err := c.r.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%v after %q", err, line)
	}
	return line
}

// send sends a line and returns the first one of the answer, whose others it
// reads.
func (c *client) send(line string) string {
	c.t.Helper()
	first, _ := c.answer(line)
	return first
}

func (c *client) answer(line string) (first, all string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	first = c.line()
	all = first
	verb, arg, _ := strings.Cut(line, " ")
	long := slices.Contains([]string{"RETR", "TOP", "CAPA"}, verb) || slices.Contains([]string{"LIST", "UIDL", "AUTH", "LANG"}, verb) && arg == ""
	for text := first; long && first[0] == '+' && text != ".\r\n"; all += text {
		text = c.line()
	}
	return first, all
}

// talk sends lines, each after the answer to the one before it, and returns all
// that the server said to them.
func (s *shop) talk(lines ...string) string {
	s.t.Helper()
	c := s.dial()
	said := "\r\n"
	for _, line := range lines {
		_, all := c.answer(line)
		said += all
	}
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		s.t.Fatalf("%q and %v after the end", rest, err)
	}
	return said
}

// session logs in, sends lines with "|" between them and QUIT, and returns what
// the server said after login, without CRs.
func (s *shop) session(script string) string {
	s.t.Helper()
	text := s.talk(strings.Split("USER alice|PASS secret word|"+script+"|QUIT", "|")...)
	text = strings.ReplaceAll(text, "\r\n", "\n")
	_, text, _ = strings.Cut(text, "send the password with PASS\n")
	_, text, _ = strings.Cut(text, "\n")
	return text
}

// bye is how a session ends.
func bye(left int) string {
	return fmt.Sprintf("+OK mx.example.org signing off, %d messages left\n", left)
}
