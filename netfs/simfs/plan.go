package simfs

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Case is one simulated run, written down. Whoever runs it takes from it, and
// from nothing else, what he does.
type Case struct {
	Seed uint64
	// Share is the name of one of [Shares]; a plain server without caches if
	// empty.
	Share string `json:",omitempty"`
	// Hosts do Steps steps each, Rounds times.
	Hosts, Steps, Rounds int
	Faults               Faults `json:",omitzero"`
	// MaxFaults is [Options.MaxFaults].
	MaxFaults int `json:",omitempty"`
}

// Options returns the simulation of the case.
func (c Case) Options() Options {
	o := Options{Seed: c.Seed, Faults: c.Faults, MaxFaults: c.MaxFaults, WallSkew: time.Hour, HoldDirs: true}
	if os.Getenv(envCase)+os.Getenv(envSeed) != "" { // somebody wants to know
		o.TraceLen = 100_000
	}
	if s, ok := ShareNamed(c.Share); ok {
		s.Set(&o)
	}
	return o
}

// String returns the case as JSON, which BOBBIN_SIM_CASE takes.
func (c Case) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// ShareFor deals the kinds of shares out to seeds, each as often as the others
// and as the plain server.
func ShareFor(seed uint64) string {
	all := Shares()
	if i := seed % uint64(len(all)+1); i > 0 {
		return all[i-1].Name
	}
	return ""
}

// Plan is a series of runs, one for each seed.
type Plan struct {
	// Ops is how many operations are simulated, and Full how many with
	// BOBBIN_TEST_FULL.
	Ops, Full int
	// Case makes the case of a seed.
	Case func(seed uint64) Case
	// Run simulates a case, fails t if something is wrong, and returns how
	// many operations it simulated.
	Run func(t *testing.T, c Case) (ops int)
}

// The environment of a plan.
const (
	envSeed  = "BOBBIN_SIM_SEED"  // the first seed; the only one without envOps
	envOps   = "BOBBIN_SIM_OPS"   // how many operations are simulated
	envCase  = "BOBBIN_SIM_CASE"  // one case, as [Case.String] writes it
	envTries = "BOBBIN_SIM_TRIES" // how many seeds of that case
)

// Test runs the plan until enough operations were simulated or a run fails.
// Then it looks for a smaller case that fails too ([Shrink]), and shows what
// happens in it, unless -failfast tells that nobody wants to know.
func (p Plan) Test(t *testing.T) {
	if text := os.Getenv(envCase); text != "" {
		p.one(t, text)
		return
	}
	target := p.Ops
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		target = p.Full
	}
	first, alone := number(t, envSeed)
	if n, ok := number(t, envOps); ok {
		target, alone = int(n), false
	}
	if alone {
		target = 1
	}
	// A run keeps little, and throws much away.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	total, start, spent := 0, time.Now(), processorTime(t)
	for seed := max(first, 1); total < target; seed++ {
		c := p.Case(seed)
		ok := t.Run(fmt.Sprintf("%s/%d", c.Share, seed), func(t *testing.T) { total += p.Run(t, c) })
		if !ok && !failfast() {
			small, out := Shrink(t.Context(), t.Name(), c)
			t.Logf("a smaller case: %s='%s' go test -run '^%s$'\n%s", envCase, small, t.Name(), out)
		}
		if !ok {
			return
		}
	}
	t.Logf("%d simulated operations, %.0f a second, %.0f in a second of processor time", total,
		float64(total)/time.Since(start).Seconds(), float64(total)/(processorTime(t)-spent).Seconds())
}

// processorTime is what this process has used of all processors.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// one runs a case that was written down, or several with seeds that follow it.
func (p Plan) one(t *testing.T, text string) {
	var c Case
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatalf("%s: %v", envCase, err)
	}
	tries, _ := number(t, envTries)
	for range max(tries, 1) {
		if !t.Run(strconv.FormatUint(c.Seed, 10), func(t *testing.T) { p.Run(t, c) }) {
			t.Logf("%s%s", failed, c)
			return
		}
		c.Seed++
	}
}

func failfast() bool {
	f := flag.Lookup("test.failfast")
	return f != nil && f.Value.String() == "true"
}

// failed marks the line that tells which case failed.
const failed = "this case fails: "

func number(t *testing.T, env string) (n uint64, ok bool) {
	v := os.Getenv(env)
	if v == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", env, err)
	}
	return n, true
}
