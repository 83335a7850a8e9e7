package server

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// slowData is the obvious reader of a message: it looks for the end from the
// first byte on, cuts the lines at CRLF and takes a dot from each.
func slowData(raw string) (text, rest string, smuggling, ok bool) {
	end := -1
	for i := range raw {
		if strings.HasPrefix(raw[i:], ".\r\n") && (i == 0 || strings.HasSuffix(raw[:i], "\r\n")) {
			end = i
			break
		}
	}
	if end < 0 {
		return "", "", false, false
	}
	lines := strings.Split(raw[:end], "\r\n")
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, ".")
	}
	// What stands before the end is looked at with its line ends around it.
	return strings.Join(lines, "\r\n"), raw[end+3:], loneDot.MatchString("\r\n" + raw[:end]), true
}

var loneDot = regexp.MustCompile(`[\r\n]\.[\r\n]`)

// compareData holds the reader to the obvious one, with the text cut into
// blocks in three ways.
func compareData(t *testing.T, raw string) {
	t.Helper()
	text, rest, smuggling, ok := slowData(raw)
	for name, r := range map[string]io.Reader{
		"whole": strings.NewReader(raw), "bytes": iotest.OneByteReader(strings.NewReader(raw)), "halves": iotest.HalfReader(strings.NewReader(raw)),
	} {
		in := bufio.NewReaderSize(r, 16)
		d := NewDotReader(in)
		var got bytes.Buffer
		_, err := d.WriteTo(&got)
		if !ok {
			if !errors.Is(err, io.ErrUnexpectedEOF) || d.done {
				t.Errorf("%s: %q has no end: %v", name, raw, err)
			}
			continue
		}
		left, _ := io.ReadAll(in)
		if err != nil || got.String() != text || string(left) != rest || d.Smuggling != smuggling {
			t.Errorf("%s: %q:\ngot  %q, rest %q, smuggling %v, %v\nwant %q, rest %q, smuggling %v",
				name, raw, got.String(), left, d.Smuggling, err, text, rest, smuggling)
		}
	}
}

func TestDots(t *testing.T) {
	tests := []struct {
		raw, text, rest string
		smuggling       bool
	}{
		{".\r\n", "", "", false},
		{"a\r\n.\r\nQUIT\r\n", "a\r\n", "QUIT\r\n", false},
		{"..\r\n...\r\n.a\r\n.\r\n", ".\r\n..\r\na\r\n", "", false},
		{"a\r\r\n.\r\nx", "a\r\r\n", "x", false}, // the end that go-smtp's server misses
		{".\rX\r\n.\r\n", "\rX\r\n", "", true},
		{"a\n.\nMAIL\r\n.\r\n", "a\n.\nMAIL\r\n", "", true},
		{"a\n.\r\nMAIL\r\n.\r\n", "a\n.\r\nMAIL\r\n", "", true},
		{"a\r\n.\nMAIL\r\n.\r\n", "a\r\n\nMAIL\r\n", "", true},
		{"a\r\n.\rMAIL\r\n.\r\n", "a\r\n\rMAIL\r\n", "", true},
		{"a\r.\rMAIL\r\n.\r\n", "a\r.\rMAIL\r\n", "", true},
		{"a\r.\r\nMAIL\r\n.\r\n", "a\r.\r\nMAIL\r\n", "", true},
		{"a\n..\n.\r\n.\r\n", "a\n..\n.\r\n", "", true},
		{"a.\r\n.\r\n", "a.\r\n", "", false},
		{"a\nb\rc\x00\xff\r\n.\r\n", "a\nb\rc\x00\xff\r\n", "", false},
		{"aaaaaaaaaaaaa.\r.\rb\r\n.\r\n", "aaaaaaaaaaaaa.\r.\rb\r\n", "", true}, // a dot ends the first block
		{strings.Repeat("long", 20000) + "\r\n.\r\n", strings.Repeat("long", 20000) + "\r\n", "", false},
	}
	for _, tt := range tests {
		text, rest, smuggling, ok := slowData(tt.raw)
		if !ok || text != tt.text || rest != tt.rest || smuggling != tt.smuggling {
			t.Errorf("the obvious reader: %.40q: %.40q, rest %q, smuggling %v", tt.raw, text, rest, smuggling)
		}
		compareData(t, tt.raw)
	}
	for _, raw := range []string{"", ".", ".\r", "a\r\n.", "a\r\n.\r", "a\n.\n", "\r\n..\r\n"} {
		compareData(t, raw)
	}
}

// All short texts of the bytes that matter.
func TestDotsAll(t *testing.T) {
	const letters, length = "\r\n.a", 7
	raw := make([]byte, length)
	for n := range 1 << (2 * length) {
		for i := range raw {
			raw[i] = letters[n>>(2*i)&3]
		}
		text, rest, smuggling, ok := slowData(string(raw) + "\r\n.\r\n")
		in := bufio.NewReaderSize(bytes.NewReader(append(bytes.Clone(raw), "\r\n.\r\n"...)), 16)
		d := NewDotReader(in)
		var got bytes.Buffer
		_, err := d.WriteTo(&got)
		left, _ := io.ReadAll(in)
		if !ok || err != nil || got.String() != text || string(left) != rest || d.Smuggling != smuggling {
			t.Fatalf("%q: got %q, rest %q, smuggling %v, %v; want %q, rest %q, smuggling %v", raw, got.String(), left, d.Smuggling, err, text, rest, smuggling)
		}
	}
}

func FuzzDots(f *testing.F) {
	f.Add("a\r\n..b\r\n.\r\nQUIT\r\n")
	f.Add("a\n.\r\n\r.\r\r\n.\r\n")
	f.Fuzz(compareData)
}

func BenchmarkDots(b *testing.B) {
	line := "The quick brown fox jumps over the lazy dog. It ends in a dot, as it should.\r\n"
	for name, line := range map[string]string{
		"text": line, "base64": strings.Repeat("QUJD", 19) + "\r\n", "dots": strings.Repeat(".", 76) + "\r\n", "stuffed": ".." + line,
	} {
		b.Run(name, func(b *testing.B) {
			text := []byte(strings.Repeat(line, (1<<20)/len(line)) + ".\r\n")
			b.SetBytes(int64(len(text)))
			in := bufio.NewReaderSize(nil, 16<<10)
			begun := processorTime(b)
			for b.Loop() {
				in.Reset(bytes.NewReader(text))
				if _, err := NewDotReader(in).WriteTo(io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(text)*b.N)/1e6/(processorTime(b)-begun).Seconds(), "MB/cpu-s")
		})
	}
}

// processorTime is what this process has used: a rate that other load does not change.
func processorTime(b *testing.B) time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
