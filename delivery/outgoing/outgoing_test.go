package outgoing_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/delivery/outgoing"
)

func TestParse(t *testing.T) {
	for _, s := range []string{"/usr/sbin/sendmail", "/usr/bin/x -a b", "smtp://mx.example.org", "smtps://[::1]:10465/"} {
		if _, err := outgoing.Parse(s); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []string{"", "sendmail", "http://x", "smtp://", "smtp://a:b@x", "smtp://x/y", "smtp://x?y=z", "smtp:x", "smtp://x:y", "\x00"} {
		if w, err := outgoing.Parse(s); err == nil {
			t.Errorf("%q is %v", s, w)
		}
	}
}

var mail = outgoing.Mail{From: "joe@example.org", To: []string{"ann@example.net", "bob"}, Body: nil}

func send(t *testing.T, w *outgoing.Way, from string) error {
	t.Helper()
	m := mail
	m.From, m.Body = from, strings.NewReader("Subject: x\n\n.dot\nFrom here\n")
	return w.Send(t.Context(), m)
}

// The command gets its arguments as such; its exit code says whether it is over.
func TestCommand(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "sendmail")
	script := "#!/bin/sh\ncd " + dir + "\nfor w; do echo \"[$w]\"; done > args\ncat > body\necho nonsense\nexit $(cat code)\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	w, err := outgoing.Parse(program + " -extra")
	if err != nil {
		t.Fatal(err)
	}
	for code, refused := range map[string]bool{"0": false, "75": false, "1": false, "78": false, "67": true, "69": true} {
		if err := os.WriteFile(filepath.Join(dir, "code"), []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		err := send(t, w, "")
		if (err == nil) != (code == "0") || errors.Is(err, delivery.ErrRefused) != refused || err != nil && !strings.Contains(err.Error(), "nonsense") {
			t.Errorf("exit code %s: %v", code, err)
		}
	}
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	body, _ := os.ReadFile(filepath.Join(dir, "body"))
	if string(args) != "[-extra]\n[-i]\n[-f]\n[<>]\n[--]\n[ann@example.net]\n[bob]\n" || string(body) != "Subject: x\n\n.dot\nFrom here\n" {
		t.Errorf("%q, %q", args, body)
	}
	for _, from := range []string{"-oQ/x", "a b", "a>\r\nRCPT TO:<b"} {
		if err := send(t, w, from); !errors.Is(err, delivery.ErrRefused) {
			t.Errorf("%q: %v", from, err)
		}
	}
}

// server is a submission server that answers what refuse says, and notes what it hears.
type server struct {
	heard  strings.Builder
	refuse map[string]string
	offers string
	tls    *tls.Config
}

// serve speaks with one client; the test ends with it.
func (s *server) serve(t *testing.T, early bool) (addr string, done chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	done = make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if early {
			c = tls.Server(c, s.tls)
		}
		s.talk(c)
	}()
	return l.Addr().String(), done
}

func (s *server) talk(c net.Conn) {
	in := bufio.NewReader(c)
	say := func(text string) { fmt.Fprintf(c, "%s\r\n", text) }
	say("220 hello")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		s.heard.WriteString(line)
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch answer := s.refuse[verb]; {
		case answer != "":
			say(answer)
		case verb == "EHLO":
			say("250-hello\r\n250-8BITMIME\r\n250 " + s.offers)
		case verb == "AUTH":
			say("235 ok")
		case verb == "DATA":
			say("354 go on")
			for line != ".\r\n" && err == nil {
				line, err = in.ReadString('\n')
				s.heard.WriteString(line)
			}
			say("250 taken")
		default:
			say("250 ok")
		}
	}
}

// certificate is one that the test server of net/http has, for 127.0.0.1.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates}, roots
}

func TestSubmission(t *testing.T) {
	settings, roots := certificate(t)
	s := &server{offers: "AUTH PLAIN", tls: settings}
	addr, done := s.serve(t, true)
	w, err := outgoing.Parse("smtps://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	w.User, w.Password, w.Roots = "me", "secret", roots
	if err := send(t, w, "joe@example.org"); err != nil {
		t.Fatal(err)
	}
	<-done
	login := base64.StdEncoding.EncodeToString([]byte("\x00me\x00secret"))
	want := "EHLO localhost\r\nAUTH PLAIN " + login + "\r\nMAIL FROM:<joe@example.org> BODY=8BITMIME\r\nRCPT TO:<ann@example.net>\r\nRCPT TO:<bob>\r\nDATA\r\n" +
		"Subject: x\r\n\r\n..dot\r\nFrom here\r\n.\r\nQUIT\r\n"
	if got := s.heard.String(); got != want {
		t.Errorf("heard %q, want %q", got, want)
	}
	// A server that nobody vouches for hears nothing.
	s = &server{tls: settings}
	addr, done = s.serve(t, true)
	w, err = outgoing.Parse("smtps://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	if err := send(t, w, ""); err == nil || errors.Is(err, delivery.ErrRefused) {
		t.Errorf("an unknown certificate: %v", err)
	}
	<-done
	if s.heard.Len() > 0 {
		t.Errorf("it heard %q", s.heard.String())
	}
}

// What a server refuses for good is given back; anything else is tried again, and no
// message is sent to some of its recipients only.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		verb, answer string
		refused      bool
	}{
		{"EHLO", "421 later", false}, {"MAIL", "550 no", true}, {"MAIL", "451 later", false}, {"RCPT", "550 no", true}, {"RCPT", "450 later", false},
		{"DATA", "554 no", true}, {"DATA", "421 later", false},
	} {
		s := &server{refuse: map[string]string{test.verb: test.answer}}
		if test.verb == "EHLO" {
			s.refuse["HELO"] = test.answer
		}
		addr, done := s.serve(t, false)
		w, err := outgoing.Parse("smtp://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := send(t, w, ""); err == nil || errors.Is(err, delivery.ErrRefused) != test.refused {
			t.Errorf("%s %s: %v", test.verb, test.answer, err)
		}
		<-done
		if strings.Contains(s.heard.String(), "Subject") {
			t.Errorf("%s %s: the message was sent", test.verb, test.answer)
		}
	}
}

// A server that says nothing does not keep anybody for ever.
func TestSilence(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, err := outgoing.Parse("smtp://" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	w.Limit = 50 * time.Millisecond
	if err := send(t, w, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
