package pop

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// slow is what a message becomes on the wire, said in the plainest way. lines
// counts those of the body; below 0 all are sent.
func slow(text string, lines int) string {
	var out strings.Builder
	body := false
	for text != "" {
		line, rest, ended := strings.Cut(text, "\n")
		text = rest
		if strings.HasPrefix(line, ".") {
			out.WriteByte('.')
		}
		out.WriteString(line)
		if !strings.HasSuffix(line, "\r") || !ended {
			out.WriteByte('\r')
		}
		out.WriteByte('\n')
		switch {
		case body:
			lines--
		case line == "" || line == "\r":
			body = true
		}
		if body && lines == 0 {
			break
		}
	}
	return out.String() + ".\r\n"
}

func converted(t *testing.T, r io.Reader, lines int) string {
	t.Helper()
	var out bytes.Buffer
	c := &converter{w: &out, stuff: true, left: lines}
	send := c.copyAll
	if lines >= 0 {
		send = c.copyTop
	}
	if err := send(r); err != nil {
		t.Fatal(err)
	}
	if err := c.end(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func FuzzConvert(f *testing.F) {
	for _, text := range []string{"", "\n", "\r", ".", "\r\n.\r\n", "a: b\n\n.c\n..\nd", "a: b\r\n\r\nx\r\r\n\ry", "\n\n\n", strings.Repeat(".\n", chunk)} {
		f.Add(text, 1)
	}
	f.Fuzz(func(t *testing.T, text string, lines int) {
		want := slow(text, lines)
		for _, r := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
			if got := converted(t, r, lines); got != want {
				t.Fatalf("%.200q, %d lines: %.200q, want %.200q", text, lines, got, want)
			}
		}
	})
}

// TestReadError: a message that cannot be read to its end is not ended.
func TestReadError(t *testing.T) {
	c := &converter{w: io.Discard, left: -1}
	if err := c.copyAll(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("abc")))); err == nil {
		t.Error("no error")
	}
}

func BenchmarkConvert(b *testing.B) {
	for name, line := range map[string]string{"lines": strings.Repeat("x", 72) + "\n", "CRLF": strings.Repeat("x", 72) + "\r\n", "dots": ".\n"} {
		b.Run(name, func(b *testing.B) {
			text := strings.Repeat(line, 1<<20/len(line))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				c := &converter{w: io.Discard, stuff: true}
				if err := c.copyAll(strings.NewReader(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
