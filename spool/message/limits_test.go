package message

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
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

// TestLinear scans mail made to be slow, with limits that let everything
// through. Quadratic behaviour would take minutes.
func TestLinear(t *testing.T) {
	const n = 20_000
	limits := Limits{Depth: 10 * n, Parts: 10 * n}
	deep := nested(n)
	opened := deep[:bytes.Index(deep, []byte("\r\nbody"))]
	same := strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n--b\n", n)
	for name, in := range map[string][]byte{
		"nested":         deep,
		"all open":       opened,
		"no delimiters":  append(bytes.Clone(opened), strings.Repeat("\n--none", 20*n)...),
		"last delimiter": append(bytes.Clone(opened), strings.Repeat(fmt.Sprintf("\n--b%d", n-1), 10*n)...),
		"outermost":      append(bytes.Clone(opened), "\n--b0\n\nbody\n--b0--\n"...),
		"one boundary":   []byte(same + strings.Repeat("--b--\n", n)),
		"messages":       []byte(strings.Repeat("Content-Type: message/rfc822\n\n", n)),
		"header words":   []byte("Content-Type: text/plain; " + strings.Repeat("charset*1=x;", n)),
		"open comments":  []byte("Content-Type: text/plain; " + strings.Repeat("(", 3*n)),
		"open quotes":    []byte("Content-Type: text/plain; " + strings.Repeat(`a="\";`, n)),
	} {
		start := time.Now()
		s := Scanner{Limits: limits}
		s.Write(in)
		s.Finish()
		if took := time.Since(start); took > time.Minute { // squared it would be many
			t.Errorf("%s: %v for %d bytes", name, took, len(in))
		}
	}
}

// TestHelpersLinear gives fields of 256 KiB, made to be slow, to all that reads
// fields.
func TestHelpersLinear(t *testing.T) {
	const n = 256 << 10
	for _, unit := range []string{
		`=?`, `=?a?q?x`, `=?a?x?`, `=?a?q?x?=`, `=?a?q?x?= `, `=?utf-8?b?w7Y=?=`, `=?a`, `"`, `"\`, `\"`, `<"`, `<@`, `<@,`, `<a,`, `<`, `(`, `("`, `()`, `[`, `[a`,
		`@`, `a@b,`, `a `, `:`, `g:;`, `;`, `,`, `a=`, `a=";`, `a="\";`, `a*0=b;`, `a*=b''c;`, `;;`, "\xff", "\r\n ", `a=b c `, `<x,("y)`, ` . `, `%`,
	} {
		value := strings.Repeat(unit, n/len(unit))
		h := Header("X: " + value + "\r\n")
		start := time.Now()
		h.Text("X")
		for _, a := range h.Addresses("X") {
			_ = a.Addr()
		}
		h.Get("X")
		ParseMessageIDs(value)
		ParseDate(value)
		NormalEncoding(value)
		params := ParseMediaType("a/b;" + value).Params
		params.All()
		params.Get("a")
		ParseDisposition(value)
		Scan([]byte("Content-Type: multipart/mixed;" + value))
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%q: %v", unit, took)
		} else if took > 300*time.Millisecond {
			t.Logf("%q: %v", unit, took)
		}
	}
}
