// Package metrics counts what a server does, and tells it in Prometheus' text
// format (version 0.0.4).
//
// It is ours because a mail system starts the same program for each message:
// what Prometheus' own client sets up when a process begins would cost all of
// them. Labels are written where a metric is made, so nothing that a client of
// the server sends becomes one, and the number of series is fixed.
package metrics

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Desc says what a metric is.
type Desc struct {
	// Name has the unit at its end, and "_total" if it only grows.
	Name string
	// Help is one line.
	Help string
	// Labels tell series of one name apart, as they are written:
	// `protocol="lmtp"`. They may be empty.
	Labels string
}

// Set has the metrics of a process. The zero value is empty; its methods may be
// called from several goroutines.
type Set struct {
	mu       sync.Mutex
	families []family
}

// family is all metrics of one name, which belong together in the text.
type family struct {
	name, help, kind string
	series           []series
}

type series struct {
	labels string
	write  func(w *bufio.Writer, name, labels string)
}

func (s *Set) add(d Desc, kind string, write func(w *bufio.Writer, name, labels string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.families, func(f family) bool { return f.name == d.Name })
	if i < 0 {
		i = len(s.families)
		s.families = append(s.families, family{name: d.Name, help: d.Help, kind: kind})
	}
	s.families[i].series = append(s.families[i].series, series{d.Labels, write})
}

// Counter only grows. It may be used from several goroutines.
type Counter struct{ n atomic.Int64 }

// Add counts n more, which is not negative.
func (c *Counter) Add(n int64) { c.n.Add(n) }

// Value is the count so far.
func (c *Counter) Value() int64 { return c.n.Load() }

// Counter makes a metric that is counted here.
func (s *Set) Counter(d Desc) *Counter {
	c := new(Counter)
	s.Counted(d, func() float64 { return float64(c.Value()) })
	return c
}

// Counted makes a metric that is counted elsewhere and read when it is told.
func (s *Set) Counted(d Desc, read func() float64) { s.value(d, "counter", read) }

// Gauge makes a metric that goes up and down, and is read when it is told.
func (s *Set) Gauge(d Desc, read func() float64) { s.value(d, "gauge", read) }

func (s *Set) value(d Desc, kind string, read func() float64) {
	s.add(d, kind, func(w *bufio.Writer, name, labels string) { sample(w, name, labels, read()) })
}

// bounds are those of the times that a histogram tells apart, in seconds.
var bounds = [...]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Histogram tells how long something took. It may be used from several
// goroutines.
type Histogram struct {
	counts [len(bounds) + 1]atomic.Int64 // by the first bound that is not below; the last has the rest
	sum    atomic.Int64                  // in nanoseconds
}

// Observe counts a time.
func (h *Histogram) Observe(d time.Duration) {
	i, _ := slices.BinarySearch(bounds[:], d.Seconds())
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Total is how many times were counted, and their sum.
func (h *Histogram) Total() (n int64, sum time.Duration) {
	for i := range h.counts {
		n += h.counts[i].Load()
	}
	return n, time.Duration(h.sum.Load())
}

// Histogram makes a metric of times; its name ends in "_seconds".
func (s *Set) Histogram(d Desc) *Histogram {
	h := new(Histogram)
	s.add(d, "histogram", h.write)
	return h
}

// write tells how many times were up to each bound. What comes meanwhile is in
// some lines and not in others, but the last one is their sum.
func (h *Histogram) write(w *bufio.Writer, name, labels string) {
	comma := ""
	if labels != "" {
		comma = ","
	}
	var n int64
	for i := range h.counts {
		n += h.counts[i].Load()
		le := "+Inf"
		if i < len(bounds) {
			le = number(bounds[i])
		}
		sample(w, name+"_bucket", labels+comma+`le="`+le+`"`, float64(n))
	}
	sample(w, name+"_sum", labels, time.Duration(h.sum.Load()).Seconds())
	sample(w, name+"_count", labels, float64(n))
}

// Write tells all metrics. An error is one of w.
func (s *Set) Write(w io.Writer) error {
	s.mu.Lock()
	families := slices.Clone(s.families)
	s.mu.Unlock()
	b := bufio.NewWriter(w)
	for _, f := range families {
		_, _ = b.WriteString("# HELP " + f.name + " " + help.Replace(f.help) + "\n# TYPE " + f.name + " " + f.kind + "\n")
		for _, m := range f.series {
			m.write(b, f.name, m.labels)
		}
	}
	return b.Flush()
}

var help = strings.NewReplacer("\\", `\\`, "\n", `\n`)

func sample(w *bufio.Writer, name, labels string, value float64) {
	if labels != "" {
		labels = "{" + labels + "}"
	}
	_, _ = w.WriteString(name + labels + " " + number(value) + "\n")
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
