package message

import (
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/transform"
)

// utf7 decodes UTF-7 (RFC 2152). Bytes that do not belong there are taken as
// guess takes them.
type utf7 struct {
	shifted bool // within base64
	empty   bool // nothing followed the plus sign yet
	bits    uint32
	n       uint // bits in bits
	high    rune // first half of a surrogate pair, or 0
}

// Reset implements transform.Transformer.
func (u *utf7) Reset() { *u = utf7{} }

// maxRunes is the room that one byte may need: a lone surrogate and a character.
const maxRunes = 2 * utf8.UTFMax

// Transform implements transform.Transformer.
func (u *utf7) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		if len(dst)-nDst < maxRunes {
			return nDst, nSrc, transform.ErrShortDst
		}
		c := src[nSrc]
		if u.shifted {
			n, used := u.step(dst[nDst:], c)
			nDst += n
			nSrc += used
			continue
		}
		if c == '+' {
			*u = utf7{shifted: true, empty: true}
			nSrc++
			continue
		}
		size := 1
		if c >= utf8.RuneSelf {
			if !atEOF && !utf8.FullRune(src[nSrc:]) {
				return nDst, nSrc, transform.ErrShortSrc
			}
			_, size = utf8.DecodeRune(src[nSrc:])
		}
		n, _, _ := guess{}.Transform(dst[nDst:], src[nSrc:nSrc+size], true)
		nDst += n
		nSrc += size
	}
	if atEOF && u.high != 0 {
		if len(dst)-nDst < maxRunes {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += u.lone(dst[nDst:])
	}
	return nDst, nSrc, nil
}

// step takes one byte within base64 and returns how many bytes it wrote, and
// whether it used c up: a byte outside the alphabet ends the base64, and
// stands for itself unless it is a hyphen.
func (u *utf7) step(dst []byte, c byte) (n, used int) {
	v := base64Values[c]
	if v < 0 {
		n = u.lone(dst)
		u.shifted = false
		if c != '-' {
			return n, 0
		}
		if u.empty {
			n += copy(dst[n:], "+")
		}
		return n, 1
	}
	u.empty = false
	u.bits = u.bits<<6 | uint32(v)
	if u.n += 6; u.n < 16 {
		return 0, 1
	}
	u.n -= 16
	r := rune(u.bits >> u.n & 0xffff)
	u.bits &= 1<<u.n - 1
	switch {
	case u.high != 0 && r >= 0xdc00 && r < 0xe000:
		n = utf8.EncodeRune(dst, utf16.DecodeRune(u.high, r))
		u.high = 0
	case r >= 0xd800 && r < 0xdc00:
		n = u.lone(dst)
		u.high = r
	default:
		n = u.lone(dst)
		n += utf8.EncodeRune(dst[n:], r)
	}
	return n, 1
}

// lone writes U+FFFD for half a surrogate pair.
func (u *utf7) lone(dst []byte) int {
	if u.high == 0 {
		return 0
	}
	u.high = 0
	return utf8.EncodeRune(dst, utf8.RuneError)
}
