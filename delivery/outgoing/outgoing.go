// Package outgoing sends mail to other hosts: by a command like sendmail(8), or to a
// submission server (RFC 6409). It is the one place for this, whoever has
// something to send.
//
// It speaks SMTP by the standard library's net/smtp, which does what a submission
// needs (STARTTLS, AUTH, 8BITMIME, SMTPUTF8, dot-stuffing) and will not change.
package outgoing

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/smtp"
	"net/textproto"
	"net/url"
	"os/exec"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
)

// Mail is a message to be sent.
type Mail struct {
	// From is the return path, without angle brackets; empty for the null sender.
	From string
	// To are the recipients.
	To []string
	// Body is the message, its lines ended by LF.
	Body io.Reader
}

// Way is how mail is sent. It may be used by several goroutines.
type Way struct {
	command []string // nil: by server
	server  string   // host:port
	tls     bool     // from the first byte on
	// User and Password are for AUTH; without a user there is none.
	User, Password string
	// Roots are who may certify the server; nil means the system's.
	Roots *x509.CertPool
	// Limit is how long one message may take; zero means ten minutes.
	Limit time.Duration
}

// Parse reads how mail is sent: the absolute name of a command with its arguments,
// separated by spaces, smtps://HOST[:PORT] or smtp://HOST[:PORT] (STARTTLS). Without TLS there is
// only a server on this host.
func Parse(s string) (*Way, error) {
	bad := func(why string) (*Way, error) { return nil, fmt.Errorf("outgoing mail by %q: %s", s, why) }
	if strings.HasPrefix(s, "/") {
		return &Way{command: strings.Fields(s)}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("it is no URL")
	}
	port := map[string]string{"smtp": "587", "smtps": "465"}[u.Scheme]
	switch {
	case port == "":
		return bad("it is a command with its whole name, smtp://HOST or smtps://HOST")
	case u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return bad("after smtp:// come a host and perhaps a port, nothing else")
	case u.Port() != "":
		port = u.Port()
	}
	return &Way{server: net.JoinHostPort(u.Hostname(), port), tls: u.Scheme == "smtps"}, nil
}

// limit is how long one message may take.
const limit = 10 * time.Minute

// Send sends a message to all its recipients or to none, as far as the server tells. The error matches
// [delivery.ErrRefused] if trying again is useless; else it may be that it was sent.
func (w *Way) Send(ctx context.Context, m Mail) error {
	if len(m.To) == 0 {
		return delivery.ErrNoRecipient
	}
	for _, a := range append([]string{m.From}, m.To...) {
		if strings.ContainsAny(a, "\r\n\x00 <>") || strings.HasPrefix(a, "-") {
			return fmt.Errorf("send mail: %w: %q is no address", delivery.ErrRefused, a)
		}
	}
	d := w.Limit
	if d == 0 {
		d = limit
	}
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var err error
	if w.command != nil {
		err = w.run(ctx, m)
	} else {
		err = w.submit(ctx, m)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("send mail: %w: %v", ctx.Err(), err)
	}
	if err != nil {
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}

// Exit codes of sysexits.h with which a mail system refuses a message for good.
var final = map[int]bool{65: true, 67: true, 68: true, 69: true, 76: true}

func (w *Way) run(ctx context.Context, m Mail) error {
	from := m.From
	if from == "" {
		from = "<>"
	}
	words := append(w.command[1:len(w.command):len(w.command)], "-i", "-f", from, "--")
	cmd := exec.CommandContext(ctx, w.command[0], append(words, m.To...)...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = m.Body, &said, &said
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"}
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && final[e.ExitCode()] {
		err = fmt.Errorf("%w: exit code %d", delivery.ErrRefused, e.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %.1000s", w.command[0], err, said.String())
	}
	return nil
}

func (w *Way) submit(ctx context.Context, m Mail) error {
	host, _, err := net.SplitHostPort(w.server)
	if err != nil {
		return err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.server)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	settings := &tls.Config{ServerName: host, RootCAs: w.Roots}
	if w.tls {
		conn = tls.Client(conn, settings)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if !w.tls && !loopback(conn.RemoteAddr()) {
		if err := c.StartTLS(settings); err != nil {
			return fmt.Errorf("%s: STARTTLS: %w", w.server, err)
		}
	}
	if w.User != "" {
		if err := c.Auth(smtp.PlainAuth("", w.User, w.Password, host)); err != nil {
			return fmt.Errorf("%s: AUTH: %w", w.server, err) // whoever set it up can mend that
		}
	}
	if err := transact(c, m); err != nil {
		return fmt.Errorf("%s: %w", w.server, err)
	}
	_ = c.Quit() // the message is theirs
	return nil
}

// loopback tells whether nobody else hears what is said.
func loopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

func transact(c *smtp.Client, m Mail) error {
	if err := c.Mail(m.From); err != nil {
		return judged("MAIL", err)
	}
	for _, to := range m.To {
		if err := c.Rcpt(to); err != nil {
			return judged("RCPT "+to, err)
		}
	}
	data, err := c.Data()
	if err != nil {
		return judged("DATA", err)
	}
	if _, err := io.Copy(data, m.Body); err != nil {
		return err // the end was not sent, so the message was not either
	}
	return judged("DATA", data.Close())
}

// judged says of an answer whether it is for good.
func judged(what string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok && e.Code >= 500 {
		return fmt.Errorf("%s: %w: %w", what, delivery.ErrRefused, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
