package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/server"
)

func httpFlag() cli.Flag {
	return &cli.StringFlag{Name: "http", Usage: "tell of the server's own work by HTTP at `ADDRESS`, on this host unless it names one", DefaultText: "none"}
}

func httpTokenFlag() cli.Flag {
	return &cli.StringFlag{Name: "http-token", Usage: "show who is logged in to whoever has the token in `FILE`", DefaultText: "nobody"}
}

// leastToken is the length of the shortest token, in bytes: whoever guesses has
// to guess for long.
const leastToken = 16

// httpToken reads the token for the names of users, "" if there is none.
func httpToken(c *cli.Context) (string, error) {
	name := c.String("http-token")
	if name == "" {
		return "", nil
	}
	line, err := secretLine(name)
	if err == nil && len(line) < leastToken {
		err = fmt.Errorf("%s: the first line is the token, of %d characters at least", name, leastToken)
	}
	if err != nil {
		return "", fmt.Errorf("%w: http-token: %w", errConfig, err)
	}
	return line, nil
}

// openMonitor makes what watches a server, and opens its listener: nil if nobody
// is to be told.
func openMonitor(c *cli.Context, frame *server.Server) (*monitor, net.Listener, error) {
	m := newMonitor()
	m.clients = frame.Clients
	var err error
	if m.token, err = httpToken(c); err != nil {
		return nil, nil, err
	}
	l, err := openHTTP(c)
	return m, l, err
}

func closeHTTP(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// openHTTP opens what --http names, nil without it.
func openHTTP(c *cli.Context) (net.Listener, error) {
	at := c.String("http")
	if at == "" {
		return nil, nil
	}
	l, err := listenHTTP(at)
	if errors.Is(err, server.ErrAddress) {
		err = usageErrorf("--http: %v", err)
	}
	return l, err
}

// listenHTTP listens on this host alone if the address names none.
func listenHTTP(at string) (net.Listener, error) {
	if port, ok := strings.CutPrefix(at, ":"); ok {
		at = net.JoinHostPort("127.0.0.1", port)
	}
	return server.Listen(at)
}

// webClients is how many clients are served at a time.
const webClients = 32

// limitedListener takes in so many clients at a time. Further ones wait.
type limitedListener struct {
	net.Listener
	turn chan struct{}
}

// Accept waits for a turn first.
func (l *limitedListener) Accept() (net.Conn, error) {
	l.turn <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.turn
		return nil, err
	}
	return &limitedConn{Conn: c, left: sync.OnceFunc(func() { <-l.turn })}, nil
}

type limitedConn struct {
	net.Conn
	left func()
}

// Close gives the turn back.
func (c *limitedConn) Close() error {
	defer c.left()
	return c.Conn.Close()
}

// serveHTTP tells of the server's work until stop is called. It goes on while
// clients of the other listeners finish.
func (m *monitor) serveHTTP(ctx context.Context, l net.Listener, log *slog.Logger) (stop func()) {
	web := &http.Server{
		Handler:           m.handler(ctx, log),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	go m.keepReading(work)
	go func() {
		defer close(ended)
		if err := web.Serve(&limitedListener{l, make(chan struct{}, webClients)}); !errors.Is(err, http.ErrServerClosed) {
			log.Error("no more HTTP", "error", err)
		}
	}()
	return func() {
		cancel()
		_ = web.Close()
		<-ended
	}
}

var (
	errServerEnds = errors.New("the server ends")
	errNoShare    = errors.New("the share cannot be reached")
)

// handler answers. ctx ends when the server begins to end.
func (m *monitor) handler(ctx context.Context, log *slog.Logger) http.Handler {
	trouble := func(asked context.Context) error {
		switch {
		case ctx.Err() != nil:
			return errServerEnds
		case m.ready != nil && m.ready.check(asked) != nil:
			return errNoShare
		}
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = m.Write(w)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := trouble(r.Context()); err != nil {
			say(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		say(w, http.StatusOK, "ok")
	})
	m.statusHandler(mux, trouble, log)
	return guarded(mux)
}

// guarded lets no browser do more with an answer than show it.
func guarded(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head := w.Header()
		head.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cache-Control", "no-store")
		h.ServeHTTP(w, r)
	})
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n")
}
