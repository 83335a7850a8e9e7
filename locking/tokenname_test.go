package locking

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	alice = "aaaaaaaaaaaaaaaaaaaaaaaaaa-alice"
	bob   = "bbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func TestParseState(t *testing.T) {
	for _, name := range []string{"F.0", "F.18446744073709551615", "H.7." + alice + ".12", "H.1." + bob + ".0"} {
		if s, ok := parseState(name); !ok || s.name() != name {
			t.Errorf("%s is read as %+v, %v", name, s, ok)
		}
	}
	for _, name := range []string{
		"", "F", "F.", "F.01", "F.+1", "F.18446744073709551616", "F.1.2", "f.1", "H.1", "H.1.short.0",
		"H.1." + bob, "H.1." + bob + ".0.0", "H.1." + bob + ".-1", "H.." + bob + ".0", ".nfs0001", "seed.0",
	} {
		if s, ok := parseState(name); ok {
			t.Errorf("%q is read as %+v", name, s)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add("F.3")
	f.Add("H.3." + alice + ".4")
	f.Fuzz(func(t *testing.T, name string) {
		if s, ok := parseState(name); ok {
			if s.name() != name {
				t.Errorf("%q became %q", name, s.name())
			}
			if s.owner != "" {
				_ = ownerText(s.owner)
			}
		}
		readView([]string{name, "F.1"})
	})
}

// The highest epoch wins; what is below it is litter.
func TestReadView(t *testing.T) {
	inOrder := []string{
		"F.0", "H.1." + bob + ".0", "H.1." + bob + ".2", "H.1." + bob + ".10", "F.1",
		"H.2." + alice + ".0", "H.10." + bob + ".0", "F.10", "F.1000000000000",
	}
	for i := range inOrder {
		names := append(slices.Clone(inOrder[:i+1]), "seed.0", "seed.3", "seed.x", "t.temp", ".t.put", "README")
		slices.Sort(names)
		v := readView(names)
		if !v.found || v.state.name() != inOrder[i] || v.key() != inOrder[i] || v.seeds != 4 {
			t.Errorf("%q: %+v", names, v)
		}
		want := append(slices.Clone(inOrder[:i]), "t.temp")
		slices.Sort(want)
		slices.Sort(v.litter)
		if !slices.Equal(v.litter, want) {
			t.Errorf("%q: litter %q", names, v.litter)
		}
	}
	if v := readView([]string{"seed.0", "t.x"}); v.found || v.key() != "" || v.seeds != 1 {
		t.Errorf("no lock: %+v", v)
	}
}

func TestLabel(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "Host_1.example": "host-1-example", "--": "", "ä/..": "", strings.Repeat("x", 99): strings.Repeat("x", 32),
	} {
		if got := labelOf(in); got != want {
			t.Errorf("label of %q: %q", in, got)
		}
	}
	if got := ownerText(alice); got != "alice (aaaaaa)" {
		t.Error(got)
	}
	if got := ownerText(bob); got != "bbbbbb" {
		t.Error(got)
	}
}

// The time between two sights of one name is that from the answer to the first
// to the question for the last: no longer than the name surely stood still.
func TestWatch(t *testing.T) {
	type sight struct {
		key       string
		sent, now int // seconds
		dead      bool
	}
	for name, sights := range map[string][]sight{
		"dead":      {{"a", 0, 1, false}, {"a", 14, 15, false}, {"a", 29, 30, false}, {"a", 44, 45, false}, {"a", 46, 47, true}},
		"slow":      {{"a", 0, 5, false}, {"a", 14, 20, false}, {"a", 29, 35, false}, {"a", 44, 50, false}, {"a", 49, 64, false}, {"a", 65, 66, true}},
		"alive":     {{"a", 0, 0, false}, {"a", 15, 15, false}, {"a", 30, 30, false}, {"b", 45, 45, false}, {"b", 60, 60, false}, {"b", 75, 75, false}, {"b", 90, 90, true}},
		"gap":       {{"a", 0, 0, false}, {"a", 15, 15, false}, {"a", 30, 30, false}, {"a", 46, 46, false}, {"a", 60, 60, false}},
		"no name":   {{"", 0, 0, false}, {"", 15, 15, false}, {"", 30, 30, false}, {"", 45, 45, true}},
		"seen once": {{"a", 100, 100, false}},
	} {
		var w watch
		for _, s := range sights {
			if got := w.saw(s.key, time.Duration(s.sent)*time.Second, time.Duration(s.now)*time.Second); got != s.dead {
				t.Errorf("%s, %q at %d: dead %v", name, s.key, s.sent, got)
			}
		}
	}
}

// Each state of a lock's life has a name of its own, which is read as that
// state, and comes after the one before.
func TestStateRoundTrip(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := state{epoch: r.Uint64N(maxSeed * seedStride)}
		for range 20 {
			next := s.taken([]string{alice, bob}[r.IntN(2)])
			if s.owner != "" {
				next = []state{next, s.beaten(), s.free()}[r.IntN(3)]
			}
			if got, ok := parseState(next.name()); !ok || got != next {
				t.Errorf("%s is read as %+v, %v", next.name(), got, ok)
			}
			if !next.after(s) || s.after(next) {
				t.Errorf("%s does not come after %s", next.name(), s.name())
			}
			s = next
		}
	}
}
