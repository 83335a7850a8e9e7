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
		if answers := s.dial().answers(text); !said.MatchString(answers) {
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

// answers is what the server says to a client that sends something and no more.
func (c *client) answers(text string) string {
	c.t.Helper()
	if err := c.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		c.t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(c.conn, text)
		_ = c.conn.(*net.UnixConn).CloseWrite()
	}()
	answers, err := io.ReadAll(c.r)
	if err != nil && !strings.Contains(err.Error(), "reset") {
		c.t.Fatal(err)
	}
	return string(answers)
}

// FuzzOld likewise, for POP2 and POP, whose only message is the texts' own.
func FuzzOld(f *testing.F) {
	const helo = "HELO alice secret\\ word\r\n"
	for _, text := range []string{
		helo + "READ\r\nRETR\r\nNACK\r\nRETR\r\nACKS\r\nREAD 1\r\nFOLD INBOX\r\nQUIT\r\n", helo + "FOLD public/x\r\nREAD 99999999999\r\n",
		"USER alice\r\nPASS secret word\r\nRETR inbox\r\nRCEV\r\nRCVD\r\nNOOP\r\nRSET\r\nRDEL x\r\nQUIT\r\n", "\x00\r\n\xff\n\r\r\n",
	} {
		f.Add(text)
	}
	const message = "Subject: one\r\n\r\nbody\r\n"
	old := map[string]*regexp.Regexp{
		"pop2": regexp.MustCompile(`^(([+-]|[#=]\d+)( [ -~]*)?\r\n|` + message + `)*$`),
		"pop":  regexp.MustCompile(`^((\+OK|-ERR|#\d+)( [ -~]*)?\r\n|From MAILER-DAEMON [ -~]*\r\n` + message + `\r\n)*$`),
	}
	shops := map[string]*shop{}
	for protocol := range old {
		s := &shop{t: f, dir: f.TempDir(), protocol: protocol}
		s.make(pop.Options{}, "Subject: one\n\nbody\n")
		shops[protocol] = s
	}
	f.Fuzz(func(t *testing.T, text string) {
		for protocol, s := range shops {
			s.t = t
			if answers := s.dial().answers(text); !old[protocol].MatchString(answers) {
				t.Errorf("%s: %.500q is answered by %.500q", protocol, text, answers)
			}
		}
	})
}
