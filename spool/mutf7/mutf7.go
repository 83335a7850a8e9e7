// Package mutf7 has the modified UTF-7 in which IMAP (RFC 3501 §5.1.3), and with
// it Maildir++, writes the names of folders.
package mutf7

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var encoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// Encode writes a name. It is exact for valid UTF-8.
func Encode(name string) string {
	return EncodeBut(name, func(r rune) bool { return r >= ' ' && r <= '~' })
}

// EncodeBut is Encode with a choice of the characters that stand for
// themselves, which are printable ASCII and "&" none of them: it becomes "&-".
func EncodeBut(name string, direct func(rune) bool) string {
	var b strings.Builder
	var shifted []uint16
	flush := func() {
		if len(shifted) > 0 {
			raw := make([]byte, 0, 2*len(shifted))
			for _, u := range shifted {
				raw = append(raw, byte(u>>8), byte(u))
			}
			b.WriteString("&" + encoding.EncodeToString(raw) + "-")
			shifted = shifted[:0]
		}
	}
	for _, r := range name {
		switch {
		case r == '&':
			flush()
			b.WriteString("&-")
		case direct(r):
			flush()
			b.WriteRune(r)
		default:
			shifted = utf16.AppendRune(shifted, r)
		}
	}
	flush()
	return b.String()
}

// Decode reads a name. What is not encoded stands for itself, UTF-8 too. ok is
// false when an encoded part is damaged or no Unicode.
func Decode(s string) (name string, ok bool) {
	var b strings.Builder
	for s != "" {
		before, after, shift := strings.Cut(s, "&")
		b.WriteString(before)
		if !shift {
			break
		}
		code, next, closed := strings.Cut(after, "-")
		if !closed {
			return "", false
		}
		if code == "" {
			b.WriteByte('&')
		}
		raw, err := encoding.DecodeString(code)
		if err != nil || len(raw)%2 != 0 {
			return "", false
		}
		units := make([]uint16, 0, len(raw)/2)
		for i := 0; i < len(raw); i += 2 {
			units = append(units, uint16(raw[i])<<8|uint16(raw[i+1]))
		}
		for _, r := range utf16.Decode(units) {
			if r == utf8.RuneError {
				return "", false
			}
			b.WriteRune(r)
		}
		s = next
	}
	return b.String(), true
}
