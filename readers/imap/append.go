package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/lines"
)

// errTooBig means that a message is larger than the server takes.
var errTooBig = errors.New("too big")

// appendMessages takes one message or several (RFC 3502), all of which appear
// at once.
func (x *session) appendMessages(ctx context.Context) {
	p := &x.p
	p.sp()
	folder := p.mailbox(x.utf8)
	var target *pool.Use
	var list []spool.NewMessage
	err := p.err
	if err == nil {
		target, err = x.server.backend.Open(ctx, x.user, folder)
	}
	n := 0
	for p.err == nil && (n == 0 || len(p.line) > 0) {
		n++
		p.sp()
		msg, ok := x.appendOne(ctx, target, err)
		if ok.err != nil && err == nil {
			err = ok.err
		}
		if msg.In != nil {
			list = append(list, msg)
		}
		if ok.refused {
			break
		}
	}
	x.appendAll(ctx, target, list, err)
}

// appended is how one message of APPEND ended: refused before its bytes came, so
// that the command ends; or an error of the spool.
type appended struct {
	refused bool
	err     error
}

// appendOne reads a message with its flags and date. After an error it reads on,
// where the client cannot be stopped, and keeps nothing.
func (x *session) appendOne(ctx context.Context, target *pool.Use, before error) (msg spool.NewMessage, how appended) {
	p := &x.p
	if p.peek() == '(' {
		var c spool.FlagChange
		p.list(func() { p.flag(&c, true) })
		msg.Flags, msg.Keywords = c.Add, c.AddKeywords
		p.sp()
	}
	if p.peek() == '"' {
		msg.Date = p.dateTime()
		p.sp()
	}
	utf8 := p.word("UTF8") // RFC 6855 §4
	if utf8 {
		p.sp()
		p.want('(')
	}
	size, sync, ok := p.literal()
	if !ok {
		return msg, how
	}
	switch {
	case before == nil && size > uint64(x.server.MaxSize):
		before = errTooBig
	case before == nil && size == 0:
		before = errCancelled
	}
	if before != nil {
		how = appended{refused: sync, err: before}
		if !sync {
			p.discard(size)
		}
	} else {
		msg.In, how = x.receive(ctx, target, size, sync)
	}
	if utf8 && !how.refused {
		p.want(')')
	}
	return msg, how
}

// errCancelled: an empty message means that the client gives up (RFC 3502 §6.3.11).
var errCancelled = errors.New("cancelled")

// receive writes a message of size bytes to the target. What cannot be written
// is read all the same.
func (x *session) receive(ctx context.Context, target *pool.Use, size uint64, sync bool) (*spool.Incoming, appended) {
	w := &incoming{box: target.Box()}
	err := w.begin(ctx, true)
	if err != nil && sync {
		x.p.line = nil // the client waits for leave, and gets an answer instead
		return nil, appended{true, err}
	}
	x.p.stream(sync, func(r io.Reader) error {
		left := int64(size)
		b := make([]byte, min(left, 64<<10))
		for left > 0 {
			n, rerr := io.ReadFull(r, b[:min(left, int64(len(b)))])
			if err == nil {
				err = w.write(ctx, b[:n])
			}
			if left -= int64(n); rerr != nil {
				return rerr
			}
		}
		return nil
	})
	if x.p.err == nil && err == nil {
		err = w.finish()
	}
	if x.p.err != nil || err != nil {
		w.abort(ctx)
		return nil, appended{err: err}
	}
	return w.in, appended{}
}

// incoming stores a message as docs/spool-format.md wants it: with LF where all
// lines end in CRLF.
type incoming struct {
	box   *spool.Box
	in    *spool.Incoming
	lines *lines.Converter
}

func (w *incoming) begin(ctx context.Context, strip bool) (err error) {
	if w.in, err = w.box.Receive(ctx); err == nil {
		w.lines = &lines.Converter{W: w.in, Strip: strip}
	}
	return err
}

func (w *incoming) write(ctx context.Context, b []byte) error {
	_, err := w.lines.Write(b)
	if errors.Is(err, lines.ErrMixed) {
		return w.rewrite(ctx)
	}
	return err
}

// rewrite starts again when a line without CR comes: what was stored gives back
// what came so far.
func (w *incoming) rewrite(ctx context.Context) error {
	old, left := w.in, w.lines.Left
	defer old.Abort(ctx)
	stored, err := old.Reread(ctx)
	if err != nil {
		return err
	}
	if err = w.begin(ctx, false); err == nil {
		_, err = io.Copy(lines.AddCR(w.lines), struct{ io.Reader }{stored})
	}
	if err == nil {
		_, err = w.lines.Write(left)
	}
	return errors.Join(err, stored.Close())
}

func (w *incoming) finish() error {
	if err := w.lines.End(); err != nil {
		return err
	}
	return w.in.Finish(w.lines.Wire(), w.lines.Mixed())
}

func (w *incoming) abort(ctx context.Context) {
	if w.in != nil {
		w.in.Abort(ctx)
	}
}

// appendAll makes the messages visible, and answers.
func (x *session) appendAll(ctx context.Context, target *pool.Use, list []spool.NewMessage, err error) {
	if !x.p.end() || err != nil {
		for _, msg := range list {
			msg.In.Abort(ctx)
		}
	}
	var uids []uint32
	if x.p.err == nil && err == nil {
		uids, err = target.Append(ctx, list...)
	}
	code := ""
	if target != nil {
		code = fmt.Sprintf("[APPENDUID %d %s] ", target.UIDValidity(), appendSet(nil, uids))
		target.Changed()
		if cerr := target.Close(ctx); cerr != nil {
			x.log.Warn("file names", "user", x.user, "error", cerr)
		}
	}
	if x.p.err != nil {
		return
	}
	if err == nil && x.view != nil {
		x.sync(true)
	}
	switch {
	case errors.Is(err, spool.ErrNoFolder):
		x.reply("NO [TRYCREATE] there is no such mailbox")
	case errors.Is(err, errTooBig):
		x.reply("NO [TOOBIG] a message has at most %d bytes here", x.server.MaxSize)
	case errors.Is(err, errCancelled):
		x.reply("NO a message without content is none")
	default:
		x.done(code+"appended", err)
	}
}

// flag reads a flag into what a change adds. One with a backslash that nobody
// knows is passed over if lenient: old mail comes with such.
func (p *parser) flag(c *spool.FlagChange, lenient bool) {
	if p.take('\\') {
		word := p.atom()
		if word == "RECENT" { // only the server sets it, and it does not
			return
		}
		for _, f := range systemFlags {
			if strings.EqualFold(word, f.name[1:]) {
				c.Add |= f.flag
				return
			}
		}
		if !lenient {
			p.bad("there is no flag \\%.20s", word)
		}
		return
	}
	word := p.span("a flag", isAtom)
	if strings.EqualFold(word, forwarded) {
		c.Add |= spool.Passed
		return
	}
	c.AddKeywords = append(c.AddKeywords, word)
}
