package imap

import (
	"context"

	"github.com/bobbinmail/bobbin/spool"
)

// statusItems are what STATUS is asked for, in its order.
type statusItems []string

func (p *parser) statusItems() *statusItems {
	var items statusItems
	p.list(func() {
		switch word := p.atom(); word {
		case "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE":
			items = append(items, word)
		default:
			p.bad("STATUS has no item %.20s", word)
		}
	})
	return &items
}

func (x *session) status(ctx context.Context) {
	x.p.sp()
	folder := x.p.mailbox(x.utf8)
	x.p.sp()
	items := x.p.statusItems()
	if x.p.end() {
		x.done("that is all", x.sendStatus(ctx, folder, items))
	}
}

func (x *session) sendStatus(ctx context.Context, folder string, items *statusItems) error {
	m, err := x.server.backend.Open(ctx, x.user, folder)
	if err != nil {
		return err
	}
	next := m.UIDNext() // before the messages: who reads on from there misses none
	msgs := m.Messages()
	var values []uint64
	for _, item := range *items {
		var n uint64
		switch item {
		case "MESSAGES":
			n = uint64(len(msgs))
		case "UIDNEXT":
			n = uint64(next)
		case "UIDVALIDITY":
			n = uint64(m.UIDValidity())
		case "UNSEEN":
			n = count(msgs, unseen)
		case "DELETED":
			n = count(msgs, func(m *spool.Message) bool { return m.Flags&spool.Deleted != 0 })
		case "SIZE":
			n, err = x.size(ctx, m.Mailbox, msgs)
		}
		values = append(values, n)
	}
	if cerr := m.Close(ctx); cerr != nil {
		x.log.Warn("file names", "user", x.user, "error", cerr)
	}
	if err != nil {
		return err
	}
	x.out = append(x.appendMailbox(append(x.out, "* STATUS "...), folder), " ("...)
	for i, item := range *items {
		if i > 0 {
			x.out = append(x.out, ' ')
		}
		x.out = append(append(x.out, item...), ' ')
		x.out = appendNumber(x.out, values[i])
	}
	x.out = append(x.out, ")\r\n"...)
	x.flush()
	return nil
}

func count(msgs []*spool.Message, which func(*spool.Message) bool) (n uint64) {
	for _, m := range msgs {
		if which(m) {
			n++
		}
	}
	return n
}

// size is what all messages take with CRLF. Messages of other programs may have
// to be read for it once.
func (x *session) size(ctx context.Context, m *spool.Mailbox, msgs []*spool.Message) (uint64, error) {
	sizes, err := x.wireSizes(ctx, m, msgs)
	var n uint64
	for _, size := range sizes {
		n += uint64(size)
	}
	return n, err
}
