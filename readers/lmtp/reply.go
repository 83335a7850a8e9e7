package lmtp

import (
	"fmt"
	"strings"
	"unicode"
)

// Reply is an answer to the client: a code of RFC 5321, an enhanced one of RFC
// 3463 ("" for the codes that have none), and text for people. As an error it
// says how a recipient or a message was refused.
type Reply struct {
	Code     int
	Enhanced string
	Text     string
	// Cause is for the log.
	Cause error
}

// Error is the reply without its line end.
func (r *Reply) Error() string {
	if r.Enhanced == "" {
		return fmt.Sprintf("%d %s", r.Code, plain(r.Text))
	}
	return fmt.Sprintf("%d %s %s", r.Code, r.Enhanced, plain(r.Text))
}

// Unwrap returns the cause.
func (r *Reply) Unwrap() error { return r.Cause }

func replyf(code int, enhanced, format string, args ...any) *Reply {
	return &Reply{Code: code, Enhanced: enhanced, Text: fmt.Sprintf(format, args...)}
}

// plain makes one short line of printable ASCII of a text, whatever a client
// put into it.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 400)]
}
