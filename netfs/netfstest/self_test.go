package netfstest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// recorder is a test that fails for itself alone.
type recorder struct {
	testing.TB
	mu      sync.Mutex
	said    []string
	skipped bool
}

func (r *recorder) note(s string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = append(r.said, s)
}

func (r *recorder) Helper() {}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Error(args ...any) { r.note(fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) { r.note(fmt.Sprintf(format, args...)) }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skipf(string, ...any) {
	r.skipped = true
	runtime.Goexit()
}

// record runs one test on a simulated share with a defect, and returns what it
// complained of, its own cleaning up aside.
func record(t *testing.T, c testCase, d defect) (said []string, skipped bool) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		r := &recorder{TB: t}
		var hosts [2]*netfs.Host
		for i := range hosts {
			h := *s.Host(string(rune('a' + i)))
			h.Share = &brokenFS{h.Share, &d}
			hosts[i] = &h
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.try(r, hosts[0], hosts[1])
		}()
		<-done
		said = slices.DeleteFunc(r.said, func(s string) bool { return strings.HasPrefix(s, "cleaning up:") })
		skipped = r.skipped
	})
	return said, skipped
}

// Each defect is found by the tests that are about it, and each test finds one.
func TestDefects(t *testing.T) {
	cases := map[string]testCase{}
	for _, c := range allCases() {
		cases[c.name] = c
		if said, skipped := record(t, c, defect{}); len(said) > 0 || skipped {
			t.Errorf("%s, without a defect: skipped %v, %q", c.name, skipped, said)
		}
	}
	found := map[string]bool{}
	for _, d := range slices.Concat(fileDefects, lookDefects, changeDefects, treeDefects) {
		for name := range strings.SplitSeq(d.cases, ",") {
			c, ok := cases[name]
			if !ok {
				t.Errorf("%s: there is no test %q", d.name, name)
				continue
			}
			found[name] = true
			said, _ := record(t, c, d)
			t.Logf("%s, %s: %.200q", d.name, name, said)
			if len(said) == 0 {
				t.Errorf("%s: the test %q does not find it", d.name, name)
			}
		}
	}
	for name := range cases {
		if !found[name] {
			t.Errorf("no defect shows that the test %q can fail", name)
		}
	}
}
