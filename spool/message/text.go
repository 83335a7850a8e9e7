package message

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// DecodeText decodes the text of an unfolded header field: encoded words (RFC
// 2047) wherever they stand, raw UTF-8 (RFC 6532) and, byte by byte where it is
// not UTF-8, windows-1252. An encoded word in an unknown charset is read the
// same way. The result is valid UTF-8; it may hold control characters.
func DecodeText(s string) string {
	if !strings.Contains(s, "=?") {
		return plainText(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	d := wordScanner{s: s}
	for {
		w, ok := d.next()
		b.WriteString(plainText(d.between))
		if !ok {
			return b.String()
		}
		b.WriteString(decodeString(w.text, w.charset))
	}
}

// plainText returns text that declares no charset as UTF-8.
func plainText(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return decodeString(s, "")
}

// word is one or several adjacent encoded words of one charset. They are
// joined before the charset is converted: many programs cut in the middle of a
// character.
type word struct{ charset, text string }

type wordScanner struct {
	s       string
	pos     int
	between string // what stands before the word; empty if only blanks between two words
	noEnd   bool   // there is no further "?="
}

// next finds the next encoded words. When there are none, between is the rest.
func (d *wordScanner) next() (w word, ok bool) {
	start, end, w := d.find(d.pos)
	if start < 0 {
		d.between = d.s[d.pos:]
		return w, false
	}
	d.between = d.s[d.pos:start]
	if d.pos > 0 && strings.Trim(d.between, " \t\r\n") == "" {
		d.between = ""
	}
	var joined []string
	for {
		s, e, more := d.find(end)
		if s < 0 || more.charset != w.charset || strings.Trim(d.s[end:s], " \t\r\n") != "" {
			break
		}
		joined = append(joined, more.text)
		end = e
	}
	d.pos = end
	if joined != nil {
		w.text += strings.Join(joined, "")
	}
	return w, true
}

// find returns the first encoded word at or after an offset; start is -1 when
// there is none.
func (d *wordScanner) find(at int) (start, end int, w word) {
	for !d.noEnd {
		i := strings.Index(d.s[at:], "=?")
		if i < 0 {
			break
		}
		start = at + i
		if end, w, ok := d.parse(start + 2); ok {
			return start, end, w
		}
		at = start + 1
	}
	return -1, -1, w
}

// maxCharset is the longest charset name that is believed.
const maxCharset = 100

// parse reads "charset?encoding?text?=". The text may hold blanks and question
// marks, although it should not.
func (d *wordScanner) parse(at int) (end int, w word, ok bool) {
	head := d.s[at:min(len(d.s), at+maxCharset)]
	charset, rest, found := strings.Cut(head, "?")
	if !found || charset == "" || len(rest) < 2 || rest[1] != '?' || strings.ContainsAny(charset, " \t()<>@,;:\"/[]=") {
		return 0, w, false
	}
	isQ := rest[0]|0x20 == 'q'
	if !isQ && rest[0]|0x20 != 'b' {
		return 0, w, false
	}
	text := at + len(charset) + 3
	i := strings.Index(d.s[text:], "?=")
	if i < 0 {
		d.noEnd = true
		return 0, w, false
	}
	w.charset, _, _ = strings.Cut(charset, "*") // RFC 2231, section 5: a language may follow
	w.charset = strings.ToLower(w.charset)
	raw := d.s[text : text+i]
	if isQ {
		w.text = decodeQ(raw)
	} else {
		w.text = decodeB(raw)
	}
	return text + i + 2, w, true
}

func decodeQ(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '_':
			b = append(b, ' ')
		case c == '=' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func decodeB(s string) string {
	if b, err := base64.StdEncoding.DecodeString(s); err == nil {
		return string(b)
	}
	var d base64State
	return string(d.finish(d.decode(nil, []byte(s))))
}
