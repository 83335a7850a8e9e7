package pop_test

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/readers/pop"
)

// said is what a server may say: answers, and what follows some of them.
var said = regexp.MustCompile(`^((\+OK|-ERR)( [ -~]*)?\r\n|\+ [A-Za-z0-9+/]*=*\r\n|[!-~][ -~]*\r\n|\r\n)*$`)

// FuzzSession: nothing that a client sends is answered by anything but answers,
// and the server lives.
func FuzzSession(f *testing.F) {
	for _, text := range []string{
		"USER alice\r\nPASS secret word\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nTOP 1 0\r\nDELE 1\r\nRSET\r\nLAST\r\nNOOP\r\nQUIT\r\n",
		"CAPA\r\nAUTH PLAIN AGFsaWNlAHNlY3JldCB3b3Jk\r\nLIST 1\r\n", "AUTH LOGIN\r\nYWxpY2U=\r\n*\r\nLANG\r\n", "\x00\r\n\xff\n\r\r\n",
	} {
		f.Add(text)
	}
	s := openWith(f, pop.Options{}, "Subject: one\n\n.\nbody\n")
	f.Fuzz(func(t *testing.T, text string) {
		s.t = t
		c := s.dial()
		if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(c.conn, text)
			_ = c.conn.(*net.UnixConn).CloseWrite()
		}()
		answers, err := io.ReadAll(c.r)
		if err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatal(err)
		}
		if !said.Match(answers) {
			t.Errorf("%.500q is answered by %.500q", text, answers)
		}
		got := s.session("STAT")
		if !strings.HasPrefix(got, "+OK ") {
			t.Errorf("afterwards: %q", got)
		}
		if strings.HasPrefix(got, "+OK 0") {
			s.deliver("Subject: another\n\n..\nbody")
		}
	})
}
