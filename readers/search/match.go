package search

import (
	"bytes"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/message"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// fold makes texts comparable that differ in case or in how accents are put
// together, as RFC 5051 has it.
func fold(s string) string {
	ascii := true
	for i := 0; i < len(s) && ascii; i++ {
		ascii = s[i] < utf8.RuneSelf
	}
	if ascii {
		return strings.ToLower(s)
	}
	return norm.NFKD.String(foldCase(norm.NFKD.String(s)))
}

// foldCase is Unicode's full case folding of what NFKD leaves, where only sharp s
// becomes two letters. Each letter is replaced by the first in the ring of those that
// differ in case. The tables of golang.org/x/text/cases are filled whenever a
// process starts, even one that delivers a message.
func foldCase(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == 'ß' || r == 'ẞ' {
			b.WriteString("ss")
			continue
		}
		first := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			first = min(first, next)
		}
		b.WriteRune(unicode.To(unicode.LowerCase, first))
	}
	return b.String()
}

func contains(text, part string) bool { return strings.Contains(fold(text), fold(part)) }

// file is an open message.
type file struct {
	netfs.File
	size   int64
	header message.Header
	msg    *message.Message
	err    error
}

func openFile(f netfs.File) (*file, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	var s message.Scanner
	if _, err := io.CopyBuffer(&s, io.NewSectionReader(f, 0, size), make([]byte, summary.Part)); err != nil {
		return nil, err
	}
	o := &file{File: f, size: size, msg: s.Finish()}
	o.header, err = o.msg.Root().ReadHeader(f)
	return o, err
}

var fieldNames = map[Op]string{From: "From", To: "To", Cc: "Cc", Bcc: "Bcc"}

// has tells whether the text of k is where k says.
func (f *file) has(k *Key) bool {
	switch k.Op {
	case From, To, Cc, Bcc:
		return contains(summary.Addresses(f.header, fieldNames[k.Op]), k.Text)
	case Subject:
		return contains(f.header.Text("Subject"), k.Text)
	case Header:
		for v := range f.header.Named(k.Name) {
			if contains(message.DecodeText(f.header.Value(v)), k.Text) {
				return true
			}
		}
		return false
	case Text:
		for v := range f.header.Fields() {
			line := f.header.Name(v) + ": " + message.DecodeText(f.header.Value(v))
			if contains(line, k.Text) {
				return true
			}
		}
	}
	return f.body(k.Text)
}

// body looks for a text in all parts that are text.
func (f *file) body(part string) bool {
	part = fold(part)
	for i := range f.msg.Entities {
		e := &f.msg.Entities[i]
		if e.Type != "text" && !(e.Type == "message" && !e.Nested()) {
			continue
		}
		found, err := inStream(e.Text(f), part)
		if err != nil {
			f.err = err
		}
		if found || err != nil {
			return found
		}
	}
	return false
}

// inStream looks for a folded text in what r yields, in bounded memory. What
// two pieces share is read in both: folding makes no text longer than twelve
// times, nor shorter than a third.
func inStream(r io.Reader, part string) (bool, error) {
	keep := 3*len(part) + 64
	buf := make([]byte, 0, 64<<10+2*keep)
	for {
		n, err := io.ReadAtLeast(r, buf[len(buf):cap(buf)], 1)
		buf = buf[:len(buf)+n]
		if err != nil || cap(buf)-len(buf) < keep {
			if strings.Contains(fold(string(buf)), part) {
				return true, nil
			}
			rest := buf[max(0, len(buf)-keep):]
			for len(rest) > 0 && !utf8.RuneStart(rest[0]) {
				rest = rest[1:]
			}
			buf = append(buf[:0], bytes.Clone(rest)...)
		}
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
}
