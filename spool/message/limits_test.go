package message

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// nested builds multiparts within each other, all of them closed.
func nested(depth int) []byte {
	var b bytes.Buffer
	for i := range depth {
		fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i, i)
	}
	b.WriteString("\r\nbody\r\n")
	for i := range depth {
		fmt.Fprintf(&b, "--b%d--\r\n", depth-1-i)
	}
	return b.Bytes()
}

// flat builds one multipart with many parts.
func flat(parts int) []byte {
	return []byte("Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nbody\n", parts) + "--b--\n")
}

func TestDepthLimit(t *testing.T) {
	for _, in := range [][]byte{
		nested(10_000),
		bytes.Repeat([]byte("Content-Type: message/rfc822\n\n"), 10_000),
	} {
		m := Scan(in)
		check(t, in, m)
		last := m.Entities[len(m.Entities)-1]
		if len(m.Entities) != 101 || m.Flags&DepthLimit == 0 || last.Depth != 100 || last.Flags&DepthLimit == 0 {
			t.Errorf("%d entities, flags %b, last %+v", len(m.Entities), m.Flags, last)
		}
		same(t, chunked(in, Limits{}, 4096, 3), m)
	}
}

func TestPartsLimit(t *testing.T) {
	in := flat(20_000)
	m := Scan(in)
	check(t, in, m)
	if root := m.Root(); len(root.Children) != 9_999 || m.Flags != PartsLimit || root.Flags != PartsLimit {
		t.Errorf("%d children, flags %b", len(root.Children), m.Flags)
	}
	if in = flat(9_999); Scan(in).Flags != 0 {
		t.Error("a limit was reached too early")
	}
	in = []byte("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nbody")
	if m := chunked(in, Limits{Parts: 2}, 7); len(m.Entities) != 2 || m.Flags != PartsLimit {
		t.Errorf("%d entities, flags %b", len(m.Entities), m.Flags)
	}
}

func TestHeaderLimit(t *testing.T) {
	limits := Limits{Header: 30}
	for _, test := range []struct {
		in   string
		want int64
	}{
		{"Subject: a line longer than 30 bytes\n\nbody", 0},
		{"A: b\nSubject: a line longer than 30 bytes\n\nbody", 5},
		{"Content-Type: text/html; charset=\n utf-8\n\nbody", 0},
		{"Content-Type: text/html\nX: y\nZ: z\n\n", 29},
	} {
		b := []byte(test.in)
		m := chunked(b, limits, 11)
		check(t, b, m)
		if m.Flags&HeaderLimit == 0 || m.Root().Header.End != test.want {
			t.Errorf("%q: %+v", test.in, m.Root())
		}
	}
	b := []byte("Content-Type: text/html\nA: b\n\n")
	if m := chunked(b, limits, 100); m.Flags != 0 {
		t.Errorf("29 and a blank line: flags %b", m.Flags)
	}
	if m := chunked([]byte("Content-Type: text/html\nA: bc\n\n"), limits, 100); m.Flags != 0 {
		t.Errorf("30 and a blank line: flags %b", m.Flags)
	}
	b = []byte("Content-Type: multipart/a;boundary=b\nX: y\n\n--b\n\none\n--b--\n")
	if m := chunked(b, Limits{Header: 40}, 100); len(m.Entities) != 1 || m.Flags != HeaderLimit {
		t.Errorf("%d entities, flags %b", len(m.Entities), m.Flags)
	}
	b = []byte("Content-Type: multipart/mixed;\n boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c; x=y\n\n--c\n\nx\n--c--\n--b\n\ntwo\n--b--\n")
	m := chunked(b, Limits{Header: 44}, 5)
	if got := outline(b, m.Root()); !strings.HasSuffix(got, ` text/plain"two")`) || m.Flags != HeaderLimit {
		t.Errorf("%s, flags %b", got, m.Flags)
	}
}

// TestHugeLines streams lines of 100 MB through the scanner: as a header, as a
// body, and where a delimiter could be.
func TestHugeLines(t *testing.T) {
	const multipart = "Content-Type: multipart/mixed; boundary=b\n\n"
	chunk := bytes.Repeat([]byte("-"), 1<<20)
	for _, test := range []struct {
		name, before, after string
		entities            int
		flags               Flags
	}{
		{"no header", "", "\n\nbody", 1, HeaderLimit},
		{"a field", "Subject: ", "\n\nbody", 1, HeaderLimit},
		{"a type", "Content-Type: multipart/mixed; boundary=", "\n\nbody", 1, HeaderLimit},
		{"body", "A: b\n\n", "", 1, 0},
		{"preamble", multipart, "\n--b\n\nx\n--b--\n", 2, 0},
		{"part", multipart + "--b\n\n", "\n--b--\n", 2, 0},
		{"header of a part", multipart + "--b\nX: ", "\n--b--\n", 2, HeaderLimit},
		{"no delimiter", multipart + "--b", "\n--b--\n", 1, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var s Scanner
			s.Write([]byte(test.before))
			for range 100 {
				s.Write(chunk)
			}
			s.Write([]byte(test.after))
			m := s.Finish()
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 1<<20 {
				t.Errorf("%d bytes allocated", got)
			}
			if want := int64(len(test.before) + 100<<20 + len(test.after)); m.Len() != want || len(m.Entities) != test.entities || m.Flags != test.flags {
				t.Errorf("%d bytes, %d entities, flags %b", m.Len(), len(m.Entities), m.Flags)
			}
		})
	}
}
