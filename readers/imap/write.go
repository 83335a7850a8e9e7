package imap

import (
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool"
)

func appendNumber(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }

// appendString writes a quoted string, or a literal where a quoted one cannot
// hold it.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c == '\r' || c == '\n' || c == 0 {
			b = append(b, '{')
			b = appendNumber(b, uint64(len(s)))
			b = append(b, "}\r\n"...)
			return append(b, s...)
		}
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// appendAstring writes a word, quoted where it must be.
func appendAstring(b []byte, s string) []byte {
	for i := range len(s) {
		if !isAtom(s[i]) {
			return appendString(b, s)
		}
	}
	if s == "" {
		return append(b, `""`...)
	}
	return append(b, s...)
}

// appendStrings writes what a summary has, in which strings are quoted. Before
// UTF-8 is enabled a quoted string is ASCII (RFC 3501 §4.3), so others become
// literals.
func (x *session) appendStrings(b []byte, s string) []byte {
	if x.utf8 || isASCII(s) {
		return append(b, s...)
	}
	for s != "" {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			return append(b, s...)
		}
		b = append(b, s[:i]...)
		text, length := unquote(s[i:])
		if s = s[i+length:]; isASCII(text) {
			b = appendString(b, text)
			continue
		}
		b = append(b, '{')
		b = appendNumber(b, uint64(len(text)))
		b = append(b, "}\r\n"...)
		b = append(b, text...)
	}
	return b
}

// unquote reads the quoted string with which s begins, and tells its length
// there.
func unquote(s string) (text string, length int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), len(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// systemFlags are those of IMAP that Maildir has.
var systemFlags = []struct {
	flag spool.Flags
	name string
}{
	{spool.Answered, `\Answered`}, {spool.Flagged, `\Flagged`}, {spool.Deleted, `\Deleted`},
	{spool.Seen, `\Seen`}, {spool.Draft, `\Draft`},
}

// forwarded is the keyword (RFC 5788) for which Maildir has a letter.
const forwarded = "$Forwarded"

func appendFlags(b []byte, m *spool.Message) []byte {
	b = append(b, '(')
	start := len(b)
	add := func(name string) {
		if len(b) > start {
			b = append(b, ' ')
		}
		b = append(b, name...)
	}
	for _, f := range systemFlags {
		if m.Flags&f.flag != 0 {
			add(f.name)
		}
	}
	if m.Flags&spool.Passed != 0 {
		add(forwarded)
	}
	for _, k := range m.Keywords {
		add(k)
	}
	return append(b, ')')
}

func appendTime(b []byte, t time.Time) []byte {
	return t.AppendFormat(b, `"02-Jan-2006 15:04:05 -0700"`)
}
