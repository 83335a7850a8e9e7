package main

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/readers/metrics"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// monitor is what a server knows of its own work. Users are not named in it.
type monitor struct {
	metrics.Set
	started time.Time
	ready   *readiness // nil if there is no share to ask
	meters  map[string]*server.Meter
	logins  map[string]loginCounters
	ops     *netfs.Ops // nil if others do the work
	kind    string     // of its file system
	polls   *metrics.Histogram

	deliveryTimes *metrics.Histogram
	readings      readings
	hosts         hosts
	clients       func() []server.Client
	token         string // that lets see users; "" for none

	delivered, deferred, refused *metrics.Counter
}

func newMonitor() *monitor {
	m := &monitor{started: time.Now(), meters: map[string]*server.Meter{}, logins: map[string]loginCounters{}}
	deliveries := func(result string) *metrics.Counter {
		return m.Counter(metrics.Desc{Name: "bobbin_deliveries_total", Help: "Recipients of messages, by what became of them.", Labels: label("result", result)})
	}
	m.delivered, m.deferred, m.refused = deliveries("delivered"), deliveries("deferred"), deliveries("refused")
	m.polls = m.Histogram(metrics.Desc{Name: "bobbin_poll_seconds", Help: "How long it took to look for what other hosts changed in an open mailbox."})
	m.deliveryTimes = m.Histogram(metrics.Desc{Name: "bobbin_delivery_seconds", Help: "How long the delivery to one recipient took, whatever became of it."})
	m.readings.add(m.read())
	m.process()
	return m
}

func label(name, value string) string { return name + "=" + strconv.Quote(value) }

// process tells of the process itself, under the names that Prometheus' own
// clients give.
func (m *monitor) process() {
	m.Gauge(metrics.Desc{Name: "bobbin_build_info", Help: "The version, as a label.", Labels: label("version", buildVersion())}, func() float64 { return 1 })
	m.Gauge(metrics.Desc{Name: "process_start_time_seconds", Help: "When the process began, in seconds since 1970."}, func() float64 { return float64(m.started.UnixMilli()) / 1000 })
	m.Counted(metrics.Desc{Name: "process_cpu_seconds_total", Help: "Processor time, in seconds."}, func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return 0
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
	})
	m.Gauge(metrics.Desc{Name: "process_resident_memory_bytes", Help: "Memory that is in use."}, func() float64 { return float64(residentMemory()) })
	m.Gauge(metrics.Desc{Name: "go_goroutines", Help: "Goroutines."}, func() float64 { return float64(runtime.NumGoroutine()) })
}

// residentMemory is in bytes, 0 if the kernel does not tell.
func residentMemory() (n int64) {
	text, err := os.ReadFile("/proc/self/statm")
	if f := strings.Fields(string(text)); err == nil && len(f) > 1 {
		n, _ = strconv.ParseInt(f[1], 10, 64)
	}
	return n * int64(os.Getpagesize())
}

// meter makes the meter of a protocol, before anybody speaks it.
func (m *monitor) meter(protocol string) *server.Meter {
	n, of := new(server.Meter), label("protocol", protocol)
	m.meters[protocol], m.logins[protocol] = n, m.loginCounters(protocol)
	m.Counted(metrics.Desc{Name: "bobbin_connections_total", Help: "Connections that clients made.", Labels: of}, func() float64 { return float64(n.Connections.Load()) })
	m.Counted(metrics.Desc{Name: "bobbin_connections_refused_total", Help: "Connections that were too many.", Labels: of}, func() float64 { return float64(n.Refused.Load()) })
	m.Gauge(metrics.Desc{Name: "bobbin_connections", Help: "Connections that are open.", Labels: of}, func() float64 { return float64(n.Open.Load()) })
	m.Gauge(metrics.Desc{Name: "bobbin_sessions", Help: "Connections of users who are logged in.", Labels: of}, func() float64 { return float64(n.LoggedIn.Load()) })
	return n
}

// share makes the monitor watch a spool's share.
func (m *monitor) share(s *spool.Spool) {
	m.ready = &readiness{ask: s.Reachable, patience: readyPatience}
	m.ops, m.kind = s.Host.Ops, s.Host.Profile.Kind
	for k := range (netfs.Counts{}) {
		m.Counted(metrics.Desc{Name: "bobbin_server_operations_total", Help: "Operations that the file server was asked for.", Labels: label("kind", netfs.Kind(k).String())},
			func() float64 { return float64(m.ops.Read()[k]) })
	}
}

// loginCounters count the logins of a protocol by their outcome.
type loginCounters struct{ good, bad, other *metrics.Counter }

func (m *monitor) loginCounters(protocol string) loginCounters {
	counter := func(result string) *metrics.Counter {
		return m.Counter(metrics.Desc{Name: "bobbin_logins_total", Help: "Logins, by what became of them.", Labels: label("protocol", protocol) + "," + label("result", result)})
	}
	return loginCounters{counter("good"), counter("bad"), counter("other")}
}

// login counts one.
func (m *monitor) login(c *server.Conn, err error) {
	switch n := m.logins[c.Protocol]; {
	case err == nil:
		n.good.Add(1)
	case errors.Is(err, readers.ErrDenied):
		n.bad.Add(1)
	default:
		n.other.Add(1)
	}
}

// meteredBackend counts what a backend does.
type meteredBackend struct {
	lmtp.Backend
	monitor *monitor
	bytes   *metrics.Counter
}

func (m *monitor) backend(b lmtp.Backend) *meteredBackend {
	return &meteredBackend{
		Backend: b, monitor: m,
		bytes: m.Counter(metrics.Desc{Name: "bobbin_delivered_bytes_total", Help: "Bytes of messages that were delivered, for each recipient."}),
	}
}

// Recipient counts who is refused.
func (b *meteredBackend) Recipient(ctx context.Context, address string, size int64) (lmtp.Recipient, error) {
	to, err := b.Backend.Recipient(ctx, address, size)
	if err != nil {
		b.monitor.failed(err)
	}
	return to, err
}

// Deliver counts and times a delivery.
func (b *meteredBackend) Deliver(ctx context.Context, msg *lmtp.Message, to lmtp.Recipient) (lmtp.Delivery, error) {
	begun := time.Now()
	done, err := b.Backend.Deliver(ctx, msg, to)
	b.monitor.deliveryTimes.Observe(time.Since(begun))
	if err != nil {
		b.monitor.failed(err)
		return done, err
	}
	b.monitor.delivered.Add(1)
	b.bytes.Add(msg.Size)
	return done, nil
}

func (m *monitor) failed(err error) {
	if r, ok := errors.AsType[*lmtp.Reply](err); ok && r.Code >= 500 {
		m.refused.Add(1)
	} else {
		m.deferred.Add(1)
	}
}
