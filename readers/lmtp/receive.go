package lmtp

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/readers/server"
)

func (x *session) data(ctx context.Context, args string) *Reply {
	switch {
	case x.mail == nil:
		return replyf(503, "5.5.1", "say MAIL first")
	case x.mail.chunks:
		return replyf(503, "5.5.1", "the message came by BDAT")
	case len(x.mail.recipients) == 0:
		return replyf(503, "5.5.1", "no valid recipients") // RFC 2033 §4.2
	case x.mail.binary:
		return replyf(503, "5.5.1", "BODY=BINARYMIME needs BDAT") // RFC 3030 §3
	case args != "":
		return noArguments("DATA")
	}
	x.say(replyf(354, "", "end with a dot on a line"))
	d := server.NewDotReader(x.conn.Reader)
	err := x.conn.Data(func() error {
		_, err := d.WriteTo(lenient{x.mail.message})
		return err
	})
	if err != nil {
		x.broken(err)
		return nil
	}
	x.fail(x.mail.message.broken)
	if d.Smuggling {
		x.fail(replyf(554, "5.6.0", "a dot alone between bare line ends is refused"))
	}
	x.deliver(ctx)
	return nil
}

// broken ends a session in the middle of a message.
func (x *session) broken(err error) {
	x.server.Log.Warn("message broken off", "client", x.client, "queue", x.mail.message.ID, "error", err)
	x.bye(err)
}

// bdat takes a chunk (RFC 3030). Its bytes follow the command whatever the
// answer is.
func (x *session) bdat(ctx context.Context, args string) *Reply {
	f := strings.Fields(args)
	last := len(f) == 2 && strings.EqualFold(f[1], "LAST")
	var size uint64
	var err error = strconv.ErrSyntax
	if len(f) == 1 || last {
		size, err = strconv.ParseUint(f[0], 10, 62)
	}
	if err != nil {
		// Nobody knows where the next command begins.
		x.say(replyf(501, "5.5.4", "the command is BDAT SIZE [LAST]"))
		x.ended = true
		return nil
	}
	none := x.mail == nil || len(x.mail.recipients) == 0
	err = x.conn.Data(func() error {
		if none {
			_, err := io.CopyN(io.Discard, x.conn.Reader, int64(size))
			return err
		}
		_, err := io.CopyN(lenient{x.mail.message}, x.conn.Reader, int64(size))
		return err
	})
	switch {
	case err != nil && none:
		x.bye(err)
		return nil
	case err != nil:
		x.broken(err)
		return nil
	case none && last:
		x.reset()
		return nil // RFC 2033 §4.3: a reply for each recipient, so none
	case none:
		return replyf(503, "5.5.1", "no valid recipients")
	}
	x.mail.chunks = true
	x.fail(x.mail.message.broken)
	switch {
	case last:
		x.deliver(ctx)
		return nil
	case x.mail.failed != nil:
		return x.refusal()
	}
	return replyf(250, "2.0.0", "%d bytes", size)
}

// lenient goes on after the message is broken, so that the client's next
// command is found.
type lenient struct{ m *Message }

func (l lenient) Write(p []byte) (int, error) {
	if _, err := l.m.Write(p); err != nil && l.m.Size/endless > l.m.limit {
		return 0, err
	}
	return len(p), nil
}

// endless is how often the largest message a client may send before it is cut
// off.
const endless = 4

// fail notes why the message cannot be taken.
func (x *session) fail(err error) {
	if err == nil || x.mail.failed != nil {
		return
	}
	x.mail.failed = err
	x.server.Log.Error("message not received", "client", x.client, "queue", x.mail.message.ID, "error", err)
}

// deliver answers for each recipient, in the order of their commands, and ends
// the transaction.
func (x *session) deliver(ctx context.Context) {
	defer func() {
		x.reset()
		x.forwarded = nil
	}()
	done := map[Recipient]*Reply{}
	for _, to := range x.mail.recipients {
		r := done[to]
		switch {
		case r != nil:
		case x.mail.failed != nil:
			r = x.refusal()
		default:
			r = x.deliverTo(ctx, to)
		}
		done[to] = r
		x.say(r)
		_ = x.conn.Writer.Flush() // RFC 2033 §5: as soon as possible
	}
}

// deliverTo delivers and logs it.
func (x *session) deliverTo(ctx context.Context, to Recipient) *Reply {
	m := x.mail.message
	begun := time.Now()
	done, err := x.server.backend.Deliver(ctx, m, to)
	r := replyf(250, "2.0.0", "delivered to %s", to.User)
	level, text := slog.LevelInfo, "delivered"
	line := []slog.Attr{
		slog.String("user", to.User), slog.String("folder", cmp.Or(done.Folder, to.Folder)), slog.Int64("size", m.Size), slog.String("queue", m.ID),
		slog.String("sender", m.Sender), slog.String("client", x.client), slog.Duration("took", time.Since(begun)),
	}
	if done.Operations >= 0 {
		line = append(line, slog.Int64("operations", done.Operations))
	}
	if err != nil {
		r = asReply(err)
		level, text = slog.LevelError, "not delivered"
		line = append(line, slog.String("reply", r.Error()), slog.Any("error", cmp.Or(r.Cause, err)))
	}
	x.server.Log.LogAttrs(ctx, level, text, line...)
	return r
}

// refusal is the answer to a message that could not be taken.
func (x *session) refusal() *Reply {
	if errors.Is(x.mail.failed, errTooLarge) {
		return tooLarge(x.server.MaxSize)
	}
	if r, ok := errors.AsType[*Reply](x.mail.failed); ok {
		return r
	}
	return replyf(452, "4.3.1", "no room for the message, try again")
}
