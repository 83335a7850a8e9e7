package pop

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
)

// mechanisms are those of AUTH (RFC 5034).
var mechanisms = []string{"PLAIN", "LOGIN"}

// mayLogIn tells whether a password would be safe: it is encrypted, does not
// leave the host, or the administrator does not mind.
func (x *session) mayLogIn() bool {
	if x.conn.TLS != nil || x.server.Plain || x.conn.Remote == "unix" {
		return true
	}
	ip := net.ParseIP(x.conn.Address())
	return ip != nil && ip.IsLoopback()
}

const plainRefused = "passwords are not taken without TLS: give STLS first"

// userName takes any name: who exists is told to nobody.
func (x *session) userName(_ context.Context, args []string) {
	if !x.mayLogIn() {
		x.fail(plainRefused)
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
	x.login(ctx, name, args[0])
}

// login opens the mailbox of whoever has the name and password.
func (x *session) login(ctx context.Context, name, password string) {
	if err := x.conn.Writer.Flush(); err != nil {
		x.ended = true
		return
	}
	user, err := x.server.backend.Login(ctx, x.conn, name, []byte(password))
	switch {
	case errors.Is(err, readers.ErrDenied):
		x.log.Warn("login refused", "user", name)
		x.misused("[AUTH] wrong name or password")
		return
	case err == nil:
		err = x.open(ctx, user)
	}
	if err != nil {
		x.log.Error("login", "user", name, "error", err)
		x.fail("[SYS/TEMP] your mail cannot be had now, try again later")
		return
	}
	n, size := x.drop.totals()
	x.ok("%d messages (%d octets)", n, size)
}

// auth logs in by SASL. An initial response of "=" is an empty one.
func (x *session) auth(ctx context.Context, args []string) {
	if len(args) == 0 {
		// Before RFC 5034 clients asked so for the list.
		x.ok("mechanisms follow")
		for _, m := range mechanisms {
			_, _ = x.conn.Writer.WriteString(m + "\r\n")
		}
		_, _ = x.conn.Writer.WriteString(".\r\n")
		return
	}
	if !x.mayLogIn() {
		x.fail(plainRefused)
		return
	}
	var initial *string
	if len(args) == 2 {
		initial = &args[1]
	}
	switch strings.ToUpper(args[0]) {
	case "PLAIN":
		x.authPlain(ctx, initial)
	case "LOGIN":
		x.authLogin(ctx, initial)
	default:
		x.misused("unknown mechanism")
	}
}

// authPlain is RFC 4616. Nobody acts for another.
func (x *session) authPlain(ctx context.Context, initial *string) {
	text, ok := x.response("", initial)
	if !ok {
		return
	}
	part := strings.Split(text, "\x00")
	if len(part) != 3 || part[0] != "" && part[0] != part[1] {
		x.misused("[AUTH] bad credentials")
		return
	}
	x.login(ctx, part[1], part[2])
}

func (x *session) authLogin(ctx context.Context, initial *string) {
	name, ok := x.response("Username:", initial)
	if !ok {
		return
	}
	if password, ok := x.response("Password:", nil); ok {
		x.login(ctx, name, password)
	}
}

// response returns what the client says to a challenge. A client that gives up
// or sends no base64 is answered here.
func (x *session) response(challenge string, initial *string) (text string, ok bool) {
	var line string
	if initial != nil {
		line = strings.TrimPrefix(*initial, "=")
	} else {
		_, _ = x.conn.Writer.WriteString("+ " + base64.StdEncoding.EncodeToString([]byte(challenge)) + "\r\n")
		b, err := x.conn.ReadLine(maxLine)
		if err != nil {
			x.bye(err)
			return "", false
		}
		line = string(b)
	}
	if line == "*" {
		x.fail("given up")
		return "", false
	}
	b, err := base64.StdEncoding.DecodeString(line)
	if err != nil {
		x.misused("that is no base64")
		return "", false
	}
	return string(b), true
}
