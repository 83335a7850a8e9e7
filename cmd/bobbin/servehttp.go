package main

import (
	"context"
	"errors"
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
		Handler:           m.handler(ctx),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := web.Serve(&limitedListener{l, make(chan struct{}, webClients)}); !errors.Is(err, http.ErrServerClosed) {
			log.Error("no more HTTP", "error", err)
		}
	}()
	return func() {
		_ = web.Close()
		<-ended
	}
}

// handler answers. ctx ends when the server begins to end.
func (m *monitor) handler(ctx context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_ = m.Write(w)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case ctx.Err() != nil:
			say(w, http.StatusServiceUnavailable, "the server ends")
		case m.ready != nil && m.ready.check(r.Context()) != nil:
			say(w, http.StatusServiceUnavailable, "the share cannot be reached")
		default:
			say(w, http.StatusOK, "ok")
		}
	})
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
