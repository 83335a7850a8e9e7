package message

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"strings"
)

// generator writes well-formed mail; a string of bytes takes its decisions.
type generator struct {
	choices    []byte
	out        bytes.Buffer
	nl         string
	boundaries int
}

func generate(choices []byte) []byte {
	g := generator{choices: choices}
	g.nl = []string{"\r\n", "\n"}[g.choose(2)]
	g.field("Received", "from a by b;"+g.nl+"\tMon, 23 Nov 2026 10:00:00 +0000")
	g.field("Subject", []string{"plain", "=?utf-8?Q?gr=C3=BC=C3=9Fe?=", "=?iso-8859-1?B?Z3L832U=?= =?utf-8?q?_x?=", "grüße", ""}[g.choose(5)])
	g.field("from", "Joe <joe@example.org>")
	g.entity(0)
	return g.out.Bytes()
}

func (g *generator) choose(n int) int {
	if len(g.choices) == 0 {
		return 0
	}
	c := g.choices[0]
	g.choices = g.choices[1:]
	return int(c) % n
}

func (g *generator) field(name, value string) {
	fmt.Fprintf(&g.out, "%s: %s%s", name, value, g.nl)
}

// entity writes the MIME fields and the body, with no line end behind a leaf
// unless its text has one.
func (g *generator) entity(depth int) {
	kind := g.choose(6)
	if depth > 6 || len(g.choices) == 0 {
		kind %= 3
	}
	switch kind {
	case 0:
		g.out.WriteString(g.nl)
		g.out.WriteString(g.text())
	case 1:
		g.textPart()
	case 2:
		g.field("Content-Type", "application/octet-stream")
		g.encoded([]byte{0, 1, 2, '\r', '\n', byte(g.choose(256)), 0xff})
	case 3:
		g.field("Content-Type", "message/rfc822")
		g.out.WriteString(g.nl)
		g.field("Subject", "inner")
		g.entity(depth + 1)
	default:
		g.multipart(depth)
	}
}

func (g *generator) text() string {
	return strings.ReplaceAll([]string{
		"", "x", "line\n", "--\n-- \nsignature\n", "--foo\n--foob--\n", "\n\n", "From here\n.\n\tx ", strings.Repeat("long ", 1000) + "\n",
	}[g.choose(8)], "\n", g.nl)
}

func (g *generator) textPart() {
	charset := g.choose(4)
	name := []string{"utf-8", "ISO-8859-1", "koi8-r", "us-ascii"}[charset]
	extra := []string{"grüße\n", "gr\xfc\xdfe\n", "\xd0\xd2\xc9\xd7\xc5\xd4\n", "text\n"}[charset]
	g.field("Content-type", []string{
		"text/plain; charset=" + name,
		"text/html;" + g.nl + "\tcharset=\"" + name + "\"; format=flowed",
		"TEXT/Plain; charset*0=" + name[:3] + ";" + g.nl + " charset*1=" + name[3:],
	}[g.choose(3)])
	g.encoded([]byte(g.text() + strings.ReplaceAll(extra, "\n", g.nl)))
}

func (g *generator) encoded(body []byte) {
	switch g.choose(3) {
	case 0:
		g.field("Content-Transfer-Encoding", "base64")
		g.out.WriteString(g.nl)
		g.out.WriteString(base64.StdEncoding.EncodeToString(body))
	case 1:
		g.field("Content-Transfer-Encoding", "Quoted-Printable")
		g.out.WriteString(g.nl)
		var b bytes.Buffer
		w := quotedprintable.NewWriter(&b)
		w.Binary = true
		w.Write(body)
		w.Close()
		g.out.WriteString(strings.ReplaceAll(b.String(), "\r\n", g.nl))
	default:
		g.field("Content-Transfer-Encoding", "8bit")
		g.out.WriteString(g.nl)
		g.out.Write(body)
	}
}

func (g *generator) multipart(depth int) {
	g.boundaries++
	boundary := []string{"fooba", "=_x:@/y?", "a b"}[g.choose(3)] + strings.Repeat("r", g.boundaries)
	g.field("Content-Type", fmt.Sprintf("multipart/%s; boundary=\"%s\"", []string{"mixed", "alternative", "related"}[g.choose(3)], boundary))
	g.out.WriteString(g.nl)
	if g.choose(2) == 1 {
		g.out.WriteString("preamble" + g.nl)
	}
	for range 1 + g.choose(4) {
		g.out.WriteString("--" + boundary + g.nl)
		if g.choose(2) == 1 {
			g.field("X-Part", "folded"+g.nl+" value")
		}
		g.entity(depth + 1)
		g.out.WriteString(g.nl)
	}
	g.out.WriteString("--" + boundary + "--" + g.nl)
	if g.choose(2) == 1 {
		g.out.WriteString("epilogue" + g.nl)
	}
}
