package imap

import (
	"context"
	"errors"
	"fmt"

	"github.com/bobbinmail/bobbin/spool"
)

// copy is COPY, or MOVE (RFC 6851): all of the messages appear at once.
func (x *session) copy(ctx context.Context, uid, move bool) {
	p := &x.p
	p.sp()
	set := p.numberSet()
	p.sp()
	folder := p.mailbox(x.utf8)
	if !p.end() {
		return
	}
	at, ok := x.places(set, uid)
	switch {
	case !ok:
		p.bad("there is no message of that number")
		return
	case move && x.view.readOnly:
		x.done("", errReadOnly)
		return
	}
	target, err := x.server.backend.Open(ctx, x.user, folder)
	if errors.Is(err, spool.ErrNoFolder) {
		x.reply("NO [TRYCREATE] there is no such mailbox")
		return
	}
	if err != nil {
		x.done("", err)
		return
	}
	transfer := x.view.Copy
	if move {
		transfer = x.view.Move
	}
	code := ""
	done, err := transfer(ctx, x.view.uids(at), target.Mailbox)
	if len(done) > 0 {
		var from, to []uint32
		for _, c := range done {
			from, to = append(from, c.Source), append(to, c.Target)
		}
		code = fmt.Sprintf("[COPYUID %d %s %s] ", target.UIDValidity(), appendSet(nil, from), appendSet(nil, to))
	}
	target.Changed()
	if cerr := target.Close(ctx); cerr != nil {
		x.log.Warn("file names", "user", x.user, "error", cerr)
	}
	if move && code != "" {
		x.untagged("OK %smoved", code) // RFC 6851 §4.3: before EXPUNGE
		code = ""
	}
	x.sync(move || uid)
	x.done(code+"done", err)
	if move {
		x.changed()
	}
}
