package message

import (
	"bytes"
	"sync"
)

const (
	// MaxBoundary is the longest boundary, in bytes, that is recognised; RFC
	// 2046, section 5.1.1 allows 70. A multipart with a longer one is opaque.
	MaxBoundary = 1000

	// maxDelimiter is the longest line that can be a delimiter: boundary,
	// four hyphens and white space.
	maxDelimiter = 2048

	// maxField is how much of a header line, and of an unfolded
	// Content-Type, is looked at.
	maxField = 64 << 10
)

// Limits bounds what a Scanner looks into. What lies beyond a limit is treated
// as an opaque body and flagged. The zero value stands for the defaults.
type Limits struct {
	Depth  int   // nesting of entities below the message; 0 means 100
	Parts  int   // entities in all, the message included; 0 means 10,000
	Header int64 // bytes of one entity's header; 0 means 1 MiB
}

func (l *Limits) setDefaults() {
	if l.Depth <= 0 {
		l.Depth = 100
	}
	if l.Parts <= 0 {
		l.Parts = 10_000
	}
	if l.Header <= 0 {
		l.Header = 1 << 20
	}
}

// mark is a place in the message with the line ends counted up to it.
type mark struct{ off, lines, bare int64 }

// lineEnd returns the place behind a line of n bytes and its LF.
func (m mark) lineEnd(n int64, bare bool) mark {
	m.off += n + 1
	m.lines++
	if bare {
		m.bare++
	}
	return m
}

func (m mark) until(end mark) Range {
	return Range{m.off, end.off, end.lines - m.lines, end.bare - m.bare}
}

func earlier(a, b mark) mark {
	if b.off < a.off {
		return b
	}
	return a
}

func later(a, b mark) mark {
	if b.off > a.off {
		return b
	}
	return a
}

// Scanner finds the structure of one message that is written to it. The zero
// value is ready for use; Limits may be set before the first Write. Memory is
// bounded by the limits, not by the message. A Scanner must not be used by two
// goroutines at once.
type Scanner struct {
	Limits Limits

	pos      mark // behind the last complete line
	lastBare bool // that line ended in a bare LF

	part    []byte // prefix of the unfinished line, see keep
	partLen int64  // length of the unfinished line so far
	partCR  bool   // its last byte is a CR

	begun    bool
	inHeader bool // the innermost open entity is in its header
	fields   fields
	frames   []frame        // open entities, outermost first
	open     map[string]int // boundary to the innermost frame that waits for it
	entities []Entity
	parents  []int32 // index of each entity's parent
}

// Scan returns the structure of the message b within the default limits. It
// does not copy b and keeps no reference to it.
func Scan(b []byte) *Message {
	s := scanners.Get().(*Scanner)
	defer scanners.Put(s)
	s.Write(b)
	return s.Finish()
}

var scanners = sync.Pool{New: func() any { return new(Scanner) }}

// Write takes the next bytes of the message. It keeps no reference to p and
// always returns len(p) and nil.
func (s *Scanner) Write(p []byte) (int, error) {
	s.begin()
	n := len(p)
	if s.partLen > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.hold(p)
			return n, nil
		}
		s.hold(p[:i])
		s.line(s.part, s.partLen, !s.partCR)
		s.drop()
		p = p[i+1:]
	}
	for len(p) > 0 {
		if !s.inHeader {
			p = p[s.skipBody(p):]
		}
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		s.line(p[:i], int64(i), i == 0 || p[i-1] != '\r')
		p = p[i+1:]
	}
	s.hold(p)
	return n, nil
}

// Finish ends the message and returns its structure. The Scanner is then ready
// for the next message, with the same limits.
func (s *Scanner) Finish() *Message {
	s.begin()
	if s.partLen > 0 {
		s.lastLine(s.part, s.partLen)
		s.drop()
	}
	end := s.pos
	s.closeFrames(0, end)
	m := &Message{Range: mark{}.until(end), Entities: s.entities}
	link(m, s.parents)
	*s = Scanner{
		Limits: s.Limits, part: s.part, frames: s.frames,
		parents: s.parents[:0], fields: s.fields, open: s.open,
	}
	return m
}

func (s *Scanner) begin() {
	if s.begun {
		return
	}
	s.begun = true
	s.Limits.setDefaults()
	s.push(-1, mark{})
}

// skipBody passes over lines that cannot be delimiters and returns how many
// bytes they have. It stops before a line that begins with "--" while a
// boundary is open, and before an unfinished line.
func (s *Scanner) skipBody(p []byte) int {
	watch := len(s.open) > 0
	off, lines, bare := 0, int64(0), int64(0)
	lastBare := s.lastBare
	for off < len(p) {
		if watch && p[off] == '-' && off+1 < len(p) && p[off+1] == '-' {
			break
		}
		i := 0
		if p[off] != '\n' { // empty lines are not worth a call
			i = bytes.IndexByte(p[off:], '\n')
		}
		if i < 0 {
			break
		}
		lastBare = i == 0 || p[off+i-1] != '\r'
		if lastBare {
			bare++
		}
		lines++
		off += i + 1
	}
	s.pos.off += int64(off)
	s.pos.lines += lines
	s.pos.bare += bare
	s.lastBare = lastBare
	return off
}

// line takes a complete line of n bytes without its LF. The prefix holds all
// of it, or at least as much as keep asks for.
func (s *Scanner) line(prefix []byte, n int64, bare bool) {
	start := s.pos
	next := start.lineEnd(n, bare)
	if s.isDelimiter(prefix, n, start, next) {
		s.pos, s.lastBare = next, bare
		return
	}
	s.pos, s.lastBare = next, bare
	if s.inHeader {
		s.headerLine(prefix, n, start)
	}
}

// lastLine takes a line that the end of the message cut off before its LF.
func (s *Scanner) lastLine(prefix []byte, n int64) {
	start := s.pos
	next := start
	next.off += n
	if s.isDelimiter(prefix, n, start, next) {
		s.pos = next
		return
	}
	s.pos = next
	if s.inHeader {
		s.headerText(prefix, start)
	}
}

// hold remembers what is needed of an unfinished line.
func (s *Scanner) hold(p []byte) {
	if len(p) == 0 {
		return
	}
	if room := s.keep() - len(s.part); room > 0 {
		s.part = append(s.part, p[:min(room, len(p))]...)
	}
	s.partLen += int64(len(p))
	s.partCR = p[len(p)-1] == '\r'
}

// keep tells how many bytes at a line's beginning can matter.
func (s *Scanner) keep() int {
	switch {
	case s.inHeader:
		return maxField
	case len(s.open) > 0:
		return maxDelimiter
	}
	return 0
}

func (s *Scanner) drop() {
	s.part, s.partLen, s.partCR = s.part[:0], 0, false
}
