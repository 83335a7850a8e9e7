package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// Limits bound what clients may take. A zero field means its default.
type Limits struct {
	// Connections that are open at a time: in all, and from one address.
	// Clients of a unix socket have no address. 1000 and 100.
	Connections, PerAddress int
	// Idle is how long a client may take for a command, from the end of the
	// one before it to its own end; 5 minutes (RFC 5321 §4.5.3.2.7).
	Idle time.Duration
	// Stall is how long the network may stand still while data is read or
	// written; 1 minute.
	Stall time.Duration
	// Rate is how many bytes a second data must bring on the average, after one
	// Idle; 1000.
	Rate int64
	// Grace is how long clients may take to finish what they are at when the
	// server ends; 10 seconds.
	Grace time.Duration
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	set(&l.Idle, 5*time.Minute)
	set(&l.Stall, time.Minute)
	set(&l.Grace, 10*time.Second)
	if l.Connections == 0 {
		l.Connections = 1000
	}
	if l.PerAddress == 0 {
		l.PerAddress = 100
	}
	if l.Rate == 0 {
		l.Rate = 1000
	}
	return l
}

// Protocol is what is spoken on a listener.
type Protocol struct {
	// Name is its name in the log.
	Name string
	// Busy is what a client is told that is one too many, with its line end.
	Busy string
	// Idle takes the place of Limits.Idle if that is too short for the protocol.
	Idle time.Duration
	// Meter counts the clients; nil counts none.
	Meter *Meter
	// Serve talks to a client until one of the two has had enough; then the
	// connection is closed. The context ends when the server's patience does.
	Serve func(ctx context.Context, c *Conn)
}

// Listener is a socket and what is spoken on it.
type Listener struct {
	net.Listener
	Protocol Protocol
	// TLS encrypts from the first byte (RFC 8314); nil does not.
	TLS *tls.Config
}

// Server serves clients of several listeners. Its fields are set before Run.
type Server struct {
	Limits Limits
	// Log gets what an administrator must know; nil means slog.Default.
	Log *slog.Logger

	mu      sync.Mutex
	open    map[*Conn]struct{}
	from    map[string]int // connections by address
	ending  bool
	clients sync.WaitGroup
}

// Run serves the clients of all listeners until ctx ends. Then it closes the
// listeners, lets every client finish its command, and returns when all are
// gone: at the latest after Limits.Grace, when it cuts them off. An error is
// one of a listener, which ends all.
func (s *Server) Run(ctx context.Context, listeners ...Listener) error {
	s.Limits = s.Limits.withDefaults()
	s.open, s.from = map[*Conn]struct{}{}, map[string]int{}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { failed <- s.accept(ctx, work, l) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	for _, l := range listeners {
		_ = l.Close()
	}
	s.end()
	gone := make(chan struct{})
	go func() { s.clients.Wait(); close(gone) }()
	patience := time.NewTimer(s.Limits.Grace)
	defer patience.Stop()
	select {
	case <-gone:
		return err
	case <-patience.C:
	}
	cut()
	s.mu.Lock()
	s.Log.Warn("clients were cut off", "connections", len(s.open))
	for c := range s.open {
		c.close()
	}
	s.mu.Unlock()
	<-gone
	return err
}

// accept takes clients in. Being out of descriptors or memory passes.
func (s *Server) accept(ctx, work context.Context, l Listener) error {
	for pause := time.Duration(0); ; {
		raw, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.admit(work, raw, l)
			continue
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listen on %s: %w", l.Addr(), err)
		}
		pause = min(max(2*pause, 10*time.Millisecond), time.Second)
		s.Log.Error("no client can be accepted", "address", l.Addr().String(), "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// admit serves a client or tells it that it is one too many.
func (s *Server) admit(work context.Context, raw net.Conn, l Listener) {
	p := l.Protocol
	limits := s.Limits
	limits.Idle = max(limits.Idle, p.Idle)
	c := newConn(raw, limits)
	c.Protocol = p.Name
	if p.Meter != nil {
		c.meter = p.Meter
	}
	address := c.Address()
	s.mu.Lock()
	full := len(s.open) >= s.Limits.Connections || address != "" && s.from[address] >= s.Limits.PerAddress
	ok := !full && !s.ending
	if ok {
		s.open[c] = struct{}{}
		s.from[address]++
		s.clients.Add(1)
	}
	s.mu.Unlock()
	c.meter.Connections.Add(1)
	if !ok {
		c.meter.Refused.Add(1)
		// The line fits into the socket's buffer.
		_ = raw.SetDeadline(time.Now().Add(time.Second))
		if l.TLS == nil {
			_, _ = raw.Write([]byte(p.Busy))
		}
		_ = raw.Close()
		s.Log.Warn("too many connections", "protocol", p.Name, "client", c.Remote)
		return
	}
	c.meter.Open.Add(1)
	go func() {
		defer s.clients.Done()
		defer s.leave(c, address)
		defer func() {
			if r := recover(); r != nil {
				s.Log.Error("internal error", "protocol", p.Name, "client", c.Remote, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			}
		}()
		if l.TLS != nil {
			if err := c.StartTLS(work, l.TLS); err != nil {
				s.Log.Warn("TLS", "protocol", p.Name, "client", c.Remote, "connection", c.ID, "error", err)
				return
			}
		}
		p.Serve(work, c)
	}()
}

func (s *Server) leave(c *Conn, address string) {
	c.close()
	c.meter.Open.Add(-1)
	if c.User() != "" {
		c.meter.LoggedIn.Add(-1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
	if s.from[address]--; s.from[address] <= 0 {
		delete(s.from, address)
	}
}

// end wakes all clients that wait for a command.
func (s *Server) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ending = true
	for c := range s.open {
		c.end()
	}
}
