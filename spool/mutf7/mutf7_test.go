package mutf7_test

import (
	"testing"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/spool/mutf7"
)

func TestNames(t *testing.T) {
	for name, want := range map[string]string{
		"": "", "Work/2026": "Work/2026", "R&D": "R&-D", "&": "&-",
		"~peter/mail/台北/日本語": "~peter/mail/&U,BTFw-/&ZeVnLIqe-", // RFC 3501 §5.1.3
		"Entwürfe":           "Entw&APw-rfe",
		"😀":                  "&2D3eAA-",
		"a\tb":               "a&AAk-b",
	} {
		if got := mutf7.Encode(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
		if got, ok := mutf7.Decode(want); !ok || got != name {
			t.Errorf("%q: %q, %v, want %q", want, got, ok, name)
		}
	}
	for _, s := range []string{"&", "a&b", "&A-", "&AA-", "&2D0-", "&!!!-"} {
		if name, ok := mutf7.Decode(s); ok {
			t.Errorf("%q is read as %q", s, name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("Entw&APw-rfe&-")
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := mutf7.Decode(s)
		if !ok || !utf8.ValidString(name) {
			return
		}
		if again, ok := mutf7.Decode(mutf7.Encode(name)); !ok || again != name {
			t.Errorf("%q: %q becomes %q, %v", s, name, again, ok)
		}
	})
}
