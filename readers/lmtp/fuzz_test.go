package lmtp_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/readers/server"
)

// FuzzSession says anything to a server: each answer is a line, 250 is said of the
// messages that were delivered and of no others, and the server goes on.
func FuzzSession(f *testing.F) {
	const begin = "LHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<pat>\r\nRCPT TO:<green@x.y>\r\n"
	for _, text := range []string{
		begin + "DATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n",
		begin + "DATA\r\na\n.\nb\r.\r\n.\r\r\n\r\n.\r\nRSET\r\n",
		begin + "BDAT 3\r\nabcBDAT 6 LAST\r\n\r\n.\r\nxNOOP\r\n",
		"LHLO a\r\nMAIL FROM:<a@b> SIZE=5 BODY=BINARYMIME SMTPUTF8 RET=HDRS ENVID=x\r\nRCPT TO:<\"p\\at\"@x> NOTIFY=NEVER ORCPT=rfc822;a+40b\r\nBDAT 0 LAST\r\n",
		"LHLO a\r\nXCLIENT NAME=x ADDR=[UNAVAILABLE]\r\nLHLO b\r\nXFORWARD IDENT=4F1 SOURCE=LOCAL\r\nVRFY x\r\nHELP\r\nSTARTTLS\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b := &notes{}
		r := start(t, b, lmtp.Options{MaxSize: 10000}, server.Limits{})
		c := r.dial()
		go func() {
			_, _ = c.Write(text)
			_ = c.Conn.(*net.UnixConn).CloseWrite()
		}()
		said, err := io.ReadAll(c.r)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(said)) {
			if len(line) < 6 || line[0] < '2' || line[0] > '5' || !strings.HasSuffix(line, "\r\n") {
				t.Errorf("answer %q", line)
			}
		}
		delivered := b.messages()
		if n := bytes.Count(said, []byte("250 2.0.0 delivered to ")); err == nil && n != len(delivered) {
			t.Errorf("%d messages are delivered, and 250 was said of %d", len(delivered), n)
		}
		if log := r.log.String(); strings.Contains(log, "panic") {
			t.Error(log)
		}
		r.works()
	})
}

// Exim's lmtp transport gives up when an answer has more than 255 bytes.
func TestShortAnswer(t *testing.T) {
	r := start(t, &notes{}, lmtp.Options{MaxSize: 1 << 40, TLS: certified(t)}, server.Limits{})
	c := r.dial()
	c.send("LHLO a\r\nQUIT\r\n")
	said, err := io.ReadAll(c.r)
	if err != nil {
		t.Fatal(err)
	}
	_, answer, _ := strings.Cut(string(said), "\r\n")
	answer, _, _ = strings.Cut(answer, "221 ")
	const room = 28 // for a longer name of the host
	if !strings.Contains(answer, "XCLIENT") || len(answer) > 255-room {
		t.Errorf("%d bytes: %q", len(answer), answer)
	}
}
