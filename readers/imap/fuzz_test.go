package imap_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/imap"
)

// FuzzSession: nothing that a client sends is answered by anything but answers,
// and the server lives.
func FuzzSession(f *testing.F) {
	for _, text := range []string{
		"1 SELECT INBOX\r\n2 FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE BODY[] BODY.PEEK[1.2.HEADER.FIELDS (a \"b\")]<1.2>)\r\n3 STORE 1 +FLAGS.SILENT (\\Seen x)\r\n4 EXPUNGE\r\n5 LOGOUT\r\n",
		"1 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a% *b) RETURN (STATUS (MESSAGES SIZE))\r\n2 LSUB \"\" *\r\n3 CREATE &AGE-\r\n4 STATUS a (UIDNEXT)\r\n",
		"1 EXAMINE {5}\r\ninbox\r\n2 SEARCH RETURN (SAVE MIN) OR NOT (1:2 FROM {3+}\r\nabc) BODY x UID $\r\n3 UID COPY $ a\r\n4 IDLE\r\nDONE\r\n",
		"1 APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {3+}\r\na\r\n {2}\r\nxx\r\n2 ENABLE IMAP4rev2\r\n3 ID (\"a\" NIL)\r\n4 NOOP\r\n", "* {99999999999999999999}\r\n\x00\r\n{3+}\r\n",
	} {
		f.Add(text)
	}
	s := open(f, imap.Options{MaxSize: 10_000})
	s.deliver("Subject: one\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nbody\n--b--\n")
	f.Fuzz(func(t *testing.T, text string) {
		s.t = t
		c := s.dial(0)
		c.t = t
		if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(c.conn, "0 LOGIN alice \"secret word\"\r\n"+text)
			_ = c.conn.(*net.UnixConn).CloseWrite()
		}()
		for {
			line, err := c.line()
			if line != "" && strings.ContainsAny(line[:1], "\x00\x1b\n") {
				t.Errorf("%.500q is answered by %.500q", text, line)
			}
			if err == io.EOF || err != nil && strings.Contains(err.Error(), "reset") {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		c = s.dial(0)
		if _, err := c.line(); err != nil {
			t.Fatal(err)
		}
		if got := c.answer("1 LOGIN alice \"secret word\""); !strings.HasPrefix(got, "1 OK ") {
			t.Errorf("afterwards: %q", got)
		}
		_ = c.conn.Close()
	})
}

func FuzzMatch(f *testing.F) {
	f.Add("a%/*b", "ac/d/eb")
	f.Add("%*%*", "////")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 12 || len(name) > 12 {
			return
		}
		if got, want := imap.Match(pattern, name), slowMatch(pattern, name); got != want && name != "INBOX" {
			t.Errorf("%q, %q: %v", pattern, name, got)
		}
	})
}

// slowMatch tries everything.
func slowMatch(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	switch pattern[0] {
	case '*', '%':
		for i := 0; i <= len(name); i++ {
			if slowMatch(pattern[1:], name[i:]) {
				return true
			}
			if i < len(name) && pattern[0] == '%' && name[i] == '/' {
				return false
			}
		}
		return false
	}
	return name != "" && name[0] == pattern[0] && slowMatch(pattern[1:], name[1:])
}
