package readers

import (
	"io"
	"strings"
	"unicode/utf8"
)

// replacement stands for every character that is not let through.
const replacement = "\ufffd"

var replacementBytes = []byte(replacement)

// SafeWriter returns a writer that passes text on to w with everything taken
// out that could steer a terminal or hide what is written: C0 controls other
// than newline and tab, DEL, C1 controls (as U+0080 to U+009F and as raw
// bytes), invalid UTF-8, and the characters that change the direction of text
// (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069). Each of them
// becomes U+FFFD; carriage returns before a newline are dropped. What is
// written to w is valid UTF-8.
//
// Characters may be split over several writes. Close writes what is left of an
// unfinished one and leaves w open; a Write after it begins afresh. Write
// returns the number of bytes taken from its argument and the first error of
// w, which every later call repeats. A SafeWriter must not be used by two
// goroutines at once.
func SafeWriter(w io.Writer) io.WriteCloser { return &safeWriter{w: w} }

type safeWriter struct {
	w    io.Writer
	err  error
	out  []byte
	part [utf8.UTFMax]byte // beginning of a character
	n    int               // bytes in part
	crs  int64             // carriage returns whose fate the next byte decides
}

const safeBuffer = 4 << 10

// Write implements io.Writer.
func (s *safeWriter) Write(p []byte) (int, error) {
	total := len(p)
	for s.n > 0 && len(p) > 0 && s.err == nil {
		s.part[s.n] = p[0]
		s.n++
		p = p[1:]
		if utf8.FullRune(s.part[:s.n]) {
			n := s.n
			s.n = 0
			s.take(s.part[:n])
		}
	}
	s.take(p)
	s.flush()
	if s.err != nil {
		return 0, s.err
	}
	return total, nil
}

// Close implements io.Closer.
func (s *safeWriter) Close() error {
	s.breakCRs()
	if s.n > 0 {
		s.put(replacementBytes)
		s.n = 0
	}
	s.flush()
	return s.err
}

// take filters p and keeps an unfinished character at its end.
func (s *safeWriter) take(p []byte) {
	for len(p) > 0 && s.err == nil {
		if run := printableRun(p); run > 0 {
			s.breakCRs()
			s.put(p[:min(run, safeBuffer)])
			p = p[min(run, safeBuffer):]
			continue
		}
		switch c := p[0]; {
		case c == '\r':
			s.crs++
			p = p[1:]
			continue
		case c == '\n':
			s.crs = 0
			s.put(p[:1])
			p = p[1:]
			continue
		}
		if !utf8.FullRune(p) {
			s.n = copy(s.part[:], p)
			return
		}
		s.breakCRs()
		r, size := utf8.DecodeRune(p)
		if forbidden(r) || r == utf8.RuneError {
			s.put(replacementBytes)
		} else {
			s.put(p[:size])
		}
		p = p[size:]
	}
}

// printableRun returns how many bytes p has before one to look at closely.
func printableRun(p []byte) int {
	for i, c := range p {
		if (c < ' ' && c != '\t') || c >= 0x7f {
			return i
		}
	}
	return len(p)
}

// breakCRs replaces carriage returns that no newline followed.
func (s *safeWriter) breakCRs() {
	for ; s.crs > 0 && s.err == nil; s.crs-- {
		s.put(replacementBytes)
	}
}

func (s *safeWriter) put(text []byte) {
	if len(s.out)+len(text) > safeBuffer {
		s.flush()
	}
	s.out = append(s.out, text...)
}

func (s *safeWriter) flush() {
	if len(s.out) > 0 && s.err == nil {
		_, s.err = s.w.Write(s.out)
	}
	s.out = s.out[:0]
}

// forbidden tells whether a character is not let through. Newline and tab are
// for the caller to allow.
func forbidden(r rune) bool {
	switch {
	case r < ' ' || 0x7f <= r && r <= 0x9f:
		return r != '\n' && r != '\t'
	case r == 0x061c || r == 0x200e || r == 0x200f:
		return true
	case 0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069:
		return true
	}
	return false
}

// SafeLine returns s as SafeWriter would write it, on a single line: newlines,
// tabs and the line and paragraph separators of Unicode become spaces.
func SafeLine(s string) string {
	if printableRun([]byte(s)) == len(s) && strings.IndexByte(s, '\t') < 0 {
		return s
	}
	var b strings.Builder
	w := SafeWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return oneLine.Replace(b.String())
}

var oneLine = strings.NewReplacer("\n", " ", "\t", " ", "\u2028", " ", "\u2029", " ")
