package pop

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/readers/sasl"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// maxOldLine is the longest command of POP2 in bytes, without its CRLF (RFC 937).
const maxOldLine = 510

// POP2 is how the server is put on a listener for POP2 (RFC 937). Its rule is:
// if anything goes wrong, the connection ends.
func (s *Server) POP2() server.Protocol {
	return server.Protocol{
		Name:  "pop2",
		Busy:  "- too many connections, try again later\r\n",
		Idle:  10 * time.Minute,
		Serve: s.servePOP2,
	}
}

// session2 is a client of POP2.
type session2 struct {
	*session
	state   state2
	current int // number of the current message
}

// state2 is one of RFC 937's server states, as bits.
type state2 uint8

const (
	auth state2 = 1 << iota
	mbox
	item2
	next
)

// verbs2 are the commands and the states in which they may come.
var verbs2 = map[string]struct {
	states state2
	do     func(x *session2, ctx context.Context, arg string)
}{
	"HELO": {auth, (*session2).helo},
	"FOLD": {mbox | item2, (*session2).fold},
	"READ": {mbox | item2, (*session2).read},
	"RETR": {item2, (*session2).retr},
	"ACKS": {next, func(x *session2, _ context.Context, _ string) { x.acknowledge(false) }},
	"ACKD": {next, func(x *session2, _ context.Context, _ string) { x.acknowledge(true) }},
	"NACK": {next, func(x *session2, _ context.Context, _ string) { x.length() }},
	"QUIT": {auth | mbox | item2, (*session2).quit},
}

func (s *Server) newSession(c *server.Conn, protocol string) *session {
	return &session{server: s, conn: c, log: s.Log.With("protocol", protocol, "client", c.Remote, "connection", c.ID)}
}

func (s *Server) servePOP2(ctx context.Context, c *server.Conn) {
	x := &session2{session: s.newSession(c, "pop2"), state: auth}
	defer x.leave(ctx)
	x.say("+", "POP2 %s Bobbin", s.Name)
	for !x.ended {
		x.command(ctx)
	}
	_ = c.Writer.Flush()
}

// wrong ends the session.
func (x *session2) wrong(format string, args ...any) {
	x.say("-", format, args...)
	x.ended = true
}

func (x *session2) command(ctx context.Context) {
	line, err := x.conn.ReadLine(maxOldLine)
	switch {
	case errors.Is(err, server.ErrLine):
		x.wrong("a command is a line of at most %d bytes that ends in CRLF", maxOldLine+2)
		return
	case errors.Is(err, server.ErrEnding):
		x.wrong("the server is shutting down, try again")
		return
	case errors.Is(err, server.ErrIdle):
		x.wrong("you waited too long")
		return
	case err != nil:
		x.ended = true
		return
	}
	word, arg, given := strings.Cut(string(line), " ")
	word = strings.ToUpper(word)
	v, known := verbs2[word]
	takes := word == "HELO" || word == "FOLD"
	switch {
	case !known:
		x.wrong("unknown command")
	case v.states&x.state == 0:
		x.wrong("%s may not come now", word)
	case takes && arg == "" || !takes && word != "READ" && given:
		x.wrong("%s has other arguments", word)
	default:
		v.do(x, ctx, arg)
	}
}

// unquote takes the words of arguments apart; a backslash makes the next
// character an ordinary one (RFC 937, Quoting). With whole, spaces are such.
func unquote(s string, whole bool) (words []string, ok bool) {
	var word strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 == len(s):
			return nil, false
		case c == '\\':
			i++
			word.WriteByte(s[i])
		case c == ' ' && !whole:
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteByte(c)
		}
	}
	return append(words, word.String()), utf8.ValidString(s)
}

// helo is the login.
func (x *session2) helo(ctx context.Context, arg string) {
	words, ok := unquote(arg, false)
	if !ok || len(words) != 2 || words[0] == "" || words[1] == "" {
		x.wrong("HELO takes a user and a password")
		return
	}
	if why := x.oldLogin(ctx, words[0], words[1]); why != "" {
		x.wrong("%s", why)
		return
	}
	x.count("in your mailbox")
}

// oldLogin opens the mailbox of whoever has a name and a password, or says why
// not.
func (x *session) oldLogin(ctx context.Context, name, password string) (why string) {
	if err := x.conn.Writer.Flush(); err != nil {
		return "gone"
	}
	user, err := x.server.logins.Login(ctx, x.conn, name, []byte(password))
	switch {
	case err == nil && x.server.delays.tooSoon(user, x.server.LoginDelay, time.Now()):
		return fmt.Sprintf("you were here less than %s ago", x.server.LoginDelay)
	case err == nil:
		err = x.open(ctx, user)
	case errors.Is(err, sasl.ErrPrivate):
		return "passwords are not taken from other hosts"
	case errors.Is(err, readers.ErrDenied):
		x.log.Warn("login refused", "error", err)
		return "wrong name or password"
	}
	switch {
	case errors.Is(err, locking.ErrHeld):
		return "another session has your mail"
	case err != nil:
		x.log.Error("login", "user", user, "error", err)
		return "your mail cannot be had now, try again later"
	}
	return ""
}

// count tells how many messages there are; the first is the current one.
func (x *session2) count(where string) {
	x.state, x.current = mbox, 1
	x.say("#"+strconv.Itoa(len(x.drop.items)), "messages %s", where)
}

// fold goes on with another folder: INBOX, one of the user's or a shared one.
// There are no messages in one that does not exist.
func (x *session2) fold(ctx context.Context, arg string) {
	words, ok := unquote(arg, true)
	if !ok {
		x.wrong("the mailbox is badly quoted")
		return
	}
	if x.update(ctx) != nil {
		x.wrong("some deleted messages are not removed")
		return
	}
	if err := x.openFolder(ctx, words[0]); err != nil {
		x.log.Error("folder", "user", x.user, "error", err)
		x.wrong("the mailbox cannot be had now, try again later")
		return
	}
	x.count("in that mailbox")
}

// openFolder puts another snapshot in the place of the present one, which is
// closed.
func (x *session) openFolder(ctx context.Context, name string) error {
	x.closeDrop(ctx)
	x.drop = &drop{}
	if strings.EqualFold(name, spool.Inbox) {
		return x.open(ctx, x.user)
	}
	m, err := x.server.backend.Open(ctx, x.user, name)
	if errors.Is(err, spool.ErrNoFolder) || errors.Is(err, spool.ErrBadName) {
		return nil
	}
	if err != nil {
		return err
	}
	d := &drop{mailbox: m}
	if spool.IsPublic(name) {
		d.board = name
	}
	if err := d.fill(ctx); err != nil {
		return errors.Join(err, d.close(ctx))
	}
	x.drop = d
	return nil
}

// read makes another message the current one, or stays.
func (x *session2) read(_ context.Context, arg string) {
	if arg = strings.TrimSpace(arg); arg != "" {
		n, err := strconv.ParseUint(arg, 10, 31)
		if err != nil {
			x.wrong("READ takes the number of a message")
			return
		}
		x.current = int(n)
	}
	x.length()
}

// message is the current message; nil if there is none, or it is deleted.
func (x *session2) message() *item {
	if x.current < 1 || x.current > len(x.drop.items) || x.drop.items[x.current-1].deleted {
		return nil
	}
	return &x.drop.items[x.current-1]
}

// length tells how long the current message is.
func (x *session2) length() {
	x.state = item2
	if it := x.message(); it != nil {
		x.say("="+strconv.FormatInt(it.wire, 10), "characters in message %d", x.current)
		return
	}
	x.say("=0", "no such message")
}

// retr sends as many characters as were announced, or breaks off.
func (x *session2) retr(ctx context.Context, _ string) {
	it := x.message()
	if it == nil || it.wire == 0 {
		x.ended = true
		return
	}
	x.state = next
	if err := x.sendExactly(ctx, it); err != nil {
		x.log.Error("message", "user", x.user, "error", err)
		x.ended = true
	}
}

// exactly lets so many bytes pass.
type exactly struct {
	w    *server.Writer
	left int64
}

var errLength = errors.New("the message is not as long as was announced")

// Write is [io.Writer].
func (e *exactly) Write(p []byte) (int, error) {
	if e.left -= int64(len(p)); e.left < 0 {
		return 0, errLength
	}
	return e.w.Write(p)
}

func (x *session2) sendExactly(ctx context.Context, it *item) error {
	f, err := x.drop.mailbox.OpenListed(ctx, it.Message)
	if err != nil {
		return err
	}
	defer f.Close()
	out := &exactly{x.conn.Writer, it.wire}
	c := &converter{w: out}
	if err := c.copyAll(f); err != nil {
		return err
	}
	x.sent += c.written
	if out.left != 0 {
		return errLength
	}
	return nil
}

// acknowledge ends a transaction; the next message is the current one.
func (x *session2) acknowledge(remove bool) {
	it := x.message()
	it.read = true
	it.deleted = remove && x.drop.board == ""
	x.session.read++
	x.current++
	x.length()
}

func (x *session2) quit(ctx context.Context, _ string) {
	if x.drop != nil && x.update(ctx) != nil {
		x.wrong("some deleted messages are not removed")
		return
	}
	x.ended = true
	x.say("+", "OK %s signing off", x.server.Name)
}
