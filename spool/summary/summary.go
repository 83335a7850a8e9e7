package summary

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/spool/message"
)

// Summary is what never changes of a message. All strings are valid UTF-8 and
// hold what the sender put there: control characters are among it.
type Summary struct {
	UID  uint32
	Size int64     // of the stored file, in bytes
	Wire int64     // with every line end as CRLF; -1 if it is not known
	Date time.Time // when it was delivered (INTERNALDATE), in seconds

	Marks     Marks
	Sent      string // the Date field in RFC 3339 with the sender's zone, or ""
	From      string // decoded; several addresses are separated by ", "
	Subject   string // decoded
	MessageID string // without angle brackets
	Preview   string // the beginning of the text on one line (RFC 8970)

	// Envelope and Body are IMAP's ENVELOPE and BODYSTRUCTURE as RFC 9051,
	// section 9 writes them, strings quoted; encoded words stand as they were.
	// They are "" if Marks says so, or if only list columns were asked for.
	Envelope, Body string
}

// Marks says what of a message is not in its summary.
type Marks uint8

// The marks and their letters in a segment.
const (
	CutFrom     Marks = 1 << iota // f: From was longer
	CutSubject                    // s
	CutID                         // i
	NoEnvelope                    // e: the envelope is too long to be kept
	LongBody                      // b: the body structure is too long to be kept
	UnknownBody                   // u: the message was not read to its end
)

const markLetters = "fsiebu"

func (m Marks) letters() string {
	if m == 0 {
		return "-"
	}
	var b []byte
	for i := range len(markLetters) {
		if m>>i&1 != 0 {
			b = append(b, markLetters[i])
		}
	}
	return string(b)
}

func marksOf(s string) (m Marks, ok bool) {
	if s != "-" {
		for i := range len(s) {
			m |= 1 << max(0, strings.IndexByte(markLetters, s[i]))
		}
	}
	return m, m.letters() == s
}

// The limits of what is kept of a message, in bytes.
const (
	maxFrom      = 400
	maxSubject   = 800
	maxID        = 250
	maxPreview   = 200
	maxStructure = 6 << 10 // of Envelope, and of Body
)

// Part is how much of a message is read when nobody needs its end.
const Part = 128 << 10

// Source is a stored message.
type Source struct {
	io.ReaderAt
	Size int64
	// Wire is the size with CRLF if it is known without reading, else -1: then
	// the message is read to its end.
	Wire int64
	// Whole asks for the body structure, whatever has to be read for it.
	Whole bool
}

// Of summarizes a message, of which it reads [Part], or all if that is more
// and s wants it. Bad content is no error: the only errors are those of s. UID
// and Date are the caller's to set. Time grows with what is read, memory does
// not grow beyond some MiB.
func Of(s Source) (*Summary, error) {
	n := s.Size
	if !s.Whole && s.Wire >= 0 {
		n = min(n, Part)
	}
	var r io.ReaderAt = s.ReaderAt
	var m *message.Message
	if n <= Part {
		b := make([]byte, n)
		if k, err := s.ReadAt(b, 0); k < len(b) {
			return nil, fmt.Errorf("read message: %w", err)
		}
		m, r = message.Scan(b), bytes.NewReader(b)
	} else {
		var sc message.Scanner
		if _, err := io.CopyBuffer(&sc, io.NewSectionReader(s, 0, n), make([]byte, Part)); err != nil {
			return nil, fmt.Errorf("read message: %w", err)
		}
		m = sc.Finish()
	}
	h, err := m.Root().ReadHeader(r)
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	out := &Summary{Size: s.Size, Wire: s.Wire}
	if n == s.Size {
		out.Wire = m.WireLen()
	}
	out.columns(h)
	out.Preview = preview(m, r)
	if out.Envelope = envelope(h); len(out.Envelope) > maxStructure || n < s.Size && m.Root().Header.End == n {
		out.Envelope, out.Marks = "", out.Marks|NoEnvelope
	}
	if n < s.Size {
		out.Marks |= UnknownBody
		return out, nil
	}
	if out.Body, err = bodyStructure(m, r); len(out.Body) > maxStructure {
		out.Body, out.Marks = "", out.Marks|LongBody
	}
	return out, err
}

// columns takes from the header what lists show.
func (s *Summary) columns(h message.Header) {
	fit := func(text string, limit int, mark Marks) string {
		if len(text) > limit {
			s.Marks |= mark
		}
		return cut(text, limit)
	}
	s.From = fit(Addresses(h, "From"), maxFrom, CutFrom)
	s.Subject = fit(h.Text("Subject"), maxSubject, CutSubject)
	s.MessageID = fit(valid(h.MessageID()), maxID, CutID)
	if d := h.Date(); !d.IsZero() {
		s.Sent = d.Format(time.RFC3339)
	}
}

// cut shortens s to n bytes, between two characters.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// valid reads text that declares no charset.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	b, _ := io.ReadAll(message.ToUTF8(strings.NewReader(s), ""))
	return string(b)
}

// Addresses returns the addresses in all fields with one name for people,
// separated by ", ", or the text of the first when there is no address in it.
func Addresses(h message.Header, name string) string {
	var b strings.Builder
	for _, a := range h.Addresses(name) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	if b.Len() == 0 {
		return h.Text(name)
	}
	return b.String()
}
