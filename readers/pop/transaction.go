package pop

import (
	"context"
	"errors"
	"io"
	"strconv"

	"github.com/bobbinmail/bobbin/spool"
)

// number reads the number of a message, or answers that there is none such and
// returns nil.
func (x *session) number(text string) *item {
	n, err := strconv.ParseUint(text, 10, 32)
	switch {
	case err != nil:
		x.misused("%s is no number of a message", text)
	case n == 0 || n > uint64(len(x.drop.items)):
		x.fail("no such message, there are %d", len(x.drop.items))
	case x.drop.items[n-1].deleted:
		x.fail("message %d is deleted", n)
	default:
		return &x.drop.items[n-1]
	}
	return nil
}

func (x *session) stat(context.Context, []string) {
	n, size := x.drop.totals()
	x.ok("%d %d", n, size)
}

func (x *session) list(_ context.Context, args []string) {
	x.each(args, func(it *item) string {
		text := strconv.FormatInt(it.wire, 10)
		if x.drop.board != "" { // RFC 1082
			text += " " + strconv.FormatUint(uint64(it.UID), 10)
		}
		return text
	})
}

func (x *session) uidl(_ context.Context, args []string) {
	validity := x.drop.mailbox.UIDValidity()
	x.each(args, func(it *item) string { return x.server.UIDL.of(it.Message, validity) })
}

// each answers with something of one message, or of all.
func (x *session) each(args []string, text func(*item) string) {
	if len(args) == 1 {
		if it := x.number(args[0]); it != nil {
			x.ok("%d %s", it.number, text(it))
		}
		return
	}
	n, size := x.drop.totals()
	x.ok("%d messages (%d octets)", n, size)
	w := x.conn.Writer
	for i := range x.drop.items {
		if it := &x.drop.items[i]; !it.deleted {
			_, _ = w.WriteString(strconv.Itoa(it.number) + " " + text(it) + "\r\n")
		}
	}
	_, _ = w.WriteString(".\r\n")
}

func (x *session) dele(_ context.Context, args []string) {
	it := x.number(args[0])
	switch {
	case it == nil:
	case x.drop.board != "": // RFC 1082
		x.ok("message %d stays in the bboard", it.number)
	default:
		it.deleted = true
		x.touch(it)
		x.ok("message %d deleted", it.number)
	}
}

// touch notes the highest message that was accessed (RFC 1225, LAST).
func (x *session) touch(it *item) { x.drop.highest = max(x.drop.highest, it.number) }

func (x *session) rset(context.Context, []string) {
	for i := range x.drop.items {
		x.drop.items[i].deleted = false
	}
	x.drop.highest = x.drop.last
	n, size := x.drop.totals()
	x.ok("%d messages (%d octets)", n, size)
}

func (x *session) last(context.Context, []string) { x.ok("%d", x.drop.highest) }

func (x *session) retr(ctx context.Context, args []string) {
	if it := x.number(args[0]); it != nil && x.send(ctx, it, -1) {
		it.read = true
		x.read++
		x.touch(it)
	}
}

func (x *session) top(ctx context.Context, args []string) {
	lines, err := strconv.ParseUint(args[1], 10, 31)
	if err != nil {
		x.misused("%s is no number of lines", args[1])
		return
	}
	if it := x.number(args[0]); it != nil {
		x.send(ctx, it, int(lines))
	}
}

// send sends a message, or its header and that many lines of its body. A
// message that cannot be read to its end ends the session: the client must not
// take a part for the whole.
func (x *session) send(ctx context.Context, it *item, lines int) bool {
	f, err := x.drop.mailbox.OpenListed(ctx, it.Message)
	if errors.Is(err, spool.ErrNoMessage) {
		x.fail("the message is gone")
		return false
	}
	if err != nil {
		x.log.Error("message", "user", x.user, "error", err)
		x.fail("[SYS/TEMP] the message cannot be read now")
		return false
	}
	defer f.Close()
	r, surrogate := io.Reader(f), false
	if !x.utf8 {
		var done func()
		r, surrogate, done, err = conventional(f)
		defer done()
	}
	switch {
	case errors.Is(err, errUTF8):
		x.fail("[UTF8] the message needs a client that gives UTF8")
		return false
	case err != nil:
		x.log.Error("message", "user", x.user, "error", err)
		x.fail("[SYS/TEMP] the message cannot be read now")
		return false
	case lines >= 0:
		x.ok("top of message follows")
	case surrogate:
		x.ok("message follows, its header converted for a client without UTF8")
	default:
		x.ok("%d octets", it.wire)
	}
	c := &converter{w: x.conn.Writer, stuff: true, left: lines}
	if lines < 0 {
		err = c.copyAll(r)
	} else {
		err = c.copyTop(r)
	}
	if err != nil {
		x.log.Error("message", "user", x.user, "error", err)
		x.ended = true
		return false
	}
	if err := c.end(); err != nil {
		x.ended = true
		return false
	}
	x.sent += c.written
	return true
}
