package lmtp

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/bobbinmail/bobbin/readers/server"
)

// maxLine is the longest command in bytes: 512 of RFC 5321 and what its
// extensions add.
const maxLine = 4096

// maxBad is how many bad commands a client may give.
const maxBad = 20

// session is a client.
type session struct {
	server  *Server
	conn    *server.Conn
	trusted bool
	client  string // who it is, for the log; XCLIENT changes it
	greeted bool
	bad     int
	count   int // of messages
	ended   bool

	forwarded map[string]string // what XFORWARD said of the next message
	mail      *transaction      // nil outside of one
}

// transaction is what stands between MAIL and the end of the message.
type transaction struct {
	message    *Message
	utf8       bool
	binary     bool  // BODY=BINARYMIME, which BDAT alone can bring
	size       int64 // as the client estimates, 0 if it does not
	recipients []Recipient
	chunks     bool  // BDAT has begun
	failed     error // why the message cannot be taken any more
}

// verbs are the commands; each says itself when it may come.
var verbs = map[string]func(x *session, ctx context.Context, args string) *Reply{
	"LHLO": (*session).lhlo, "MAIL": (*session).mailFrom, "RCPT": (*session).rcptTo, "DATA": (*session).data, "BDAT": (*session).bdat,
	"RSET": (*session).rset, "NOOP": (*session).noop, "QUIT": (*session).quit, "VRFY": (*session).vrfy, "HELP": (*session).help,
	"STARTTLS": (*session).startTLS, "XCLIENT": (*session).xclient, "XFORWARD": (*session).xforward,
}

func (x *session) greet() { x.say(replyf(220, "", "%s LMTP Bobbin", x.server.Name)) }

// say writes a reply, which is sent when the next command is waited for.
func (x *session) say(r *Reply) { _, _ = x.conn.Writer.WriteString(r.Error() + "\r\n") }

// command reads a command and answers it.
func (x *session) command(ctx context.Context) {
	line, err := x.conn.ReadLine(maxLine)
	var r *Reply
	switch {
	case errors.Is(err, server.ErrLine):
		r = replyf(500, "5.5.2", "a command is a line of at most %d bytes that ends in CRLF", maxLine)
	case err != nil:
		x.bye(err)
		return
	default:
		verb, args, _ := strings.Cut(string(line), " ")
		f := verbs[strings.ToUpper(verb)]
		if f == nil {
			r = x.unknown(strings.ToUpper(verb))
		} else {
			r = f(x, ctx, args)
		}
	}
	if r == nil || x.ended {
		return
	}
	x.say(r)
	if r.Code/100 == 5 && r.Code < 550 {
		if x.bad++; x.bad >= maxBad {
			x.say(replyf(421, "4.7.0", "too many bad commands"))
			x.ended = true
		}
	}
}

// bye ends a session from our side.
func (x *session) bye(err error) {
	x.ended = true
	switch {
	case errors.Is(err, server.ErrEnding):
		x.say(replyf(421, "4.3.2", "%s is shutting down, try again", x.server.Name))
	case errors.Is(err, server.ErrIdle):
		x.say(replyf(421, "4.4.2", "%s waited too long", x.server.Name))
	}
}

func (x *session) unknown(verb string) *Reply {
	switch verb {
	case "HELO", "EHLO":
		return replyf(500, "5.5.1", "this is LMTP: say LHLO") // RFC 2033 §4.1
	case "EXPN", "TURN", "ETRN", "AUTH", "SEND", "SOML", "SAML":
		return replyf(502, "5.5.1", "%s is not supported", verb)
	}
	return replyf(500, "5.5.2", "unknown command")
}

// reset ends a transaction.
func (x *session) reset() {
	if x.mail != nil {
		x.mail.message.close()
	}
	x.mail = nil
}

func (x *session) lhlo(_ context.Context, args string) *Reply {
	if strings.TrimSpace(args) == "" {
		return replyf(501, "5.5.4", "LHLO needs the name of the client")
	}
	x.reset()
	x.greeted, x.forwarded = true, nil
	lines := []string{x.server.Name, "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", fmt.Sprintf("SIZE %d", x.server.MaxSize),
		"CHUNKING", "BINARYMIME", "DSN"}
	if x.server.TLS != nil && x.conn.TLS == nil {
		lines = append(lines, "STARTTLS")
	}
	if x.trusted {
		lines = append(lines, offered...)
	}
	for _, line := range lines {
		_, _ = x.conn.Writer.WriteString("250-" + line + "\r\n")
	}
	return replyf(250, "", "HELP")
}

func (x *session) rset(_ context.Context, args string) *Reply {
	if args != "" {
		return noArguments("RSET")
	}
	x.reset()
	x.forwarded = nil
	return replyf(250, "2.0.0", "OK")
}

func (x *session) noop(context.Context, string) *Reply { return replyf(250, "2.0.0", "OK") }

func (x *session) quit(_ context.Context, args string) *Reply {
	if args != "" {
		return noArguments("QUIT")
	}
	x.say(replyf(221, "2.0.0", "%s closes the connection", x.server.Name))
	x.ended = true
	return nil
}

// vrfy tells nobody who has a mailbox (RFC 5321 §7.3).
func (x *session) vrfy(_ context.Context, args string) *Reply {
	if args == "" {
		return replyf(501, "5.5.4", "VRFY needs an address")
	}
	return replyf(252, "2.5.2", "RCPT tells whether there is such a user")
}

func (x *session) help(context.Context, string) *Reply {
	return replyf(214, "2.0.0", "LMTP of RFC 2033: LHLO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP")
}

func (x *session) startTLS(ctx context.Context, args string) *Reply {
	switch {
	case x.server.TLS == nil || x.conn.TLS != nil:
		return replyf(502, "5.5.1", "STARTTLS is not offered")
	case args != "":
		return noArguments("STARTTLS")
	}
	x.reset()
	x.say(replyf(220, "2.0.0", "go ahead"))
	if err := x.conn.StartTLS(ctx, x.server.TLS); err != nil {
		x.server.Log.Warn("STARTTLS", "client", x.client, "error", err)
		x.ended = true
		return nil
	}
	x.greeted, x.forwarded = false, nil // RFC 3207 §4.2
	return nil
}

func noArguments(verb string) *Reply { return replyf(501, "5.5.4", "%s takes no argument", verb) }
