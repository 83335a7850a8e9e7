package pop

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/message"
)

// POP is how the server is put on a listener for the first Post Office Protocol
// (RFC 918), which sends a mailbox as a whole. How the messages in it are told
// apart is not said there; here they are an mbox (RFC 4155, mboxrd) with CRLF.
func (s *Server) POP() server.Protocol {
	return server.Protocol{
		Name:  "pop",
		Busy:  "-ERR too many connections, try again later\r\n",
		Idle:  10 * time.Minute,
		Serve: s.servePOP,
	}
}

// session1 is a client of POP.
type session1 struct {
	*session
	remove bool  // what RDEL asks for
	size   int64 // what was announced; -1 outside a transaction
	given  bool  // it was sent
}

func (s *Server) servePOP(ctx context.Context, c *server.Conn) {
	x := &session1{session: s.newSession(c, "pop"), size: -1}
	defer x.leave(ctx)
	x.ok("%s POP Bobbin", s.Name)
	for !x.ended {
		x.command(ctx)
	}
	_ = c.Writer.Flush()
}

func (x *session1) command(ctx context.Context) {
	line, err := x.conn.ReadLine(maxOldLine)
	switch {
	case errors.Is(err, server.ErrLine):
		x.misused("a command is a line of at most %d bytes that ends in CRLF", maxOldLine+2)
		return
	case err != nil:
		x.bye(err)
		return
	}
	word, arg, _ := strings.Cut(string(line), " ")
	switch word = strings.ToUpper(word); {
	case word == "QUIT":
		x.ended = true
		x.ok("%s signing off", x.server.Name)
	case word == "USER" && x.drop == nil && arg != "":
		x.userName(ctx, []string{arg})
	case word == "PASS" && x.drop == nil && x.name != "":
		name := x.name
		x.name = ""
		if why := x.oldLogin(ctx, name, arg); why != "" {
			x.misused("%s", why)
			return
		}
		x.ok("%d messages", len(x.drop.items))
	case x.drop == nil:
		x.misused("log in first")
	default:
		x.transaction(ctx, word, arg)
	}
}

// transaction is a command of who is logged in.
func (x *session1) transaction(ctx context.Context, word, arg string) {
	switch {
	case word == "NOOP":
		x.ok("")
	case word == "RSET":
		x.size, x.given = -1, false
		x.ok("")
	case (word == "RETR" || word == "RDEL") && x.size < 0:
		x.begin(ctx, arg, word == "RDEL")
	case (word == "RCEV" || word == "RECV") && x.size >= 0 && !x.given: // RFC 918 has both
		x.give(ctx)
	case word == "RCVD" && x.given:
		x.received(ctx)
	default:
		x.misused("unknown command, or not now")
	}
}

// begin tells how long a mailbox is. Without a name it is INBOX.
func (x *session1) begin(ctx context.Context, name string, remove bool) {
	if name == "" {
		name = spool.Inbox
	}
	if err := x.openFolder(ctx, name); err != nil {
		x.log.Error("folder", "user", x.user, "error", err)
		x.fail("the mailbox cannot be had now, try again later")
		return
	}
	n, err := x.writeMbox(ctx, io.Discard)
	if err != nil {
		x.log.Error("mailbox", "user", x.user, "error", err)
		x.fail("the mailbox cannot be read now, try again later")
		return
	}
	x.size, x.remove, x.given = n, remove, false
	x.say("#"+strconv.FormatInt(n, 10), "characters in %d messages", len(x.drop.items))
}

// give sends the mailbox.
func (x *session1) give(ctx context.Context) {
	out := &exactly{x.conn.Writer, x.size}
	n, err := x.writeMbox(ctx, out)
	if err == nil && n != x.size {
		err = errLength
	}
	if err != nil {
		x.log.Error("mailbox", "user", x.user, "error", err)
		x.ended = true
		return
	}
	x.sent, x.given = x.sent+n, true
}

// received ends a transaction.
func (x *session1) received(ctx context.Context) {
	for i := range x.drop.items {
		it := &x.drop.items[i]
		it.read, it.deleted = true, x.remove && x.drop.board == ""
	}
	x.read += len(x.drop.items)
	x.size, x.given = -1, false
	if x.update(ctx) != nil {
		x.fail("some messages are not removed, try again later")
		return
	}
	x.ok("")
}

// writeMbox writes all messages and tells how many bytes they take.
func (x *session1) writeMbox(ctx context.Context, w io.Writer) (int64, error) {
	wire := &wireWriter{converter{w: w}}
	out := bufio.NewWriter(wire)
	for i := range x.drop.items {
		if err := x.writeMessage(ctx, out, x.drop.items[i].Message); err != nil {
			return 0, err
		}
	}
	err := out.Flush()
	return wire.written, err
}

func (x *session1) writeMessage(ctx context.Context, out *bufio.Writer, m *spool.Message) error {
	f, err := x.drop.mailbox.OpenListed(ctx, m)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, chunk)
	head, err := in.Peek(chunk)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return message.WriteMbox(out, message.Header(head).Get("Return-Path"), m.Date, in)
}

// wireWriter makes CRLF of every line end.
type wireWriter struct{ converter }

// Write is [io.Writer].
func (w *wireWriter) Write(p []byte) (int, error) {
	out, _ := w.convert(nil, p, func() bool { return false })
	n, err := w.w.Write(out)
	w.written += int64(n)
	return len(p), err
}
