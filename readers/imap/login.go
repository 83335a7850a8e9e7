package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/readers/sasl"
)

// capabilities are what a client may use now.
func (x *session) capabilities(ctx context.Context) string {
	words := []string{"IMAP4rev1", "IMAP4rev2", "LITERAL+", "SASL-IR", "ID", "ENABLE"}
	if x.user == "" {
		if x.server.TLS != nil && x.conn.TLS == nil {
			words = append(words, "STARTTLS")
		}
		for _, m := range x.server.logins.Mechanisms(ctx, x.conn) {
			words = append(words, "AUTH="+m)
		}
		if x.server.logins.RefusesPasswords(x.conn) != nil {
			words = append(words, "LOGINDISABLED")
		}
		return strings.Join(words, " ")
	}
	return strings.Join(append(words, extensions...), " ")
}

// extensions are those of who is logged in.
var extensions = []string{
	"NAMESPACE", "UNSELECT", "UIDPLUS", "MOVE", "IDLE", "CHILDREN", "LIST-EXTENDED", "LIST-STATUS", "SPECIAL-USE",
	"CREATE-SPECIAL-USE", "ESEARCH", "SEARCHRES", "WITHIN", "STATUS=SIZE", "MULTIAPPEND", "UTF8=ACCEPT", "BINARY", "PREVIEW",
}

func (x *session) capability(ctx context.Context) {
	if x.p.end() {
		x.untagged("CAPABILITY %s", x.capabilities(ctx))
		x.reply("OK that is all")
	}
}

// id is RFC 2971.
func (x *session) id(context.Context) {
	x.p.sp()
	if !x.p.word("NIL") {
		n := 0
		x.p.list(func() {
			if n++; n > 30 {
				x.p.bad("more than 30 fields")
			}
			x.p.str()
			x.p.sp()
			x.p.nstring()
		})
	}
	if !x.p.end() {
		return
	}
	x.out = append(x.out, `* ID ("name" "Bobbin"`...)
	if x.server.Version != "" {
		x.out = appendString(append(x.out, ` "version" `...), x.server.Version)
	}
	x.out = append(x.out, ")\r\n"...)
	x.flush()
	x.reply("OK pleased to meet you")
}

// enable is RFC 5161. It may come in a selected mailbox too (RFC 9051 §6.3.1).
func (x *session) enable(context.Context) {
	enabled := ""
	for x.p.take(' ') {
		switch word := x.p.atom(); word {
		case "IMAP4REV2":
			x.rev2, x.utf8 = true, true
			enabled += " IMAP4rev2"
		case "UTF8=ACCEPT":
			x.utf8 = true
			enabled += " UTF8=ACCEPT"
		}
	}
	if x.p.end() {
		x.untagged("ENABLED%s", enabled)
		x.reply("OK enabled")
	}
}

func (x *session) startTLS(ctx context.Context) {
	switch {
	case !x.p.end():
		return
	case x.server.TLS == nil || x.conn.TLS != nil:
		x.p.bad("STARTTLS is not offered")
		return
	}
	x.reply("OK begin TLS")
	if err := x.conn.StartTLS(ctx, x.server.TLS); err != nil {
		x.log.Warn("STARTTLS", "error", err)
		x.ended = true
	}
}

func (x *session) login(ctx context.Context) {
	x.p.sp()
	name := x.p.astring()
	x.p.sp()
	password := x.p.astring()
	if !x.p.end() || !x.hurry() {
		return
	}
	user, err := x.server.logins.Login(ctx, x.conn, name, []byte(password))
	x.enter(ctx, user, err)
}

// hurry sends what was written before something that may take long.
func (x *session) hurry() bool {
	err := x.conn.Writer.Flush()
	x.ended = x.ended || err != nil
	return err == nil
}

// enter answers a login.
func (x *session) enter(ctx context.Context, user string, err error) {
	switch {
	case x.p.err != nil:
	case err == nil:
		x.user = user
		x.conn.LogIn(user)
		x.conn.SetIdle(idleAfter)
		x.reply("OK [CAPABILITY %s] you are logged in", x.capabilities(ctx))
	case errors.Is(err, readers.ErrDenied):
		x.log.Warn("login refused", "error", err)
		x.reply("NO [AUTHENTICATIONFAILED] wrong name or password")
		if x.wrong++; x.wrong >= maxWrong {
			x.untagged("BYE too many logins that are wrong")
			x.ended = true
		}
	case errors.Is(err, sasl.ErrPrivate):
		x.reply("NO [PRIVACYREQUIRED] passwords are not taken without TLS: give STARTTLS first")
	case errors.Is(err, sasl.ErrMechanism):
		x.reply("NO [CANNOT] there is no such mechanism")
	case errors.Is(err, sasl.ErrSyntax):
		x.p.bad("that is no response of the mechanism")
	default:
		x.done("", err)
	}
}

// authenticate is SASL (RFC 4422), with an initial response (RFC 4959).
func (x *session) authenticate(ctx context.Context) {
	x.p.sp()
	r := sasl.Request{Mechanism: x.p.atom(), Ask: x.ask}
	if x.p.take(' ') {
		text := x.p.span("base64", func(c byte) bool { return c > ' ' && c < 0x7F })
		r.Initial = x.p.base64(strings.TrimPrefix(text, "="))
	}
	if !x.p.end() || !x.hurry() {
		return
	}
	user, err := x.server.logins.Authenticate(ctx, x.conn, r)
	x.enter(ctx, user, err)
}

// base64 decodes to what is not nil.
func (p *parser) base64(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		p.bad("that is no base64")
	}
	return append([]byte{}, b...)
}

// ask sends a challenge and returns the response. Its error is the parser's.
func (x *session) ask(challenge []byte) ([]byte, error) {
	_, _ = x.conn.Writer.WriteString("+ " + base64.StdEncoding.EncodeToString(challenge) + "\r\n")
	if err := x.p.next(); err != nil {
		x.p.broken(err)
		return nil, x.p.err
	}
	line := string(x.p.line)
	x.p.line = nil
	if line == "*" {
		x.p.bad("given up")
	}
	response := x.p.base64(line)
	return response, x.p.err
}

func (x *session) logout(context.Context) {
	if x.p.end() {
		x.untagged("BYE see you")
		x.reply("OK logged out")
		x.ended = true
	}
}
