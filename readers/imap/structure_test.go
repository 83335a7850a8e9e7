package imap_test

import (
	"testing"

	"github.com/bobbinmail/bobbin/readers/imap"
)

// TestBody: BODY is BODYSTRUCTURE without the fields that are extensions.
func TestBody(t *testing.T) {
	const (
		text      = `("text" "plain" ("charset" "a)\"b") NIL NIL "7bit" 5 1`
		other     = `("image" "png" NIL "<id>" NIL "base64" 7`
		envelope  = `(NIL "s" ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL NIL NIL)`
		extension = ` NIL ("attachment" ("filename" "x")) NIL NIL`
	)
	message := func(body, rest string) string {
		return `("message" "rfc822" NIL NIL NIL "7bit" 9 ` + envelope + ` ` + body + ` 3` + rest + `)`
	}
	for _, c := range []struct{ structure, want string }{
		{text + extension + ")", text + ")"},
		{other + extension + ")", other + ")"},
		{text + ")", text + ")"},
		{message(text+extension+")", extension), message(text+")", "")},
		{"(" + text + extension + ")" + other + extension + `) "mixed" ("boundary" "(") NIL NIL NIL)`, "(" + text + ")" + other + `) "mixed")`},
		{"(" + message("("+text+extension+`) "mixed" NIL NIL NIL NIL)`, extension) + ` "digest" NIL)`, "(" + message("("+text+`) "mixed")`, "") + ` "digest")`},
	} {
		if got := imap.WithoutExtensions(c.structure); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.structure, got, c.want)
		}
	}
}

// FuzzBody: whatever a summary has, something comes of it.
func FuzzBody(f *testing.F) {
	f.Add(`(("text" "plain" NIL NIL NIL "7bit" 5 1 NIL) "mixed" NIL)`)
	f.Add(`((((`)
	f.Fuzz(func(t *testing.T, s string) {
		if got := imap.WithoutExtensions(s); len(got) > 3*len(s) {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
