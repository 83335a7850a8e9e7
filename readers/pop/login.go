package pop

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/readers/sasl"
)

// Why a client's answer to a challenge is none.
var (
	errGivenUp = errors.New("given up")
	errBase64  = errors.New("that is no base64")
	errGone    = errors.New("the client is gone") // and was told why
)

// userName takes any name: who exists is told to nobody.
func (x *session) userName(ctx context.Context, args []string) {
	if err := x.server.logins.RefusesPasswords(x.conn); err != nil {
		x.enter(ctx, "", err)
		return
	}
	x.name = args[0]
	x.ok("send the password with PASS")
}

func (x *session) pass(ctx context.Context, args []string) {
	if x.name == "" {
		x.misused("give USER first")
		return
	}
	name := x.name
	x.name = "" // PASS comes right after USER (RFC 1939 §7)
	if err := x.conn.Writer.Flush(); err != nil {
		x.ended = true
		return
	}
	password := args[0]
	if !utf8.ValidString(name) || !utf8.ValidString(password) { // RFC 6856 §2.2
		x.misused("[AUTH] names and passwords are UTF-8")
		return
	}
	user, err := x.server.logins.Login(ctx, x.conn, name, []byte(password))
	x.enter(ctx, user, err)
}

// apop is the answer to the greeting's stamp (RFC 1939 §7).
func (x *session) apop(ctx context.Context, args []string) {
	if x.stamp == "" {
		x.enter(ctx, "", sasl.ErrMechanism)
		return
	}
	if err := x.conn.Writer.Flush(); err != nil {
		x.ended = true
		return
	}
	user, err := x.server.logins.APOP(ctx, x.conn, sasl.Digest{Stamp: x.stamp, Name: args[0], Sum: args[1]})
	x.enter(ctx, user, err)
}

// enter opens the mailbox of the user whom a login found, or says why it found
// none.
func (x *session) enter(ctx context.Context, user string, err error) {
	switch {
	case err == nil && x.server.delays.tooSoon(user, x.server.LoginDelay, time.Now()):
		x.fail("[LOGIN-DELAY] you were here less than %s ago", x.server.LoginDelay)
		return
	case err == nil:
		err = x.open(ctx, user)
	case errors.Is(err, errGone):
		return
	case errors.Is(err, errGivenUp):
		x.fail("given up")
		return
	case errors.Is(err, errBase64):
		x.misused("that is no base64")
		return
	case errors.Is(err, sasl.ErrPrivate):
		x.fail("passwords are not taken without TLS: give STLS first")
		return
	case errors.Is(err, sasl.ErrMechanism):
		x.misused("that way to log in is not offered")
		return
	case errors.Is(err, sasl.ErrSyntax):
		x.misused("[AUTH] bad credentials")
		return
	case errors.Is(err, readers.ErrDenied):
		x.log.Warn("login refused", "error", err)
		x.misused("[AUTH] wrong name or password")
		return
	}
	if errors.Is(err, locking.ErrHeld) {
		x.log.Info("mailbox in use", "user", user, "error", err)
		x.fail("[IN-USE] another session has your mail")
		return
	}
	if err != nil {
		x.log.Error("login", "user", user, "error", err)
		x.fail("[SYS/TEMP] your mail cannot be had now, try again later")
		return
	}
	x.conn.LogIn(user)
	n, size := x.drop.totals()
	x.ok("%d messages (%d octets)", n, size)
}

// auth logs in by SASL (RFC 5034). An initial response of "=" is an empty one.
func (x *session) auth(ctx context.Context, args []string) {
	if len(args) == 0 {
		// Before RFC 5034 clients asked so for the list.
		x.ok("mechanisms follow")
		for _, m := range x.server.logins.Mechanisms(ctx, x.conn) {
			_, _ = x.conn.Writer.WriteString(m + "\r\n")
		}
		_, _ = x.conn.Writer.WriteString(".\r\n")
		return
	}
	r := sasl.Request{Mechanism: args[0], Ask: x.ask}
	var err error
	if len(args) == 2 {
		r.Initial, err = decode(strings.TrimPrefix(args[1], "="))
	}
	user := ""
	if err == nil {
		err = x.conn.Writer.Flush()
	}
	if err == nil {
		user, err = x.server.logins.Authenticate(ctx, x.conn, r)
	}
	x.enter(ctx, user, err)
}

// ask is [sasl.Ask].
func (x *session) ask(challenge []byte) ([]byte, error) {
	_, _ = x.conn.Writer.WriteString("+ " + base64.StdEncoding.EncodeToString(challenge) + "\r\n")
	line, err := x.conn.ReadLine(maxLine)
	if err != nil {
		x.bye(err)
		return nil, errGone
	}
	if string(line) == "*" {
		return nil, errGivenUp
	}
	return decode(string(line))
}

// decode returns no nil: an empty response is one.
func decode(line string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		return nil, errBase64
	}
	return append([]byte{}, b...), nil
}
