package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// web asks a server about itself.
type web struct {
	*serving
	client http.Client
	pop    string
}

func serveWeb(t *testing.T, flags ...string) *web {
	t.Helper()
	dir := t.TempDir()
	w := &web{pop: filepath.Join(dir, "pop")}
	socket := filepath.Join(dir, "http")
	w.serving = serveHere(t, append([]string{"--http", "unix:" + socket, "--pop3", "unix:" + w.pop}, flags...)...)
	w.client.Transport = &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) },
	}
	t.Cleanup(w.client.CloseIdleConnections)
	return w
}

func (w *web) get(path string) (code int, text string) {
	w.t.Helper()
	r, err := w.client.Get("http://server" + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

// metrics returns the samples by their names and labels.
func (w *web) metrics() map[string]string {
	w.t.Helper()
	code, text := w.get("/metrics")
	if code != http.StatusOK {
		w.t.Fatalf("%d %s", code, text)
	}
	list := map[string]string{}
	for line := range strings.Lines(text) {
		if !metricLine.MatchString(line) {
			w.t.Errorf("line %q", line)
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if name != strings.TrimSpace(line) {
			name += "}"
		} else {
			name, value, _ = strings.Cut(name, " ")
		}
		list[name] = value
	}
	return list
}

var metricLine = regexp.MustCompile(`^(# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))|[a-z_]+(\{[a-z]+="[^"\\]*"(,[a-z]+="[^"\\]*")*\})? [0-9.e+-]+)\n$`)

// popSays gives POP3 commands, each with the beginning of its answer.
func (w *web) popSays(say ...string) net.Conn {
	w.t.Helper()
	c, err := net.Dial("unix", w.pop)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	r := bufio.NewReader(c)
	for i, line := range append([]string{"", "+OK"}, say...) {
		if i%2 == 0 {
			_, err = io.WriteString(c, line)
		} else if got, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(got, line) {
			w.t.Fatalf("%q: %q, %v", say, got, err)
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// What a server did is counted, and nobody is named.
func TestServeMetrics(t *testing.T) {
	w := serveWeb(t)
	w.must("secret\n", "user", "passwd", "alice", "--password-stdin")
	if got := w.deliver("", "Subject: x\r\n\r\nhello\r\n", "alice", "nobody", "bob"); !strings.HasPrefix(got[2], "250") {
		t.Fatal(got)
	}
	c := w.popSays("USER alice\r\n", "+OK", "PASS wrong\r\n", "-ERR [AUTH]", "USER alice\r\n", "+OK", "PASS secret\r\n", "+OK 1 messages")
	m := w.metrics()
	for name, want := range map[string]string{
		`bobbin_deliveries_total{result="delivered"}`:         "2",
		`bobbin_deliveries_total{result="refused"}`:           "1",
		`bobbin_deliveries_total{result="deferred"}`:          "0",
		`bobbin_delivered_bytes_total`:                        "42",
		`bobbin_delivery_seconds_count`:                       "2",
		`bobbin_delivery_seconds_bucket{le="+Inf"}`:           "2",
		`bobbin_connections_total{protocol="lmtp"}`:           "1",
		`bobbin_connections{protocol="pop3"}`:                 "1",
		`bobbin_connections_refused_total{protocol="pop3"}`:   "0",
		`bobbin_sessions{protocol="pop3"}`:                    "1",
		`bobbin_logins_total{protocol="pop3",result="good"}`:  "1",
		`bobbin_logins_total{protocol="pop3",result="bad"}`:   "1",
		`bobbin_logins_total{protocol="pop3",result="other"}`: "0",
		`bobbin_server_operations_total{kind="rename"}`:       "",
		`bobbin_server_operations_total{kind="link"}`:         "",
		`bobbin_poll_seconds_count`:                           "0",
		`bobbin_build_info{version="` + buildVersion() + `"}`: "1",
		`process_resident_memory_bytes`:                       "",
		`process_cpu_seconds_total`:                           "",
		`process_start_time_seconds`:                          "",
	} {
		if got, ok := m[name]; !ok || want != "" && got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := m[`bobbin_server_operations_total{kind="rename"}`]; got == "0" {
		t.Error("no renames")
	}
	if _, text := w.get("/metrics"); strings.Contains(text, "alice") || strings.Contains(text, "bob\"") {
		t.Errorf("a user is named:\n%s", text)
	}
	_ = c.Close()
	eventually(t, func() bool {
		m = w.metrics()
		return m[`bobbin_sessions{protocol="pop3"}`] == "0" && m[`bobbin_connections{protocol="pop3"}`] == "0"
	})
	// The mailbox is still in memory, so it is only looked at.
	w.popSays("USER alice\r\n", "+OK", "PASS secret\r\n", "+OK 1 messages")
	if got := w.metrics()["bobbin_poll_seconds_count"]; got != "1" {
		t.Errorf("%s looks for new mail", got)
	}
}

// eventually waits for what another goroutine does.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// A server is alive while it answers, and ready while its share is there.
func TestServeHealth(t *testing.T) {
	w := serveWeb(t)
	ask := func(path string) int {
		code, _ := w.get(path)
		return code
	}
	if a, b := ask("/healthz"), ask("/readyz"); a != http.StatusOK || b != http.StatusOK {
		t.Errorf("%d, %d", a, b)
	}
	marker := filepath.Join(w.dir, "bobbin.toml")
	w.do(os.Rename(marker, marker+"-away"))
	eventually(t, func() bool { return ask("/readyz") == http.StatusServiceUnavailable })
	if a := ask("/healthz"); a != http.StatusOK {
		t.Errorf("without its share: %d", a)
	}
	w.do(os.Rename(marker+"-away", marker))
	eventually(t, func() bool { return ask("/readyz") == http.StatusOK })
}

// A mount that hangs is asked once, however often somebody wants to know.
func TestReadiness(t *testing.T) {
	var asked atomic.Int64
	answer := make(chan error)
	r := &readiness{patience: 10 * time.Millisecond, ask: func(context.Context) error {
		asked.Add(1)
		return <-answer
	}}
	for range 3 {
		if err := r.check(t.Context()); !errors.Is(err, errNoAnswer) {
			t.Errorf("no answer yet: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.patience = time.Minute
	if err := r.check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits any more: %v", err)
	}
	answer <- os.ErrNotExist
	if err := r.check(t.Context()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the answer: %v", err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// A server that ends says so, and browsers are kept from doing anything with an
// answer.
func TestServeHTTPAnswers(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := newMonitor().handler(ctx, slog.New(slog.DiscardHandler))
	for _, tt := range []struct {
		method, path string
		code         int
	}{
		{"GET", "/readyz", http.StatusServiceUnavailable},
		{"GET", "/healthz", http.StatusOK},
		{"HEAD", "/metrics", http.StatusOK},
		{"POST", "/metrics", http.StatusMethodNotAllowed},
		{"GET", "/none", http.StatusNotFound},
		{"GET", "/debug/pprof/", http.StatusNotFound},
	} {
		r := httptest.NewRecorder()
		h.ServeHTTP(r, httptest.NewRequest(tt.method, tt.path, nil))
		if r.Code != tt.code {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, r.Code, tt.code)
		}
		policy := r.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || r.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v", tt.method, tt.path, r.Header())
		}
	}
}

// Without a host in its address the page is for this host alone. More clients
// than may be served wait, and the end does not wait for them.
func TestServeHTTPListener(t *testing.T) {
	l, err := listenHTTP(":0")
	if err != nil {
		t.Fatal(err)
	}
	if at := l.Addr().(*net.TCPAddr); !at.IP.IsLoopback() {
		t.Errorf("it listens at %s", at)
	}
	m := newMonitor()
	stop := m.serveHTTP(t.Context(), l, slog.New(slog.DiscardHandler))
	var held []net.Conn
	for range webClients + 1 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	last := held[webClients]
	if _, err := io.WriteString(last, "GET /healthz HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	_ = last.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := last.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one too many is answered: %d, %v", n, err)
	}
	_ = held[0].Close()
	_ = last.SetReadDeadline(time.Now().Add(time.Minute))
	if b, err := io.ReadAll(last); err != nil || !strings.Contains(string(b), "200 OK") {
		t.Errorf("when there is room: %q, %v", b, err)
	}
	stop()
}
