package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/server"
)

// The status page names nobody; with the token it tells who is logged in.
func TestServeStatus(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := serveWeb(t, "--http-token", token)
	w.must("secret\n", "user", "passwd", "alice", "--password-stdin")
	w.deliver("", "Subject: x\r\n\r\nhello\r\n", "alice")
	w.popSays("USER alice\r\n", "+OK", "PASS secret\r\n", "+OK 1 messages")
	code, text := w.get("/")
	if code != http.StatusOK || strings.Contains(text, "alice") {
		t.Errorf("%d %s", code, text)
	}
	for _, want := range []string{
		`<span class="good" id="state">ready</span>`, "<tr><th>pop3</th><td>1</td><td>1</td></tr>", "<tr><th>lmtp</th><td>0</td><td>0</td></tr>",
		"<h2>Hosts on this spool</h2>", "<tr><th>" + w.host.Tag + "</th><td>", `<a href="/sessions">`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	for _, tt := range []struct {
		set  func(r *http.Request)
		code int
	}{
		{func(*http.Request) {}, http.StatusUnauthorized},
		{func(r *http.Request) { r.SetBasicAuth("0123456789abcdef", "") }, http.StatusUnauthorized},
		{func(r *http.Request) { r.Header.Set("Authorization", "Bearer 0123456789abcdeF") }, http.StatusUnauthorized},
		{func(r *http.Request) { r.Header.Set("Authorization", "Bearer 0123456789abcdef") }, http.StatusOK},
		{func(r *http.Request) { r.SetBasicAuth("anybody", "0123456789abcdef") }, http.StatusOK},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server/sessions", nil)
		if err != nil {
			t.Fatal(err)
		}
		tt.set(r)
		got, err := w.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		named := strings.Contains(string(body), `<td class="name">alice</td><td class="name">pop3 unix</td>`)
		if err != nil || got.StatusCode != tt.code || named != (tt.code == http.StatusOK) {
			t.Errorf("%v: %d %s, %v", r.Header, got.StatusCode, body, err)
		}
	}
	w.do(os.Rename(filepath.Join(w.dir, "bobbin.toml"), filepath.Join(w.dir, "away")))
	eventually(t, func() bool {
		_, text = w.get("/")
		return strings.Contains(text, `<span class="bad" id="state">the share cannot be reached</span>`)
	})
}

// Without a token in a file of its owner's alone nobody is ever named.
func TestHTTPToken(t *testing.T) {
	r := httptest.NewRecorder()
	newMonitor().handler(t.Context(), slog.New(slog.DiscardHandler)).ServeHTTP(r, httptest.NewRequest(http.MethodGet, "/sessions", nil))
	if r.Code != http.StatusNotFound {
		t.Errorf("without a token: %d", r.Code)
	}
	rig := newRig(t)
	for _, tt := range []struct {
		text, says string
		mode       os.FileMode
	}{{"short\n", "16 characters", 0o600}, {"0123456789abcdef\n", "others than its owner may read it", 0o644}} {
		name := filepath.Join(t.TempDir(), "token")
		rig.do(os.WriteFile(name, []byte(tt.text), tt.mode))
		if got := rig.run("", "serve", "--lmtp", "127.0.0.1:0", "--http-token", name); got.code != exitConfig || !strings.Contains(got.err, tt.says) {
			t.Errorf("%q: %d %s", tt.text, got.code, got.err)
		}
	}
}

// The rates are those of the last readings.
func TestStatusRates(t *testing.T) {
	m := newMonitor()
	m.readings.list[0].at = time.Now().Add(-10 * time.Second)
	m.delivered.Add(20)
	m.deferred.Add(5)
	m.polls.Observe(time.Second)
	m.polls.Observe(3 * time.Second)
	p := m.status(errNoShare, false)
	if p.Deliveries < 1.9 || p.Deliveries > 2 || p.Failures < 0.4 || p.Failures > 0.5 || p.Lag != 2*time.Second || p.Trouble == "" || p.Window != "10 s" {
		t.Errorf("%+v", p)
	}
	for range 2 * readingsKept {
		m.readings.add(m.read())
	}
	if p = m.status(nil, false); p.Deliveries != 0 || p.Trouble != "" || len(m.readings.list) != readingsKept {
		t.Errorf("%+v", p)
	}
	now := time.Now()
	for since, want := range map[time.Duration]string{time.Second: "1 s", 3 * time.Minute: "3 min", 5 * time.Hour: "5 h", 72 * time.Hour: "3 days", -time.Hour: "0 s"} {
		if got := age(now.Add(-since)); got != want {
			t.Errorf("%s: %s, want %s", since, got, want)
		}
	}
}

// A browser shows the page as it was meant, on the screen of a phone: with its
// style, without anything from elsewhere, and what clients send is text.
func TestStatusBrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("BOBBIN_TEST_FULL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	m := newMonitor()
	m.token = "0123456789abcdef"
	const evil = `<script>document.title="evil"</script>`
	m.clients = func() []server.Client {
		return []server.Client{{Protocol: "pop3", Remote: evil, User: "alice", Since: time.Now()}}
	}
	var mu sync.Mutex
	var asked []string
	handler := m.handler(t.Context(), slog.New(slog.DiscardHandler))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		if r.URL.Path == "/sessions" { // as the browser does when it was asked
			r.SetBasicAuth("", m.token)
		}
		handler.ServeHTTP(w, r)
	}))
	defer web.Close()
	show := func(at string, more ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		words := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-logging=stderr", "--v=0", "--user-data-dir=" + t.TempDir(), "--window-size=400,700"}, more...)
		cmd := exec.CommandContext(ctx, browser, append(words, at)...)
		cmd.WaitDelay = time.Second
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
			t.Fatalf("%v: %.2000s", err, &said)
		}
		if strings.Contains(said.String(), "Content Security Policy") {
			t.Errorf("the page does what it may not: %s", &said)
		}
		return out.String()
	}
	dom := show(web.URL+"/", "--dump-dom")
	if !strings.Contains(dom, `<span class="good" id="state">ready</span>`) || !strings.Contains(dom, "deliveries a second") || strings.Contains(dom, "alice") {
		t.Errorf("the page is %s", dom)
	}
	dom = show(web.URL+"/sessions", "--dump-dom")
	if !strings.Contains(dom, "alice") || !strings.Contains(dom, "pop3 &lt;script&gt;") || !strings.Contains(dom, "<title>Bobbin on ") {
		t.Errorf("the sessions are %s", dom)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, path := range asked {
		if !slices.Contains([]string{"/", "/sessions", "/status.css", "/favicon.ico"}, path) {
			t.Errorf("the browser asked for %s", path)
		}
	}
	if !slices.Contains(asked, "/status.css") {
		t.Errorf("no style: %q", asked)
	}
}
