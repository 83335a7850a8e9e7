package commitlog

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The names below the directory of a log.
func FuzzNames(f *testing.F) {
	f.Add("g.0")
	f.Add("g.33." + strings.Repeat("a", 26))
	f.Add("33." + strings.Repeat("7", 26))
	f.Add("g.18446744073709551615." + strings.Repeat("a", 26))
	f.Fuzz(func(t *testing.T, name string) {
		if seq, ok := parseSeq(name); ok && fmt.Sprint(seq) != name {
			t.Errorf("slot %q is number %d", name, seq)
		}
		if seq, id, ok := parseFileName(name); ok && fileName(seq, id) != name {
			t.Errorf("%q is written again as %q", name, fileName(seq, id))
		}
		first, later := "g.0", "g.33."+strings.Repeat("b", 26)
		gens := parseGenerations([]string{later, name, first})
		if len(gens) == 3 && gens[0].dir() != name && gens[1].dir() != name && gens[2].dir() != name {
			t.Errorf("%q is written again as %q, %q or %q", name, gens[0].dir(), gens[1].dir(), gens[2].dir())
		}
		if !slices.IsSortedFunc(gens, func(a, b *generation) int { return cmp.Compare(a.first, b.first) }) {
			t.Errorf("%q: generations out of order: %q, %q, %q", name, gens[0].dir(), gens[1].dir(), gens[2].dir())
		}
	})
}
