package imap

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"unicode"

	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/message"
)

// maxBad is how many commands that cannot be understood a client may send one
// after the other, and maxWrong how many logins that are refused.
const (
	maxBad   = 20
	maxWrong = 5
)

// session is a client.
type session struct {
	server *Server
	conn   *server.Conn
	log    *slog.Logger
	p      parser
	tag    string

	user  string // who is logged in; "" before
	view  *view  // the selected mailbox, or nil
	rev2  bool   // ENABLE IMAP4rev2
	utf8  bool   // UTF-8 names and strings
	bad   int
	wrong int // logins that were refused
	ended bool
	out   []byte // what is being written

	// What was read of a message, for the next part of it.
	scannedUID uint32
	scanned    *message.Message
	at         position

	commands, fetched int // for the log
	sent              int64
}

// state is where a command may be given (RFC 9051 §3).
type state int

const (
	anywhere state = iota
	notAuthenticated
	authenticated
	selected
)

// verb is a command. Its handler reads the arguments, and answers.
type verb struct {
	state state
	do    func(x *session, ctx context.Context)
}

var verbs map[string]verb

func init() { // for handlers that look into it
	verbs = map[string]verb{
		"CAPABILITY":   {anywhere, (*session).capability},
		"NOOP":         {anywhere, (*session).noop},
		"LOGOUT":       {anywhere, (*session).logout},
		"ID":           {anywhere, (*session).id},
		"STARTTLS":     {notAuthenticated, (*session).startTLS},
		"LOGIN":        {notAuthenticated, (*session).login},
		"AUTHENTICATE": {notAuthenticated, (*session).authenticate},
		"ENABLE":       {authenticated, (*session).enable},
		"SELECT":       {authenticated, func(x *session, ctx context.Context) { x.selectMailbox(ctx, false) }},
		"EXAMINE":      {authenticated, func(x *session, ctx context.Context) { x.selectMailbox(ctx, true) }},
		"CREATE":       {authenticated, (*session).create},
		"DELETE":       {authenticated, (*session).remove},
		"RENAME":       {authenticated, (*session).rename},
		"SUBSCRIBE":    {authenticated, func(x *session, ctx context.Context) { x.subscribe(ctx, true) }},
		"UNSUBSCRIBE":  {authenticated, func(x *session, ctx context.Context) { x.subscribe(ctx, false) }},
		"LIST":         {authenticated, (*session).list},
		"LSUB":         {authenticated, (*session).lsub},
		"NAMESPACE":    {authenticated, (*session).namespace},
		"STATUS":       {authenticated, (*session).status},
		"APPEND":       {authenticated, (*session).appendMessages},
		"IDLE":         {authenticated, (*session).idle},
		"CHECK":        {selected, (*session).noop},
		"CLOSE":        {selected, (*session).closeMailbox},
		"UNSELECT":     {selected, (*session).unselect},
		"EXPUNGE":      {selected, func(x *session, ctx context.Context) { x.expunge(ctx, false) }},
		"SEARCH":       {selected, func(x *session, ctx context.Context) { x.search(ctx, false) }},
		"FETCH":        {selected, func(x *session, ctx context.Context) { x.fetch(ctx, false) }},
		"STORE":        {selected, func(x *session, ctx context.Context) { x.store(ctx, false) }},
		"COPY":         {selected, func(x *session, ctx context.Context) { x.copy(ctx, false, false) }},
		"MOVE":         {selected, func(x *session, ctx context.Context) { x.copy(ctx, false, true) }},
		"UID":          {selected, (*session).byUID},
	}
}

// byUID is the commands that name messages by UID.
func (x *session) byUID(ctx context.Context) {
	x.p.sp()
	switch word := x.p.atom(); word {
	case "FETCH":
		x.fetch(ctx, true)
	case "STORE":
		x.store(ctx, true)
	case "SEARCH":
		x.search(ctx, true)
	case "COPY":
		x.copy(ctx, true, false)
	case "MOVE":
		x.copy(ctx, true, true)
	case "EXPUNGE":
		x.expunge(ctx, true)
	default:
		x.p.bad("there is no command UID %.20s", word)
	}
}

// command reads a command and carries it out.
func (x *session) command(ctx context.Context) {
	limit := maxLine
	if x.user == "" {
		limit = maxLineBefore
	}
	x.tag = "*"
	x.p.most = maxLiteral
	if x.user != "" {
		x.p.most = x.server.MaxSize
	}
	err := x.p.begin(limit)
	if err == nil {
		if tag := x.p.tag(); tag != "" {
			x.tag = tag
		}
		x.p.sp()
		word := x.p.atom()
		v, known := verbs[word]
		switch {
		case x.p.err != nil:
		case !known:
			x.p.bad("there is no command %.20s", word)
		case v.state == notAuthenticated && x.user != "":
			x.p.bad("you are logged in already")
		case v.state > notAuthenticated && x.user == "":
			x.p.bad("log in first")
		case v.state == selected && x.view == nil:
			x.p.bad("select a mailbox first")
		default:
			x.commands++
			v.do(x, ctx)
		}
	} else {
		x.p.broken(err)
	}
	x.finish()
	x.p.forget()
}

// finish answers a command whose handler found that it cannot be understood,
// and ends the session when the connection is broken.
func (x *session) finish() {
	if x.p.err == nil {
		x.bad = 0
		return
	}
	why := x.p.err
	if !understood(why) {
		x.bye(why)
		return
	}
	if err := x.p.skip(); err != nil {
		x.bye(err)
		return
	}
	if refused, ok := why.(errRefused); ok {
		x.reply("NO %s", string(refused))
		return
	}
	if x.bad++; x.bad >= maxBad {
		x.untagged("BYE too many bad commands")
		x.ended = true
		return
	}
	x.reply("BAD %s", why)
}

// bye ends a session from our side.
func (x *session) bye(err error) {
	x.ended = true
	switch {
	case errors.Is(err, server.ErrEnding):
		x.untagged("BYE the server is shutting down, connect again")
	case errors.Is(err, server.ErrIdle):
		x.untagged("BYE you waited too long")
	case errors.Is(err, server.ErrLine): // where it ends, nobody can tell for sure
		x.untagged("BYE a line has at most %d bytes and ends in CRLF", x.p.limit)
	case errors.Is(err, errFlood):
		x.untagged("BYE that is too much")
	}
}

func (x *session) leave(ctx context.Context) {
	x.deselect(ctx)
	if x.user != "" {
		x.log.Info("session", "user", x.user, "commands", x.commands, "messages", x.fetched, "bytes", x.sent)
	}
}

// untagged and reply write a line. What a message or client said is in it as
// printable ASCII.
func (x *session) untagged(format string, args ...any) { x.line("*", format, args...) }

func (x *session) reply(format string, args ...any) { x.line(x.tag, format, args...) }

func (x *session) line(tag, format string, args ...any) {
	text := strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, fmt.Sprintf(format, args...))
	_, _ = x.conn.Writer.WriteString(tag + " " + text + "\r\n")
}

// flush writes what was put together in out.
func (x *session) flush() {
	_, _ = x.conn.Writer.Write(x.out)
	if cap(x.out) > 64<<10 {
		x.out = nil
	}
	x.out = x.out[:0]
}

// done answers a command that needed the spool: OK, or what went wrong. The log
// has the whole error, the client what it can use.
func (x *session) done(ok string, err error) {
	if err == nil {
		x.reply("OK %s", ok)
		return
	}
	for _, known := range answers {
		if known.is(err) {
			x.reply("NO %s %s", known.code, known.text)
			return
		}
	}
	x.log.Error("command", "user", x.user, "error", err)
	x.reply("NO [UNAVAILABLE] that could not be done now; try again later")
}

// answers are the errors that say something to a client (RFC 5530).
var answers = []struct {
	is         func(error) bool
	code, text string
}{
	{isErr(errReadOnly), "[CANNOT]", "the mailbox is open to be read only"},
	{isErr(spool.ErrNoFolder), "[NONEXISTENT]", "there is no such mailbox"},
	{isErr(spool.ErrExists), "[ALREADYEXISTS]", "there is such a mailbox already, or one that differs in case alone"},
	{isErr(spool.ErrBadName), "[CANNOT]", "no mailbox or keyword can have that name"},
	{isErr(spool.ErrNoMessage), "[EXPUNGEISSUED]", "some of the messages are gone"},
	{isErr(fs.ErrPermission), "[NOPERM]", "that is not permitted"},
	{isErr(errEncoding), "[UNKNOWN-CTE]", "the transfer encoding of a part is unknown"},
	{spool.NoRoom, "[OVERQUOTA]", "there is no room left"},
}

func isErr(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}
