package message

import "strings"

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// isToken tells whether c may stand in a token (RFC 2045, section 5.1).
func isToken(c byte) bool {
	return c > ' ' && c < 0x7f && strings.IndexByte(`()<>@,;:\"/[]?=`, c) < 0
}

func cutToken(s string) (token, rest string) {
	i := 0
	for i < len(s) && isToken(s[i]) {
		i++
	}
	return s[:i], s[i:]
}

// skipSpace skips white space and comments (RFC 5322, section 3.2.2). A
// comment without an end reaches to the end of s.
func skipSpace(s string) string {
	for s != "" {
		switch {
		case isSpace(s[0]):
			s = s[1:]
		case s[0] == '(':
			_, s = cutComment(s)
		default:
			return s
		}
	}
	return s
}

// cutComment takes a comment, which may hold others, and returns what stands
// between its parentheses.
func cutComment(s string) (comment, rest string) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[1:i], s[i+1:]
			}
		}
	}
	return s[1:], ""
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	}
	return -1
}

// equalFold compares ASCII without case; lower must be in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// common holds the words most headers use, so that they take no memory each.
var common = func() map[string]string {
	m := make(map[string]string)
	for s := range strings.FieldsSeq(`text plain html multipart mixed alternative related signed report digest
		message rfc822 global delivery-status application octet-stream pdf image png jpeg gif audio video
		us-ascii utf-8 iso-8859-1 iso-8859-15 windows-1252 7bit 8bit binary base64 quoted-printable`) {
		m[s] = s
	}
	return m
}()

// intern returns s detached from the header it was cut from.
func intern(s string) string {
	if c, ok := common[s]; ok {
		return c
	}
	return strings.Clone(s)
}
