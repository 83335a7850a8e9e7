package lmtp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/readers/server"
)

// Another implementation hands in messages of every kind of bytes; what
// arrives is what it meant.
func TestPeer(t *testing.T) {
	b := &notes{}
	r := start(t, b, lmtp.Options{}, server.Limits{})
	c := smtp.NewClientLMTP(r.dial().Conn)
	defer c.Close()
	rng := mathrand.New(mathrand.NewPCG(1, 0))
	var want []string
	for n := range 50 {
		var text bytes.Buffer
		for range rng.IntN(2000) {
			// The client makes CRLF of LF and of CRLF, so bare ones are not tried.
			text.WriteString([]string{"\n", ".", "a", "\x00", "\xff", "word ", "\n.", "\n..\n"}[rng.IntN(8)])
		}
		text.WriteString("\n")
		if n == 0 {
			text.WriteString(strings.Repeat(".long line", 30000) + "\n")
		}
		sent := strings.ReplaceAll(text.String(), "\n", "\r\n")
		if err := c.Mail("joe@example.org", &smtp.MailOptions{Size: int64(text.Len()), Body: smtp.Body8BitMIME}); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"pat@example.org", "green@example.org", "kim"} {
			if err := c.Rcpt(to, &smtp.RcptOptions{Notify: []smtp.DSNNotify{smtp.DSNNotifyFailure}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Rcpt("nobody@example.org", nil); !refused(err, 550, smtp.EnhancedCode{5, 1, 1}) {
			t.Fatalf("an unknown user: %v", err)
		}
		w, err := c.Data()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(sent)); err != nil {
			t.Fatal(err)
		}
		replies, err := w.CloseWithLMTPResponse()
		failed, _ := errors.AsType[smtp.LMTPDataError](err)
		if len(replies) != 2 || len(failed) != 1 || !refused(failed["green@example.org"], 452, smtp.EnhancedCode{4, 2, 2}) {
			t.Fatalf("replies: %v, %v", replies, err)
		}
		want = append(want, fmt.Sprintf("pat@example.org <joe@example.org> %q", sent), fmt.Sprintf("kim <joe@example.org> %q", sent))
	}
	got := b.messages()
	if len(got) != len(want) {
		t.Fatalf("%d messages, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("message %d: %.300s\nwant %.300s", i, got[i], want[i])
		}
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

func refused(err error, code int, enhanced smtp.EnhancedCode) bool {
	e, ok := errors.AsType[*smtp.SMTPError](err)
	return ok && e.Code == code && e.EnhancedCode == enhanced
}

// certified makes a certificate for itself.
func certified(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	what := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"mx.example.org"}, NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, what, what, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
}

func TestStartTLS(t *testing.T) {
	b := &notes{}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := startOn(t, listener, b, lmtp.Options{TLS: certified(t)}, server.Limits{})
	c := r.dial()
	c.want("220 mx.example.org LMTP Bobbin")
	c.send("LHLO a\r\n")
	c.want("250-*")
	c.send("STARTTLS\r\n")
	c.want("220 2.0.0 go ahead")
	secure := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true})
	e := &client{t, secure, nil}
	e.r = newReader(secure)
	e.send("MAIL FROM:<>\r\n")
	e.want("503 5.5.1 say LHLO first")
	e.send("LHLO a\r\nXFORWARD IDENT=1\r\nSTARTTLS\r\n")
	e.want("250-*")
	e.want("550 5.7.0 this peer is not trusted") // TCP, and nobody said so
	e.want("502 5.5.1 STARTTLS is not offered")
	e.send("MAIL FROM:<>\r\nRCPT TO:<pat>\r\nDATA\r\nsecret\r\n.\r\nQUIT\r\n")
	for _, line := range []string{"250 2.1.0 OK", "250 2.1.5 OK", "354 end with a dot on a line", "250 2.0.0 delivered to pat",
		"221 2.0.0 mx.example.org closes the connection"} {
		e.want(line)
	}
	if got := b.messages(); len(got) != 1 || got[0] != `pat <> "secret\r\n"` {
		t.Errorf("arrived: %q", got)
	}

	// What comes in plain behind STARTTLS is not taken for encrypted.
	c = r.dial()
	c.send("LHLO a\r\nSTARTTLS\r\nMAIL FROM:<injected>\r\n")
	c.want("220 mx.example.org LMTP Bobbin")
	c.want("250-*")
	c.want("220 2.0.0 go ahead")
	c.wantEnd()
}
