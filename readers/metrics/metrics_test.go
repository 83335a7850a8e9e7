package metrics

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// Metrics of one name stand together, with one head, however they were made.
func TestWrite(t *testing.T) {
	s := new(Set)
	good := s.Counter(Desc{"x_logins_total", "Logins,\nby \\ result.", `result="good"`})
	s.Gauge(Desc{Name: "x_open", Help: "Open ones."}, func() float64 { return 2.5 })
	s.Counter(Desc{"x_logins_total", "", `result="bad"`})
	s.Counted(Desc{Name: "x_bytes_total", Help: "Bytes."}, func() float64 { return 1 << 60 })
	good.Add(3)
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	want := `# HELP x_logins_total Logins,\nby \\ result.
# TYPE x_logins_total counter
x_logins_total{result="good"} 3
x_logins_total{result="bad"} 0
# HELP x_open Open ones.
# TYPE x_open gauge
x_open 2.5
# HELP x_bytes_total Bytes.
# TYPE x_bytes_total counter
x_bytes_total 1.152921504606847e+18
`
	if b.String() != want {
		t.Errorf("got\n%s", &b)
	}
}

// A time counts for its own bound and all above it.
func TestHistogram(t *testing.T) {
	s := new(Set)
	h := s.Histogram(Desc{"x_seconds", "Times.", `protocol="y"`})
	for _, d := range []time.Duration{time.Millisecond, time.Millisecond + 1, 100 * time.Millisecond, time.Hour} {
		h.Observe(d)
	}
	if n, sum := h.Total(); n != 4 || sum != time.Hour+102*time.Millisecond+1 {
		t.Errorf("%d in %s", n, sum)
	}
	var b strings.Builder
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# TYPE x_seconds histogram\n",
		"\nx_seconds_bucket{protocol=\"y\",le=\"0.001\"} 1\n",
		"\nx_seconds_bucket{protocol=\"y\",le=\"0.0025\"} 2\n",
		"\nx_seconds_bucket{protocol=\"y\",le=\"0.05\"} 2\n",
		"\nx_seconds_bucket{protocol=\"y\",le=\"0.1\"} 3\n",
		"\nx_seconds_bucket{protocol=\"y\",le=\"30\"} 3\n",
		"\nx_seconds_bucket{protocol=\"y\",le=\"+Inf\"} 4\n",
		"\nx_seconds_sum{protocol=\"y\"} 3600.102000001\n",
		"\nx_seconds_count{protocol=\"y\"} 4\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, &b)
		}
	}
	plain := s.Histogram(Desc{Name: "plain_seconds"})
	plain.Observe(0)
	b.Reset()
	if err := s.Write(&b); err != nil || !strings.Contains(b.String(), "\nplain_seconds_bucket{le=\"0.001\"} 1\n") || !strings.Contains(b.String(), "\nplain_seconds_sum 0\n") {
		t.Errorf("%v\n%s", err, &b)
	}
}

// Nothing is lost when many count and others look.
func TestConcurrent(t *testing.T) {
	s := new(Set)
	c, h := s.Counter(Desc{Name: "c_total"}), s.Histogram(Desc{Name: "h_seconds"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				c.Add(1)
				h.Observe(time.Second)
			}
			_ = s.Write(new(strings.Builder))
		})
	}
	all.Wait()
	var b strings.Builder
	if err := s.Write(&b); err != nil || !strings.Contains(b.String(), "c_total 8000\n") || !strings.HasSuffix(b.String(), "h_seconds_count 8000\n") {
		t.Errorf("%v\n%s", err, &b)
	}
}
