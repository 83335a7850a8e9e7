package message

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// outline writes a structure down with the contents of its leaves.
func outline(b []byte, e *Entity) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s/%s", e.Type, e.Subtype)
	if len(e.Children) == 0 {
		fmt.Fprintf(&out, "%q", b[e.Body.Start:e.Body.End])
		return out.String()
	}
	out.WriteByte('(')
	for i, c := range e.Children {
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(outline(b, c))
	}
	out.WriteByte(')')
	return out.String()
}

// check verifies what must hold for any message.
func check(t testing.TB, b []byte, m *Message) {
	t.Helper()
	if want := count(b, 0, int64(len(b))); m.Range != want {
		t.Fatalf("message %+v, want %+v", m.Range, want)
	}
	var flags Flags
	for i := range m.Entities {
		e := &m.Entities[i]
		flags |= e.Flags
		if e.Header.Start > e.Header.End || e.Header.End != e.Body.Start || e.Body.Start > e.Body.End {
			t.Fatalf("entity %d: header %v, body %v", i, e.Header, e.Body)
		}
		for _, r := range []Range{e.Header, e.Body} {
			if r.Start < 0 || r.End > int64(len(b)) || r != count(b, r.Start, r.End) {
				t.Fatalf("entity %d: %+v, want %+v", i, r, count(b, r.Start, r.End))
			}
		}
		if e.Type == "" || e.Subtype == "" || e.Encoding == "" {
			t.Fatalf("entity %d: empty type or encoding", i)
		}
		checkChildren(t, e)
	}
	if root := m.Root(); root.Parent != nil || root.Header.Start != 0 || root.Body.End != int64(len(b)) || flags != m.Flags {
		t.Fatalf("root %+v, flags %v of %v", root, flags, m.Flags)
	}
}

func checkChildren(t testing.TB, e *Entity) {
	t.Helper()
	at := e.Body.Start
	for _, c := range e.Children {
		if c.Parent != e || c.Depth != e.Depth+1 {
			t.Fatalf("child %+v of %+v", c, e)
		}
		if c.Header.Start < at || c.Body.End > e.Body.End {
			t.Fatalf("child %v to %v beyond %d or %v", c.Header, c.Body, at, e.Body)
		}
		at = c.Body.End
	}
	if len(e.Children) > 0 && !e.Multipart() && !e.Nested() {
		t.Fatalf("children in %s/%s", e.Type, e.Subtype)
	}
	if e.Nested() && len(e.Children) > 0 {
		if c := e.Children[0]; len(e.Children) != 1 || c.Header.Start != e.Body.Start || c.Body.End != e.Body.End {
			t.Fatalf("nested message %v to %v in %v", c.Header, c.Body, e.Body)
		}
	}
}

func count(b []byte, start, end int64) Range {
	b = b[start:end]
	lines := int64(bytes.Count(b, []byte("\n")))
	return Range{start, end, lines, lines - int64(bytes.Count(b, []byte("\r\n")))}
}

// chunked scans b in chunks whose sizes are taken in turn.
func chunked(b []byte, limits Limits, sizes ...int) *Message {
	s := Scanner{Limits: limits}
	for i := 0; len(b) > 0; i++ {
		n := min(max(sizes[i%len(sizes)], 1), len(b))
		chunk := bytes.Clone(b[:n])
		s.Write(chunk)
		clear(chunk) // the scanner must not look at it any more
		b = b[n:]
	}
	return s.Finish()
}

func same(t testing.TB, a, b *Message) {
	t.Helper()
	if len(a.Entities) != len(b.Entities) || a.Range != b.Range || a.Flags != b.Flags {
		t.Fatalf("%d entities %+v %v, want %d %+v %v", len(a.Entities), a.Range, a.Flags, len(b.Entities), b.Range, b.Flags)
	}
	for i := range a.Entities {
		x, y := a.Entities[i], b.Entities[i]
		if (x.Parent == nil) != (y.Parent == nil) || x.Parent != nil && x.Parent.Header != y.Parent.Header || len(x.Children) != len(y.Children) {
			t.Fatalf("entity %d hangs elsewhere", i)
		}
		x.Parent, y.Parent, x.Children, y.Children = nil, nil, nil, nil
		if !reflect.DeepEqual(x, y) {
			t.Fatalf("entity %d: %+v, want %+v", i, x, y)
		}
	}
}

var structures = []struct {
	name, in, want string
	flags          Flags
}{
	{"empty", "", `text/plain""`, NoBlankLine},
	{"blank line", "\n", `text/plain""`, 0},
	{"body only", "\r\nbody", `text/plain"body"`, 0},
	{"header only", "Subject: x\r\n", `text/plain""`, NoBlankLine},
	{"header cut", "Subject: x", `text/plain""`, NoBlankLine},
	{"no header, no blank line", "hello\nworld\n", `text/plain""`, NoBlankLine},
	{"text", "Subject: x\n\nbody\n", `text/plain"body\n"`, 0},
	{"doubled CR", "Subject: x\r\r\n\r\r\nbody\r\r\n", `text/plain"body\r\r\n"`, 0},
	{"bare CR is no line end", "Subject: x\r\rContent-Type: text/html\n\nb\rb", `text/plain"b\rb"`, 0},
	{"NUL and 8-bit", "Sub\x00ject: \xff\nX: \x00\n\n\x00\xfe", `text/plain"\x00\xfe"`, 0},
	{"mbox line", "From a@b Mon Jan  1 00:00:00 2024\nContent-Type: text/html\n\nb", `text/html"b"`, 0},
	{"quoted mbox line", ">From a@b Mon Jan  1 00:00:00 2024\nContent-Type: text/html\n\nb", `text/html"b"`, 0},
	{"junk line", "A: b\njunk\n junk\nContent-Type: text/html\n\nb", `text/html"b"`, 0},
	{"bad names", "A b: c\n\xe4: c\n: c\nContent-Type : text/html\n\nb", `text/html"b"`, 0},
	{"blank before header", " \nContent-Type: text/html\n\nb", `text/html"b"`, 0},
	{"folded type", "content-TYPE:\r\n TEXT/\r\n HTML;\r\n\tcharset=x\r\n\r\nb", `text/html"b"`, 0},
	{"first type counts", "Content-Type: text/html\nContent-Type: text/plain\n\nb", `text/html"b"`, 0},
	{"first type counts alone", "Content-Type: multipart/mixed; boundary=a\nContent-Type: z\n\n--a\n\none\n--a--\n", `multipart/mixed(text/plain"one")`, 0},
	{"header of a part cut", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/html\n--a--\n", `multipart/mixed(text/html"")`, NoBlankLine},
	{"long blank line", "A: b\n" + strings.Repeat("\r", maxField) + "\nbody", `text/plain"body"`, 0},
	{"too long blank line", "A: b\n" + strings.Repeat("\r", maxField+1) + "\nC: d\n", `text/plain""`, NoBlankLine},
	{"long delimiter", "Content-Type: multipart/mixed; boundary=a\n\n--a" + strings.Repeat(" ", maxDelimiter-3) + "\n\none\n--a--\n", `multipart/mixed(text/plain"one")`, 0},
	{"too long delimiter", "Content-Type: multipart/mixed; boundary=a\n\n--a\n\none\n--a" + strings.Repeat(" ", maxDelimiter-2) + "\n--a--\n",
		`multipart/mixed(text/plain"one\n--a` + strings.Repeat(" ", maxDelimiter-2) + `")`, 0},
	{"bad types", "Content-Type: text\n\nb", `text/plain"b"`, 0},
	{"multipart", "Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\n--b\nContent-Type: text/html\n\ntwo\n\n--b--\npost\n",
		`multipart/mixed(text/plain"one" text/html"two\n")`, 0},
	{"white space behind delimiters", "Content-Type: multipart/mixed; boundary=\"b \"\r\n\r\n--b \t\r\n\r\none\r\n--b--  \r\n",
		`multipart/mixed(text/plain"one")`, 0},
	{"closing at the end", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--", `multipart/mixed(text/plain"one")`, 0},
	{"no closing", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo\n", `multipart/mixed(text/plain"one" text/plain"two\n")`, NoClosing},
	{"no parts", "Content-Type: multipart/mixed; boundary=b\n\nnothing\n", `multipart/mixed"nothing\n"`, NoClosing},
	{"no boundary", "Content-Type: multipart/mixed\n\n--b\n\none\n--b--\n", `multipart/mixed"--b\n\none\n--b--\n"`, 0},
	{"empty boundary", "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\none\n----\n", `multipart/mixed"--\n\none\n----\n"`, 0},
	{"empty parts", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\nX: y\n--b\nX: y\n\n--b\n\n\n--b--\n",
		`multipart/mixed(text/plain"" text/plain"" text/plain"" text/plain"" text/plain"")`, NoBlankLine},
	{"long preamble line", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("-", 9000) + "\n--b\n\none\n--b--\n",
		`multipart/mixed(text/plain"one")`, 0},
	{"changing line ends", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\n\none\n--b\r\n\r\ntwo\r\n--b\n\nthree\r\n--b--\n",
		`multipart/mixed(text/plain"one" text/plain"two" text/plain"three")`, 0},
	{"prefix inside", "Content-Type: multipart/mixed; boundary=foo\n\n--foo\nContent-Type: multipart/mixed; boundary=foobar\n\n--foobar\n\none\n--foobar--\n--foo\n\ntwo\n--foo--\n",
		`multipart/mixed(multipart/mixed(text/plain"one") text/plain"two")`, 0},
	{"prefix outside", "Content-Type: multipart/mixed; boundary=foobar\n\n--foobar\nContent-Type: multipart/mixed; boundary=foo\n\n--foo\n\none\n--foobar\n\ntwo\n--foobar--\n",
		`multipart/mixed(multipart/mixed(text/plain"one") text/plain"two")`, NoClosing},
	{"changing line ends of delimiters", "Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\r\n--a\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\n--a--\n",
		`multipart/mixed(multipart/mixed(text/plain"one") multipart/mixed"--c--")`, 0},
	{"same boundary twice", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n",
		`multipart/mixed(multipart/mixed(text/plain"one") text/plain"two")`, 0},
	{"closing looks like another", "Content-Type: multipart/mixed; boundary=\"b--\"\n\n--b--\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b--\n\ntwo\n--b----\n",
		`multipart/mixed(multipart/mixed(text/plain"one") text/plain"two")`, 0},
	{"odd unquoted boundary", "Content-Type: multipart/mixed; boundary==_x:@/y?(1)\n\n--=_x:@/y?(1)\n\none\n--=_x:@/y?(1)--\n", `multipart/mixed(text/plain"one")`, 0},
	{"boundary with blanks", "Content-Type: multipart/mixed; boundary=a b c ; x=y\n\n--a b c\n\none\n--a b c--\n", `multipart/mixed(text/plain"one")`, 0},
	{"stray semicolons", "Content-Type: multipart/mixed; ; ;; foo; boundary=b;;\n\n--b\nContent-Type: text/plain; charset=utf-8; ;; foo\n\none\n--b--\n", `multipart/mixed(text/plain"one")`, 0},
	{"missing semicolon", "Content-Type: multipart/mixed boundary=b charset=x\n\n--b\n\none\n--b--\n", `multipart/mixed(text/plain"one")`, 0},
	{"quotes unclosed", "Content-Type: multipart/mixed; boundary=\"b; x=y\n\n--b\n\none\n--b--\n", `multipart/mixed(text/plain"one")`, 0},
	{"comments", "Content-Type: (a (b)) multipart (c) / mixed (d); boundary=b (e)\n\n--b\n\none\n--b--\n", `multipart/mixed(text/plain"one")`, 0},
	{"RFC 2231 boundary", "Content-Type: multipart/mixed; boundary*0=\"foo\";\n boundary*1*=%62ar; boundary*2=\"=\"\n\n--foobar=\n\none\n--foobar=--\n", `multipart/mixed(text/plain"one")`, 0},
	{"RFC 2231 charset in boundary", "Content-Type: multipart/mixed; boundary*=us-ascii'en'f%6Fo\n\n--foo\n\none\n--foo--\n", `multipart/mixed(text/plain"one")`, 0},
	{"message", "Content-Type: message/rfc822\n\nContent-Type: text/html\n\nbody", `message/rfc822(text/html"body")`, 0},
	{"encoded message", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==\n", `message/rfc822"QQ==\n"`, 0},
	{"global message", "Content-Type: message/global\nContent-Transfer-Encoding: 8bit\n\n\nbody", `message/global(text/plain"body")`, 0},
	{"other messages", "Content-Type: message/partial\n\nA: b\n\nbody", `message/partial"A: b\n\nbody"`, 0},
	{"empty message", "Content-Type: message/rfc822\n\n", `message/rfc822(text/plain"")`, NoBlankLine},
	{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\none\n--b\nContent-Type: text/plain\n\ntwo\n--b--\n",
		`multipart/digest(message/rfc822(text/plain"one") text/plain"two")`, 0},
	{"message ends at the outer delimiter", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n--b--\r\n",
		`multipart/mixed(message/rfc822(text/plain"") message/rfc822(text/plain""))`, NoBlankLine},
	{"encoded multipart is none", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\none\n--b--\n", `multipart/mixed(text/plain"one")`, 0},
	{"delimiter after the end", "Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n", `multipart/mixed(text/plain"one")`, 0},
	{"boundary that cannot be", "Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", MaxBoundary+1) + "\n\nbody", `multipart/mixed"body"`, 0},
}

func TestStructure(t *testing.T) {
	for _, test := range structures {
		t.Run(test.name, func(t *testing.T) {
			b := []byte(test.in)
			m := Scan(b)
			if got := outline(b, m.Root()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if m.Flags&^NoBlankLine != test.flags&^NoBlankLine {
				t.Errorf("flags %b, want %b", m.Flags, test.flags)
			}
			if test.flags == NoBlankLine && m.Flags != NoBlankLine {
				t.Errorf("flags %b, want %b", m.Flags, test.flags)
			}
			check(t, b, m)
			for size := 1; size < 9; size++ {
				same(t, chunked(b, Limits{}, size), m)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	b := []byte("A: b\r\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\ntwo\r\nthree\r\n--b--\n")
	m := Scan(b)
	if got, want := m.WireLen(), int64(len(bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n")))); got != want {
		t.Errorf("wire size %d, want %d", got, want)
	}
	part := m.Entities[1]
	if part.Body.Len() != 14 || part.Body.WireLen() != 15 || part.Body.Lines != 2 || part.Body.BareLF != 1 {
		t.Errorf("part %+v", part.Body)
	}
	if part.Header.Len() != 1 || part.Header.WireLen() != 2 {
		t.Errorf("header %+v", part.Header)
	}
}

func TestDescription(t *testing.T) {
	m := Scan([]byte("Content-Type: TEXT/Plain; CHARSET=\"UTF-8\"\nContent-Transfer-Encoding: \"Quoted_Printable\" (x)\n\n"))
	if e := m.Root(); e.Charset != "utf-8" || e.Encoding != "quoted-printable" {
		t.Errorf("%+v", e)
	}
	m = Scan([]byte("Content-Type: text/plain; charset*0*=us-asc; charset*1=ii\n\n"))
	if e := m.Root(); e.Charset != "us-ascii" {
		t.Errorf("%+v", e)
	}
}

func TestScannerIsReusable(t *testing.T) {
	s := Scanner{Limits: Limits{Parts: 3}}
	for range 3 {
		for _, test := range structures[:20] {
			s.Write([]byte(test.in))
			same(t, s.Finish(), chunked([]byte(test.in), Limits{Parts: 3}, 1<<20))
		}
	}
}
