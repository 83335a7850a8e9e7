package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Errors of [Conn.ReadLine] after which the protocol says good-bye, and one
// after which it may go on.
var (
	// ErrEnding: the server ends.
	ErrEnding = errors.New("the server ends")
	// ErrIdle: the client took too long.
	ErrIdle = errors.New("the client is too slow")
	// ErrLine: the line was too long and is skipped, or its end was a bare LF.
	ErrLine = errors.New("bad line")
	// ErrWoken: there is no line yet, but something to say.
	ErrWoken = errors.New("woken")
	// ErrInjected: what should come encrypted came in plain.
	ErrInjected = errors.New("data before TLS")
)

// skipped is how long a line may be before its client is given up.
const skipped = 64 << 10

// Conn is a client. It is used by the one goroutine that serves it.
type Conn struct {
	// Reader has what the client sends; lines are read by ReadLine, which puts
	// another in its place when it had to wait.
	Reader *bufio.Reader
	// Writer holds answers back until ReadLine has to wait, so that those to
	// pipelined commands go together.
	Writer *Writer
	// Remote is the client's address, for the log; "unix" for a unix socket.
	Remote string
	// Protocol is the name of what is spoken.
	Protocol string
	// ID names the connection in the log.
	ID string
	// TLS is the state of the encryption, nil without it.
	TLS *tls.ConnectionState
	// Certificate is the one that was shown to the client, if [Showing] said so;
	// a client that resumes an earlier session is shown none.
	Certificate *tls.Certificate

	raw    net.Conn // the socket, or TLS over it
	limits Limits
	meter  *Meter
	since  time.Time // when the client came
	begun  time.Time // of the data under way; zero while commands are read
	got    int64     // bytes since

	mu      sync.Mutex // of what follows, and of raw when it changes
	waiting bool       // for a line
	inWait  bool       // for a line or Wake
	woken   bool
	ending  bool
	user    string // who is logged in
}

func newConn(raw net.Conn, l Limits) *Conn {
	c := &Conn{raw: raw, limits: l, meter: new(Meter), since: time.Now(), Remote: "unix", ID: rand.Text()[:8]}
	if raw.RemoteAddr() != nil && raw.RemoteAddr().Network() != "unix" {
		c.Remote = raw.RemoteAddr().String()
	}
	c.Reader = newReader(rawReader{c})
	c.Writer = &Writer{raw: rawWriter{c}}
	return c
}

// SetIdle changes how long the client may take for a command from now on, see
// [Limits]. Only the goroutine that serves the client may call it.
func (c *Conn) SetIdle(d time.Duration) { c.limits.Idle = d }

// Address is the client's host, by which PerAddress counts; "" if it has none.
func (c *Conn) Address() string {
	host, _, err := net.SplitHostPort(c.Remote)
	if err != nil {
		return ""
	}
	return host
}

// rawReader and rawWriter are the socket with time-outs.
type (
	rawReader struct{ *Conn }
	rawWriter struct{ *Conn }
)

func (r rawReader) Read(p []byte) (int, error) {
	if !r.begun.IsZero() {
		now := time.Now()
		slow := r.begun.Add(r.limits.Idle + time.Duration(float64(r.got)/float64(r.limits.Rate)*float64(time.Second)))
		if stall := now.Add(r.limits.Stall); stall.Before(slow) {
			slow = stall
		}
		_ = r.raw.SetReadDeadline(slow)
	}
	n, err := r.raw.Read(p)
	r.got += int64(n)
	return n, err
}

func (w rawWriter) Write(p []byte) (int, error) {
	_ = w.raw.SetWriteDeadline(time.Now().Add(w.limits.Stall))
	return w.raw.Write(p)
}

// ReadLine reads a line of at most limit bytes and returns it without its
// CRLF; it is good until the next read. What was written before is sent first
// if the line is not there yet.
//
// The error is [ErrEnding], [ErrIdle], [ErrLine], or the connection's own.
func (c *Conn) ReadLine(limit int) ([]byte, error) {
	if buffered, _ := c.Reader.Peek(c.Reader.Buffered()); bytes.IndexByte(buffered, '\n') < 0 {
		if err := c.Writer.Flush(); err != nil {
			return nil, err
		}
	}
	if !c.wait() {
		return nil, ErrEnding
	}
	err := c.readable()
	var line []byte
	if err == nil {
		line, err = c.line(limit)
	}
	if c.waited() && errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, ErrEnding
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, ErrIdle
	}
	return line, err
}

func (c *Conn) line(limit int) ([]byte, error) {
	line, err := c.Reader.ReadSlice('\n')
	var before []byte // what did not fit into Reader
	length := len(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		if length > limit+skipped {
			return nil, net.ErrClosed
		}
		if length <= limit {
			before = append(before, line...)
		}
		line, err = c.Reader.ReadSlice('\n')
		length += len(line)
	}
	if err != nil {
		return nil, err
	}
	if length > limit+len("\r\n") {
		return nil, ErrLine
	}
	if before != nil {
		line = append(before, line...)
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(line) > limit {
		return nil, ErrLine
	}
	return line, nil
}

// Wait sends what was written and waits until the client sends something, which
// ReadLine then reads: the error is nil. It is [ErrWoken] after Wake, and else
// as that of ReadLine.
func (c *Conn) Wait() error {
	if err := c.Writer.Flush(); err != nil {
		return err
	}
	if !c.wait() {
		return ErrEnding
	}
	if c.mayWake(true) {
		c.waited()
		return ErrWoken
	}
	err := c.readable()
	if err == nil {
		_, err = c.Reader.Peek(1)
	}
	woken, ending := c.mayWake(false), c.waited()
	if woken && err == nil {
		c.Wake() // the next Wait tells of it
	}
	switch late := errors.Is(err, os.ErrDeadlineExceeded); {
	case ending && (late || err == nil):
		return ErrEnding
	case woken && late:
		return ErrWoken
	case late:
		return ErrIdle
	}
	return err
}

// Wake ends Wait, or the next one. Any goroutine may call it.
func (c *Conn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = true
	if c.inWait {
		_ = c.raw.SetReadDeadline(time.Now())
	}
}

// mayWake begins or ends the time in which Wake ends a wait, and tells whether
// it was called since this was asked last.
func (c *Conn) mayWake(in bool) (woken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	woken, c.woken = c.woken, false
	c.inWait = in && !woken
	return woken
}

// wait begins to wait for a command, unless the server ends.
func (c *Conn) wait() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return false
	}
	c.waiting = true
	_ = c.raw.SetReadDeadline(time.Now().Add(c.limits.Idle))
	return true
}

// waited tells whether the server ends.
func (c *Conn) waited() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = false
	return c.ending
}

// close may be called while the client is served.
func (c *Conn) close() {
	c.mu.Lock()
	raw := c.raw
	c.mu.Unlock()
	_ = raw.Close()
}

func (c *Conn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ending = true
	if c.waiting {
		_ = c.raw.SetReadDeadline(time.Now())
	}
}

// Data calls f, which reads what belongs to a command from Reader, and holds
// the client to Limits.Stall and Limits.Rate meanwhile. What was written before
// is sent first.
func (c *Conn) Data(f func() error) error {
	if err := c.Writer.Flush(); err != nil {
		return err
	}
	c.begun, c.got = time.Now(), 0
	defer func() { c.begun = time.Time{} }()
	err := f()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return ErrIdle
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// StartTLS sends what was written and goes on encrypted. What the client sent
// already in plain is an attack or a mistake, and the error [ErrInjected].
func (c *Conn) StartTLS(ctx context.Context, config *tls.Config) error {
	if c.Reader.Buffered() > 0 {
		return ErrInjected
	}
	if err := c.Writer.Flush(); err != nil {
		return err
	}
	var shown *tls.Certificate
	ctx, cancel := context.WithTimeout(context.WithValue(ctx, showing{}, &shown), c.limits.Stall)
	defer cancel()
	_ = c.raw.SetReadDeadline(time.Now().Add(c.limits.Stall))
	encrypted := tls.Server(c.raw, config)
	if err := encrypted.HandshakeContext(ctx); err != nil {
		return err
	}
	state := encrypted.ConnectionState()
	c.mu.Lock()
	c.raw, c.TLS, c.Certificate = encrypted, &state, shown
	c.mu.Unlock()
	return nil
}

// showing is the key of the context of a handshake for the certificate in use.
type showing struct{}

// Showing notes which certificate a client is shown; it is for
// GetCertificate of [tls.Config]. A channel may be bound to it (RFC 5929 §4),
// and TLS itself does not tell.
func Showing(hello *tls.ClientHelloInfo, cert *tls.Certificate) {
	if ctx := hello.Context(); ctx != nil {
		if shown, ok := ctx.Value(showing{}).(**tls.Certificate); ok {
			*shown = cert
		}
	}
}
