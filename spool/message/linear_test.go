package message

import (
	"bytes"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// slow is mail made to be slow, about n pieces of it, by name.
func slow(n int) map[string][]byte {
	deep := nested(n)
	opened := deep[:bytes.Index(deep, []byte("\r\nbody"))]
	same := strings.Repeat("Content-Type: multipart/mixed; boundary=b\n\n--b\n", n)
	return map[string][]byte{
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
	}
}

// slowUnits are what fields are made of to be slow.
var slowUnits = []string{
	`=?`, `=?a?q?x`, `=?a?x?`, `=?a?q?x?=`, `=?a?q?x?= `, `=?utf-8?b?w7Y=?=`, `=?a`, `"`, `"\`, `\"`, `<"`, `<@`, `<@,`, `<a,`, `<`, `(`, `("`, `()`, `[`, `[a`,
	`@`, `a@b,`, `a `, `:`, `g:;`, `;`, `,`, `a=`, `a=";`, `a="\";`, `a*0=b;`, `a*=b''c;`, `;;`, "\xff", "\r\n ", `a=b c `, `<x,("y)`, ` . `, `%`,
}

func scanAll(in []byte, n int) *Message {
	s := Scanner{Limits: Limits{Depth: 10 * n, Parts: 10 * n}}
	s.Write(in)
	return s.Finish()
}

// readField gives a field's value to all that reads fields, and returns it as
// text.
func readField(value string) (text string) {
	h := Header("X: " + value + "\r\n")
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
	return h.Text("X")
}

// Mail made to be slow, with limits that let everything through, is scanned to
// its end. BenchmarkLinear tells how fast.
func TestSlowMail(t *testing.T) {
	const n = 5000
	for name, in := range slow(n) {
		m := scanAll(in, n)
		deep := !strings.Contains(name, " ") && name != "messages" || name == "one boundary"
		if m.Len() != int64(len(in)) || deep && len(m.Entities) < n {
			t.Errorf("%s: %d of %d bytes, %d entities", name, m.Len(), len(in), len(m.Entities))
		}
	}
}

// Fields made to be slow are read to their end, as text.
func TestSlowFields(t *testing.T) {
	const n = 32 << 10
	for _, unit := range slowUnits {
		if text := readField(strings.Repeat(unit, n/len(unit))); !utf8.ValidString(text) || len(text) > 3*n {
			t.Errorf("%q: %d bytes of text", unit, len(text))
		}
	}
}

// BenchmarkLinear compares how long eight times as much takes as once: eight
// times as long where the work is linear, 64 times where it is squared. It
// reports the ratio.
func BenchmarkLinear(b *testing.B) {
	compare := func(b *testing.B, once, eightfold func()) {
		ratio := 0.0
		for b.Loop() {
			ratio = float64(shortest(eightfold)) / float64(shortest(once))
		}
		b.ReportMetric(ratio, "times-as-long")
	}
	const n, size = 2500, 32 << 10
	once, eightfold := slow(n), slow(8*n)
	for _, name := range slices.Sorted(maps.Keys(once)) {
		b.Run("mail/"+name, func(b *testing.B) {
			compare(b, func() { scanAll(once[name], n) }, func() { scanAll(eightfold[name], 8*n) })
		})
	}
	for _, unit := range slowUnits {
		b.Run(fmt.Sprintf("field/%q", unit), func(b *testing.B) {
			value := strings.Repeat(unit, 8*size/len(unit))
			compare(b, func() { readField(value[:size]) }, func() { readField(value) })
		})
	}
}

// shortest is how long f takes at its fastest.
func shortest(f func()) time.Duration {
	best := time.Hour
	for range 5 {
		runtime.GC()
		start := time.Now()
		f()
		best = min(best, time.Since(start))
	}
	return best
}
