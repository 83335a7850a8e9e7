package lmtp

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// What a client calls an address is taken apart or refused, and never brings a
// line end, or a byte that is no text, further in.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"<>", "<a@b> SIZE=1", `<"a\"> b"@c>`, "<@x,@y:a@b>", "<a", "<\x00@b>", "<+41@b> X=+4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		address, rest, err := parsePath(s)
		if err != nil {
			return
		}
		if !strings.Contains(s, "<") || !strings.HasSuffix(s, rest) || !strings.Contains(s, address) || len(address) > maxPath {
			t.Errorf("%q: address %q, rest %q", s, address, rest)
		}
		meant, err := unquote(address)
		if err != nil {
			meant = ""
		}
		for _, text := range []string{address, meant} {
			if !utf8.ValidString(text) || strings.IndexFunc(text, unicode.IsControl) >= 0 {
				t.Errorf("%q: %q", s, text)
			}
		}
		if _, r := attributes(rest, forwardable); r == nil && strings.TrimSpace(rest) == "" {
			t.Errorf("%q: attributes of nothing", rest)
		}
		_ = parameters(rest, rcptParameter)
	})
}
