package search

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// TestFold compares which characters are the same with golang.org/x/text/cases, which
// leaves Cherokee as it is. Beyond the first two planes nothing has case.
func TestFold(t *testing.T) {
	ours, theirs := map[string]string{}, map[string]string{}
	full := cases.Fold()
	for r := rune(0); r < 0x20000; r++ {
		if !utf8.ValidRune(r) || unicode.Is(unicode.Cherokee, r) {
			continue
		}
		a, b := fold(string(r)), norm.NFKD.String(full.String(norm.NFKD.String(string(r))))
		if have, ok := ours[a]; ok && have != b {
			t.Errorf("%q: %q is the same as another that is %q", r, b, have)
		}
		if have, ok := theirs[b]; ok && have != a {
			t.Errorf("%q: %q, another that is the same is %q", r, a, have)
		}
		ours[a], theirs[b] = b, a
	}
	if fold("ᏣᎳᎩ") != fold("ꮳꮃꭹ") {
		t.Error("Cherokee has no case")
	}
}
