package message

import (
	"strings"
	"testing"

	"github.com/emersion/go-message/charset"
)

// TestCharsets compares what each name stands for with go-message, which asks the
// indexes of golang.org/x/text.
func TestCharsets(t *testing.T) {
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	for _, sample := range []string{"\xb0\xa1\xc4\xe3", "\x82\xa0\x83\x41", "\x1b$B$\"\x1b(B", "~{VPND~}", "\x00a\xff\xfeb\x00\xfe\xff\x00c"} {
		all.WriteString(sample + "\n")
	}
	if len(charsets()) < 350 {
		t.Errorf("only %d names", len(charsets()))
	}
	for name, c := range charsets() {
		theirs, err := charset.Reader(name, strings.NewReader(all.String()))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ours := c.NewDecoder().Reader(strings.NewReader(all.String()))
		if got, want := readAll(t, ours), readAll(t, theirs); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
