package lmtp

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

var errPath = errors.New("bad address")

// maxPath is the longest address, in bytes: RFC 5321 §4.5.3.1.3 has 256, UTF-8
// and encoded addresses have more.
const maxPath = 1000

// parsePath takes a path in angle brackets from the beginning of s: what is in
// it, without a source route, and what follows. The null path is "".
func parsePath(s string) (address, rest string, err error) {
	s = strings.TrimLeft(s, " ")
	if !strings.HasPrefix(s, "<") {
		return "", "", errPath
	}
	quoted, end := false, -1
	for i := 1; i < len(s) && end < 0; i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == '>':
			end = i
		}
	}
	if end < 0 || end > maxPath {
		return "", "", errPath
	}
	address, rest = s[1:end], s[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", "", errPath
	}
	// A source route is taken and passed over (RFC 5321 §4.1.1.3).
	if strings.HasPrefix(address, "@") {
		_, after, ok := strings.Cut(address, ":")
		if !ok {
			return "", "", errPath
		}
		address = after
	}
	if !utf8.ValidString(address) || strings.IndexFunc(address, unicode.IsControl) >= 0 {
		return "", "", errPath
	}
	return address, rest, nil
}

// unquote returns a recipient's address with its local part as it is meant:
// "a b"@c is a b@c. A domain is not needed.
func unquote(address string) (string, error) {
	if !strings.HasPrefix(address, `"`) {
		if address == "" || strings.ContainsAny(address, " \"\\<>()") {
			return "", errPath
		}
		return address, nil
	}
	var b strings.Builder
	for i := 1; i < len(address); i++ {
		switch address[i] {
		case '\\':
			if i++; i == len(address) {
				return "", errPath
			}
		case '"':
			rest := address[i+1:]
			if rest != "" && rest[0] != '@' || strings.ContainsAny(rest, " \"\\<>()") {
				return "", errPath
			}
			return b.String() + rest, nil
		}
		b.WriteByte(address[i])
	}
	return "", errPath
}

// ascii tells whether an address needs no SMTPUTF8.
func ascii(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// xtext decodes what RFC 3461 §4 and XFORWARD write as +XX.
func xtext(s string) (string, bool) {
	if !strings.Contains(s, "+") {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '+' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		high, low := strings.IndexByte(hex, s[i+1]), strings.IndexByte(hex, s[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	return b.String(), true
}

const hex = "0123456789ABCDEF"
