package message

import (
	"slices"
	"strconv"
	"strings"
)

// MediaType is the parsed value of a Content-Type field (RFC 2045, section 5.1).
type MediaType struct {
	Type, Subtype string // lower case, never empty
	Params        Params
}

// maxToken is the longest type or subtype that is believed; RFC 6838, section
// 4.2 allows 127.
const maxToken = 127

// ParseMediaType reads the value of a Content-Type field. A value without a
// type and a subtype counts as text/plain, as RFC 2045, section 5.2 suggests.
func ParseMediaType(value string) MediaType {
	typ, rest := cutToken(skipSpace(value))
	rest = skipSpace(rest)
	if typ == "" || !strings.HasPrefix(rest, "/") {
		return MediaType{"text", "plain", afterSemicolon(value)}
	}
	sub, rest := cutToken(skipSpace(rest[1:]))
	if sub == "" || len(typ) > maxToken || len(sub) > maxToken {
		return MediaType{"text", "plain", afterSemicolon(value)}
	}
	return MediaType{strings.ToLower(typ), strings.ToLower(sub), Params(rest)}
}

// ParseDisposition reads the value of a Content-Disposition field (RFC 2183).
// The disposition is in lower case, and empty when there is none.
func ParseDisposition(value string) (disposition string, params Params) {
	first, rest := cutToken(skipSpace(value))
	return strings.ToLower(first), Params(rest)
}

func afterSemicolon(value string) Params {
	_, rest, _ := strings.Cut(value, ";")
	return Params(rest)
}

// Params is the unparsed rest of a structured field: parameters as RFC 2045,
// section 5.1 and RFC 2231 have them, in any state of disrepair.
type Params string

// Param is one parameter as it stands: quotes are removed, RFC 2231 and RFC
// 2047 are not applied.
type Param struct{ Name, Value string }

// All returns the parameters in their order. Text that is no parameter is left out.
func (p Params) All() []Param {
	var all []Param
	for rest := string(p); ; {
		var one Param
		var ok bool
		if one, rest, ok = nextParam(rest); !ok {
			return all
		}
		all = append(all, one)
	}
}

// Get returns the decoded value of a parameter, or "". The name is compared
// without case. RFC 2231 continuations are joined and its charsets converted;
// encoded words, which have no place here but are common, are decoded too.
func (p Params) Get(name string) string {
	value, charset, extended := p.find(name)
	if extended && charset != "" {
		return decodeString(value, charset)
	}
	return DecodeText(value)
}

// raw returns the bytes of a parameter without any conversion of charsets.
func (p Params) raw(name string) string {
	value, _, _ := p.find(name)
	return value
}

type segment struct {
	n        int
	extended bool
	value    string
}

// find returns a parameter with RFC 2231 continuations joined and percent
// signs decoded. The extended form is preferred over the plain one.
func (p Params) find(name string) (value, charset string, extended bool) {
	var plain string
	var segments []segment
	found := false
	for rest := string(p); ; {
		var one Param
		var ok bool
		if one, rest, ok = nextParam(rest); !ok {
			break
		}
		if len(one.Name) < len(name) || !strings.EqualFold(one.Name[:len(name)], name) {
			continue
		}
		if suffix := one.Name[len(name):]; suffix != "" {
			if seg, ok := parseSegment(suffix, one.Value); ok {
				segments = append(segments, seg)
			}
		} else if !found {
			plain, found = one.Value, true
		}
	}
	if len(segments) == 0 {
		return plain, "", false
	}
	value, charset = joinSegments(segments)
	return value, charset, true
}

// parseSegment reads what follows a parameter's name: "*", "*2" or "*2*".
func parseSegment(suffix, value string) (segment, bool) {
	seg := segment{value: value}
	suffix, ok := strings.CutPrefix(suffix, "*")
	if !ok {
		return seg, false
	}
	if suffix == "" {
		seg.n, seg.extended = -1, true
		return seg, true
	}
	suffix, seg.extended = strings.CutSuffix(suffix, "*")
	n, err := strconv.ParseUint(suffix, 10, 16)
	seg.n = int(n)
	return seg, err == nil
}

func joinSegments(segments []segment) (value, charset string) {
	slices.SortStableFunc(segments, func(a, b segment) int { return a.n - b.n })
	if segments[0].n < 0 {
		segments = segments[:1]
	}
	var b strings.Builder
	for i, seg := range segments {
		if i > 0 && seg.n != segments[i-1].n+1 {
			if seg.n == segments[i-1].n {
				continue
			}
			break
		}
		v := seg.value
		if seg.extended && i == 0 {
			if cs, rest, ok := strings.Cut(v, "'"); ok {
				if _, text, ok := strings.Cut(rest, "'"); ok {
					charset, v = shortCharset(cs), text
				}
			}
		}
		if seg.extended {
			v = unpercent(v)
		}
		b.WriteString(v)
	}
	return b.String(), charset
}

// nextParam cuts the next parameter off s.
func nextParam(s string) (p Param, rest string, ok bool) {
	for {
		s = skipSpace(s)
		if s == "" {
			return p, "", false
		}
		if s[0] == ';' {
			s = s[1:]
			continue
		}
		i := strings.IndexAny(s, "=; \t\r\n(")
		if i < 0 {
			return p, "", false
		}
		name := s[:i]
		s = skipSpace(s[i:])
		if s == "" || s[0] != '=' {
			continue
		}
		s = strings.TrimLeft(s[1:], " \t\r\n")
		if strings.HasPrefix(s, `"`) {
			p.Value, s = cutQuoted(s)
		} else {
			p.Value, s = cutUnquoted(s)
		}
		if name == "" {
			continue
		}
		p.Name = name
		return p, s, true
	}
}

// cutUnquoted takes a value that ends at a semicolon. Inner blanks belong to
// it (file names are written so), unless a comment or the next parameter
// follows them: the semicolon between parameters is sometimes forgotten.
func cutUnquoted(s string) (value, rest string) {
	end := 0
	for i := 0; ; {
		for i < len(s) && !isSpace(s[i]) && s[i] != ';' {
			i++
		}
		end = i
		for i < len(s) && isSpace(s[i]) {
			i++
		}
		if i == len(s) || s[i] == ';' || s[i] == '(' {
			return s[:end], s[i:]
		}
		if word, after := cutToken(s[i:]); word != "" && strings.HasPrefix(after, "=") {
			return s[:end], s[i:]
		}
	}
}

// cutQuoted takes a quoted string. A backslash protects only a quote and
// another backslash: others stand for themselves in file names of Windows. A
// string without an end stops at a semicolon.
func cutQuoted(s string) (value, rest string) {
	plain := true
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			if plain {
				return s[1:i], s[i+1:]
			}
			return unquote(s[1:i]), s[i+1:]
		case c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			plain = false
			i++
		case c == '\r' || c == '\n':
			plain = false
		}
	}
	value = s[1:]
	if i := strings.IndexByte(value, ';'); i >= 0 {
		value, rest = value[:i], value[i:]
	}
	return unquote(strings.TrimRight(value, " \t\r\n")), rest
}

func unquote(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\') {
			i++
			c = s[i]
		}
		if c != '\r' && c != '\n' {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unpercent(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b = append(b, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
