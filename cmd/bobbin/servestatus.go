package main

import (
	"context"
	"crypto/subtle"
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

//go:embed pages
var pages embed.FS

// The status page tells of the last minute, by a reading each few seconds.
const (
	readingEvery = 5 * time.Second
	readingsKept = 12
)

// reading is what was counted by a time.
type reading struct {
	at                    time.Time
	delivered, failed     int64
	deliveries, polls     int64
	deliveryTime, pollLag time.Duration
	operations            int64
}

func (m *monitor) read() reading {
	r := reading{at: time.Now(), delivered: m.delivered.Value(), failed: m.deferred.Value() + m.refused.Value()}
	r.deliveries, r.deliveryTime = m.deliveryTimes.Total()
	r.polls, r.pollLag = m.polls.Total()
	if m.ops != nil {
		r.operations = m.ops.Read().Total()
	}
	return r
}

// readings are those of the last minute, the oldest first.
type readings struct {
	mu   sync.Mutex
	list []reading
}

func (r *readings) add(one reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, one)
	if len(r.list) > readingsKept {
		r.list = slices.Delete(r.list, 0, 1)
	}
}

func (r *readings) oldest() reading {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.list[0]
}

// keepReading takes readings until ctx ends.
func (m *monitor) keepReading(ctx context.Context) {
	tick := time.NewTicker(readingEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.readings.add(m.read())
		case <-ctx.Done():
			return
		}
	}
}

// hosts are those of whose deliveries this server heard.
type hosts struct {
	mu   sync.Mutex
	last map[string]time.Time // newest delivery by the host's tag
}

// hostsKept is how many are remembered: names of files are made by others.
const hostsKept = 100

// note looks at the newest messages of a mailbox.
func (h *hosts) note(mailbox *spool.Mailbox) {
	list := mailbox.Messages()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, msg := range list[max(0, len(list)-20):] {
		tag, at, ok := spool.DeliveredBy(msg.Name)
		if _, known := h.last[tag]; !ok || !known && len(h.last) >= hostsKept {
			continue
		}
		if h.last == nil {
			h.last = map[string]time.Time{}
		}
		if at.After(h.last[tag]) {
			h.last[tag] = at
		}
	}
}

// statusPage is what the template shows.
type statusPage struct {
	Host, Version, Trouble, Share string
	Up, Window                    string
	Deliveries, Failures          float64 // a second
	Operations, Each              float64 // a second; for each delivery
	Delivery, Lag                 time.Duration
	Clients                       []statusClients
	Hosts                         []statusHost
	Token, Named                  bool
	Sessions                      []statusSession
}

type statusClients struct {
	Protocol       string
	Open, LoggedIn int64
}

type statusHost struct{ Name, Last string }

type statusSession struct {
	server.Client
	For string
}

// status fills the page; named tells who is logged in.
func (m *monitor) status(trouble error, named bool) statusPage {
	host, _ := os.Hostname()
	now, before := m.read(), m.readings.oldest()
	seconds := max(now.at.Sub(before.at).Seconds(), 1)
	p := statusPage{
		Host: host, Version: buildVersion(), Share: m.kind, Up: age(m.started), Window: age(before.at),
		Deliveries: float64(now.delivered-before.delivered) / seconds,
		Failures:   float64(now.failed-before.failed) / seconds,
		Operations: float64(now.operations-before.operations) / seconds,
		Delivery:   mean(now.deliveryTime-before.deliveryTime, now.deliveries-before.deliveries),
		Lag:        mean(now.pollLag-before.pollLag, now.polls-before.polls),
		Token:      m.token != "", Named: named,
	}
	if n := now.delivered - before.delivered; n > 0 {
		p.Each = float64(now.operations-before.operations) / float64(n)
	}
	if trouble != nil {
		p.Trouble = trouble.Error()
	}
	for name, meter := range m.meters {
		p.Clients = append(p.Clients, statusClients{name, meter.Open.Load(), meter.LoggedIn.Load()})
	}
	slices.SortFunc(p.Clients, func(a, b statusClients) int { return strings.Compare(a.Protocol, b.Protocol) })
	m.hosts.mu.Lock()
	for name, at := range m.hosts.last {
		p.Hosts = append(p.Hosts, statusHost{name, age(at)})
	}
	m.hosts.mu.Unlock()
	slices.SortFunc(p.Hosts, func(a, b statusHost) int { return strings.Compare(a.Name, b.Name) })
	if named && m.clients != nil {
		for _, c := range m.clients() {
			if c.User != "" {
				p.Sessions = append(p.Sessions, statusSession{c, age(c.Since)})
			}
		}
	}
	return p
}

func mean(sum time.Duration, n int64) time.Duration { return sum / time.Duration(max(n, 1)) }

// age is the time since then, as people say it.
func age(then time.Time) string {
	d := time.Since(then)
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(max(d, 0).Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// statusHandler adds the page for people to what is told by HTTP.
func (m *monitor) statusHandler(mux *http.ServeMux, trouble func(context.Context) error, log *slog.Logger) {
	page := template.Must(template.New("status.html").Funcs(template.FuncMap{
		"rate": func(v float64) string { return fmt.Sprintf("%.1f", v) },
		"took": func(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond)) },
	}).ParseFS(pages, "pages/status.html"))
	show := func(w http.ResponseWriter, r *http.Request, named bool) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if err := page.Execute(w, m.status(trouble(r.Context()), named)); err != nil {
			log.Warn("status page", "error", err)
		}
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { show(w, r, false) })
	mux.HandleFunc("GET /status.css", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFileFS(w, r, pages, "pages/status.css")
	})
	if m.token == "" {
		return
	}
	mux.HandleFunc("GET /sessions", func(w http.ResponseWriter, r *http.Request) {
		if !m.authorized(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="the token as password", charset="UTF-8"`)
			say(w, http.StatusUnauthorized, "the token is the password, and any name will do")
			return
		}
		show(w, r, true)
	})
}

// authorized tells whether a request has the token: as a bearer token (RFC 6750),
// or as a password, which browsers ask for.
func (m *monitor) authorized(r *http.Request) bool {
	_, token, ok := r.BasicAuth()
	if !ok {
		token, ok = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	return ok && subtle.ConstantTimeCompare([]byte(token), []byte(m.token)) == 1
}
