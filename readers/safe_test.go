package readers

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

const bad = replacement

var safeTexts = []struct{ in, want string }{
	{"", ""},
	{"plain\ttext\n", "plain\ttext\n"},
	{"grüße 日本 😀\n", "grüße 日本 😀\n"},
	{"a\r\nb\r\r\nc\rd\r", "a\nb\nc" + bad + "d" + bad},
	{"\x1b[31mred\x1b[0m", bad + "[31mred" + bad + "[0m"},
	{"\x00\a\b\v\f\x7f", strings.Repeat(bad, 6)},
	{"\u009b31m \u0085 \u0080", bad + "31m " + bad + " " + bad},
	{"\x9b31m \xff \xc0\x9b", bad + "31m " + bad + " " + bad + bad},
	{"\xed\xa0\x80", bad + bad + bad},
	{"a\u202eb\u202ac\u2066d\u2069e\u200ef\u200fg\u061ch", "a" + bad + "b" + bad + "c" + bad + "d" + bad + "e" + bad + "f" + bad + "g" + bad + "h"},
	{"\xe2\x82", bad},
	{"\xe2\x82x", bad + bad + "x"},
	{"\xe2\x82\xe2\x82\xac", bad + bad + "€"},
	{"\xf0\x9f\x98", bad},
	{"\xe2\r\n", bad + "\n"},
	{"\u00a0\ufeff\ufffd", "\u00a0\ufeff\ufffd"},
}

// safely writes in pieces of n bytes through a SafeWriter.
func safely(t testing.TB, in string, n int) string {
	t.Helper()
	var b bytes.Buffer
	w := SafeWriter(&b)
	for len(in) > 0 {
		k := min(n, len(in))
		piece := []byte(in[:k])
		if got, err := w.Write(piece); got != k || err != nil {
			t.Fatalf("%d, %v", got, err)
		}
		clear(piece)
		in = in[k:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSafeWriter(t *testing.T) {
	for _, test := range safeTexts {
		for n := 1; n < 6; n++ {
			if got := safely(t, test.in, n); got != test.want {
				t.Errorf("%q by %d: got %q, want %q", test.in, n, got, test.want)
			}
		}
	}
	long := strings.Repeat("grüße\r\n\x1b", 5000)
	want := strings.Repeat("grüße\n"+bad, 5000)
	for _, n := range []int{1, 7, 4096, 1 << 20} {
		if got := safely(t, long, n); got != want {
			t.Errorf("long text by %d differs", n)
		}
	}
}

type failingWriter struct{ left int }

var errFull = errors.New("full")

func (f *failingWriter) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestSafeWriterErrors(t *testing.T) {
	w := SafeWriter(&failingWriter{left: 5})
	if _, err := w.Write([]byte("four")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := w.Write([]byte("four")); n != 0 || !errors.Is(err, errFull) {
			t.Errorf("%d, %v", n, err)
		}
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

func TestSafeLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                        "",
		"plain":                   "plain",
		"a\tb\r\nc\nd":            "a b c d",
		"\x1b[2J\u202e\u2028x":    bad + "[2J" + bad + " x",
		"cut \xe2\x82":            "cut " + bad,
		"one\ttab":                "one tab",
		"keine Umlaute sind böse": "keine Umlaute sind böse",
	} {
		if got := SafeLine(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzSafeWriter(f *testing.F) {
	for i, test := range safeTexts {
		f.Add(test.in, uint8(i))
	}
	f.Fuzz(func(t *testing.T, in string, n uint8) {
		got := safely(t, in, int(n)+1)
		if whole := safely(t, in, len(in)+1); got != whole {
			t.Fatalf("%q by %d: got %q, whole %q", in, n+1, got, whole)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no UTF-8", got)
		}
		clean := true
		for _, r := range in {
			clean = clean && r != utf8.RuneError && r != '\r' && !forbidden(r)
		}
		if clean && got != in {
			t.Fatalf("%q became %q", in, got)
		}
		for _, r := range got + SafeLine(in) {
			// Spelled out anew, so that a gap in forbidden shows.
			switch {
			case r == '\n' || r == '\t':
			case r < 0x20, r == 0x7f, 0x80 <= r && r <= 0x9f, r == 0x200e, r == 0x200f, 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
				t.Fatalf("%q holds %U", got, r)
			}
		}
		if strings.ContainsAny(SafeLine(in), "\n\t") {
			t.Fatalf("%q is no single line", SafeLine(in))
		}
	})
}

func BenchmarkSafeWriter(b *testing.B) {
	in := []byte(strings.Repeat("A line of text as people write it, größer or not.\r\n", 1000))
	w := SafeWriter(&failingWriter{left: 1 << 62})
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		w.Write(in)
	}
}
