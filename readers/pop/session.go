package pop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"github.com/bobbinmail/bobbin/readers/server"
)

// maxLine is the longest command in bytes: RFC 2449 allows 255, and RFC 5034
// more for the answers of AUTH.
const maxLine = 12 << 10

// maxBad is how many commands that do not exist, or logins that fail, a client
// may send.
const maxBad = 10

// session is a client.
type session struct {
	server *Server
	conn   *server.Conn
	log    *slog.Logger
	stamp  string // of the greeting, for APOP; "" without it
	name   string // what USER said
	user   string // who is logged in
	utf8   bool   // the client knows UTF-8 in headers
	drop   *drop  // nil in the AUTHORIZATION state
	bad    int
	ended  bool

	sent    int64 // bytes of messages
	read    int   // messages
	removed int   // messages
}

// verb is a command: when it may come, how many arguments it has, and what it
// does. A handler answers by itself.
type verb struct {
	state    state
	min, max int
	do       func(x *session, ctx context.Context, args []string)
}

// state is where a command may be given (RFC 1939 §3).
type state int

const (
	authorization state = iota
	transaction
	anywhere
)

// verbs are the commands. PASS takes the rest of its line, spaces and all.
var verbs = map[string]verb{
	"USER": {authorization, 1, 1, (*session).userName},
	"PASS": {authorization, 1, 1, (*session).pass},
	"AUTH": {authorization, 0, 2, (*session).auth},
	"APOP": {authorization, 2, 2, (*session).apop},
	"STLS": {authorization, 0, 0, (*session).stls},
	"CAPA": {anywhere, 0, 0, (*session).capa},
	"LANG": {anywhere, 0, 1, (*session).lang},
	"UTF8": {authorization, 0, 0, (*session).utf8Mode},
	"QUIT": {anywhere, 0, 0, (*session).quit},
	"NOOP": {transaction, 0, 0, func(x *session, _ context.Context, _ []string) { x.ok("") }},
	"STAT": {transaction, 0, 0, (*session).stat},
	"LIST": {transaction, 0, 1, (*session).list},
	"UIDL": {transaction, 0, 1, (*session).uidl},
	"RETR": {transaction, 1, 1, (*session).retr},
	"TOP":  {transaction, 2, 2, (*session).top},
	"DELE": {transaction, 1, 1, (*session).dele},
	"RSET": {transaction, 0, 0, (*session).rset},
	"LAST": {transaction, 0, 0, (*session).last},
	"XTND": {transaction, 1, 2, (*session).xtnd},
}

// ok and fail write the answer, which is sent when the next command is waited
// for.
func (x *session) ok(format string, args ...any) { x.say("+OK", format, args...) }

func (x *session) fail(format string, args ...any) { x.say("-ERR", format, args...) }

// maxAnswer is the longest text of an answer: 512 bytes with its status and
// CRLF are the most (RFC 1939 §3).
const maxAnswer = 500

func (x *session) say(status, format string, args ...any) {
	text := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	if text != "" {
		text = " " + text[:min(len(text), maxAnswer)]
	}
	_, _ = x.conn.Writer.WriteString(status + text + "\r\n")
}

// command reads a command and carries it out.
func (x *session) command(ctx context.Context) {
	line, err := x.conn.ReadLine(maxLine)
	switch {
	case errors.Is(err, server.ErrLine):
		x.misused("a command is a line of at most %d bytes that ends in CRLF", maxLine)
		return
	case err != nil:
		x.bye(err)
		return
	}
	word, rest, given := strings.Cut(string(line), " ")
	word = strings.ToUpper(word)
	v, known := verbs[word]
	var args []string
	switch {
	case word == "PASS" && given:
		args = []string{rest}
	case given:
		args = strings.Fields(rest)
	}
	switch {
	case !known:
		x.misused("unknown command")
	case v.state == authorization && x.drop != nil:
		x.fail("you are logged in already")
	case v.state == transaction && x.drop == nil:
		x.misused("log in first")
	case len(args) < v.min || len(args) > v.max:
		x.misused("%s takes %s", word, count(v))
	default:
		v.do(x, ctx, args)
	}
}

func count(v verb) string {
	switch {
	case v.max == 0:
		return "no argument"
	case v.min == v.max && v.min == 1:
		return "one argument"
	case v.min == v.max:
		return fmt.Sprintf("%d arguments", v.min)
	case v.min > 0:
		return fmt.Sprintf("%d to %d arguments", v.min, v.max)
	}
	return fmt.Sprintf("at most %d arguments", v.max)
}

// misused answers what no client should send, and after too much of it ends
// the session.
func (x *session) misused(format string, args ...any) {
	x.fail(format, args...)
	if x.bad++; x.bad >= maxBad {
		x.ended = true
	}
}

// bye ends a session from our side. Nothing is deleted (RFC 1939 §3).
func (x *session) bye(err error) {
	x.ended = true
	switch {
	case errors.Is(err, server.ErrEnding):
		x.fail("[SYS/TEMP] the server is shutting down, try again")
	case errors.Is(err, server.ErrIdle):
		x.fail("[SYS/TEMP] you waited too long")
	}
}

func (x *session) leave(ctx context.Context) {
	if x.drop == nil {
		return
	}
	x.closeDrop(ctx)
	x.log.Info("session", "user", x.user,
		"messages", len(x.drop.items), "retrieved", x.read, "bytes", x.sent, "deleted", x.removed)
}

func (x *session) closeDrop(ctx context.Context) {
	if err := x.drop.close(ctx); err != nil {
		x.log.Warn("file names", "user", x.user, "error", err)
	}
}

// capa lists what a client may use (RFC 2449).
func (x *session) capa(ctx context.Context, _ []string) {
	lines := []string{"TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "LANG", "UTF8 USER"}
	lines = append(lines, x.server.announced()...)
	if x.drop == nil && x.server.logins.RefusesPasswords(x.conn) == nil {
		lines = append(lines, "USER")
	}
	if names := x.server.logins.Mechanisms(ctx, x.conn); x.drop == nil && len(names) > 0 {
		lines = append(lines, "SASL "+strings.Join(names, " "))
	}
	if x.server.TLS != nil && x.conn.TLS == nil && x.drop == nil {
		lines = append(lines, "STLS")
	}
	x.multi("capability list follows", append(lines, "IMPLEMENTATION Bobbin")...)
}

// lang chooses the language of answers, of which there is one (RFC 6856 §3).
func (x *session) lang(_ context.Context, args []string) {
	switch {
	case len(args) == 0:
		x.multi("language listing follows", "en English")
	case args[0] == "*":
		x.ok("i-default the default language")
	case strings.EqualFold(args[0], "en") || strings.EqualFold(args[0], "i-default"):
		x.ok("%s English", strings.ToLower(args[0]))
	default:
		x.fail("no such language")
	}
}

func (x *session) stls(ctx context.Context, _ []string) {
	switch {
	case x.server.TLS == nil || x.conn.TLS != nil:
		x.fail("STLS is not offered")
		return
	case x.utf8: // RFC 6856 §2.1
		x.fail("give STLS before UTF8")
		return
	}
	x.ok("begin TLS")
	if err := x.conn.StartTLS(ctx, x.server.TLS); err != nil {
		x.log.Warn("STLS", "error", err)
		x.ended = true
	}
	x.name = "" // what was said in plain is forgotten (RFC 2595 §4)
}

// quit ends a session, and in the TRANSACTION state carries out what it asked
// for (RFC 1939 §6).
func (x *session) quit(ctx context.Context, _ []string) {
	x.ended = true
	if x.drop == nil {
		x.ok("%s signing off", x.server.Name)
		return
	}
	if x.update(ctx) != nil {
		x.fail(notRemoved)
		return
	}
	x.ok("%s signing off, %d messages left", x.server.Name, x.drop.left)
}

const notRemoved = "[SYS/TEMP] some deleted messages are not removed, try again later"

// update does what the client asked for. An error is in the log, and deleted
// messages are left.
func (x *session) update(ctx context.Context) error {
	n, err, marked := x.drop.update(ctx)
	x.removed += n
	if marked != nil { // no promise of POP3
		x.log.Warn("messages are not marked as seen", "user", x.user, "error", marked)
	}
	if err != nil {
		x.log.Error("messages are not removed", "user", x.user, "error", err)
	}
	return err
}

// multi answers with lines after the first.
func (x *session) multi(first string, lines ...string) {
	x.ok("%s", first)
	for _, line := range append(lines, ".") {
		_, _ = x.conn.Writer.WriteString(line + "\r\n")
	}
}
