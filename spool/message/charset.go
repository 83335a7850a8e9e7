package message

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// charsetAliases takes the place of names in charsets, or adds to them. An empty name means
// that nothing is known about the bytes: see guess.
var charsetAliases = map[string]string{
	"": "", "us-ascii": "", "ascii": "", "ansi_x3.4-1968": "", "ansi_x3.4-1986": "", "cp367": "", "ibm367": "", "csascii": "",
	"iso-ir-6": "", "iso646-us": "", "iso_646.irv:1991": "", "us": "", "7bit": "", "8bit": "",
	"unknown": "", "unknown-8bit": "", "x-unknown": "", "x-user-defined": "", "default": "",
	"default_charset": "", "none": "",
	// The byte 0x80 to 0x9f of the first are control characters no one means.
	"iso-8859-1": "windows-1252", "iso8859-1": "windows-1252", "iso_8859-1": "windows-1252",
	"latin1": "windows-1252", "latin-1": "windows-1252", "ansi": "windows-1252",
	"iso-8859-1-windows-3.1-latin-1": "windows-1252",
	"utf8":                           "utf-8", "utf_8": "utf-8", "unicode-1-1-utf-8": "utf-8", "utf8mb4": "utf-8",
	"unicode-1-1-utf-7": "utf-7", "unicode-2-0-utf-7": "utf-7", "utf7": "utf-7", "x-unicode-2-0-utf-7": "utf-7",
	"cp932": "shift_jis", "ms932": "shift_jis", "x-ms-cp932": "shift_jis",
	"cp949": "euc-kr", "ms949": "euc-kr", "x-windows-949": "euc-kr", "iso-2022-kr": "", "csiso2022kr": "",
	"cp936": "gbk", "ms936": "gbk", "cp950": "big5", "ms950": "big5", "iso-2022-cn": "", "iso-2022-cn-ext": "", "replacement": "",
	"euc-tw": "", "latin-9": "iso-8859-15", "latin9": "iso-8859-15",
}

// shortCharset makes a declared charset name ready to be kept and looked up.
func shortCharset(s string) string {
	s = strings.Trim(s, " \t\r\n\"'")
	if i := strings.IndexAny(s, " \t\r\n;,(\"'"); i >= 0 {
		s = s[:i]
	}
	return strings.ToLower(s[:min(len(s), maxCharset)])
}

// ToUTF8 converts text from a charset to UTF-8. The output is always valid:
// U+FFFD stands where a declared charset does not fit. Text in an unknown or
// undeclared charset, and US-ASCII, is taken as UTF-8 and, byte by byte where
// it is not, as windows-1252. The only errors are those of r.
func ToUTF8(r io.Reader, name string) io.Reader {
	name = shortCharset(name)
	if known, ok := charsetAliases[name]; ok {
		name = known
	}
	switch name {
	case "":
		return transform.NewReader(r, guess{})
	case "utf-8":
		return transform.NewReader(r, unicode.UTF8.NewDecoder())
	case "utf-7":
		return transform.NewReader(r, &utf7{})
	}
	for _, n := range []string{name, respell(name)} {
		if c := charsets()[n]; c != nil {
			return c.NewDecoder().Reader(r)
		}
	}
	return transform.NewReader(r, guess{})
}

// respell mends usual ways to write the names of code pages.
func respell(name string) string {
	name = strings.ReplaceAll(name, "_", "-")
	for _, prefix := range []string{"windows-", "windows", "cp-", "cp", "ibm-", "ibm", "win-", "win", "x-cp", "ms-", "ms"} {
		digits, ok := strings.CutPrefix(name, prefix)
		if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		if strings.HasPrefix(digits, "125") || digits == "874" {
			return "windows-" + digits
		}
		return "ibm" + digits
	}
	if part, ok := strings.CutPrefix(name, "iso8859-"); ok {
		return "iso-8859-" + part
	}
	return name
}

// decodeString converts a short text from a charset to valid UTF-8.
func decodeString(s, name string) string {
	name = shortCharset(name)
	if known, ok := charsetAliases[name]; ok {
		name = known
	}
	if (name == "" || name == "utf-8") && utf8.ValidString(s) {
		return s
	}
	if name == "" {
		s, _, _ = transform.String(guess{}, s)
		return s
	}
	b, _ := io.ReadAll(ToUTF8(strings.NewReader(s), name))
	return string(b)
}

// guess passes valid UTF-8 and takes every other byte as windows-1252.
type guess struct{ transform.NopResetter }

// Transform implements transform.Transformer.
func (guess) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		c := src[nSrc]
		if c < utf8.RuneSelf {
			run := asciiRun(src[nSrc:min(len(src), nSrc+len(dst)-nDst)])
			if run == 0 {
				return nDst, nSrc, transform.ErrShortDst
			}
			nDst += copy(dst[nDst:], src[nSrc:nSrc+run])
			nSrc += run
			continue
		}
		r, size := utf8.DecodeRune(src[nSrc:])
		if r == utf8.RuneError && size == 1 {
			if !atEOF && !utf8.FullRune(src[nSrc:]) {
				return nDst, nSrc, transform.ErrShortSrc
			}
			r = charmap.Windows1252.DecodeByte(c)
		}
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += size
	}
	return nDst, nSrc, nil
}

func asciiRun(b []byte) int {
	if i := bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf }); i >= 0 {
		return i
	}
	return len(b)
}
