package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/lmtp"
)

// rootsBackend delivers to mail roots in the server's own process, which can become
// nobody else: all that it may open belongs to whom it runs as.
type rootsBackend struct {
	*apartBackend // finds the users
	location      string
	messageIDs    time.Duration
	settings      *cli.Context
}

// Deliver delivers to one recipient, whose mail root is opened for it.
func (b *rootsBackend) Deliver(ctx context.Context, m *lmtp.Message, to lmtp.Recipient) (lmtp.Delivery, error) {
	if !m.InMemory() {
		done, err := wait(ctx, b.turn)
		if err != nil {
			return lmtp.Delivery{}, lmtpReply(err)
		}
		defer done()
	}
	quota, err := b.app.quota(b.settings)
	if err != nil {
		return lmtp.Delivery{}, lmtpReply(err)
	}
	roots := newMailRoots(b.app, b.location)
	defer roots.close()
	b.app.warnBy(b.settings, quota, roots)
	var d lmtp.Delivery
	e := delivery.Envelope{
		Sender: m.Sender, Users: []string{to.Address}, Rules: b.rules, Once: b.once, MessageIDs: b.messageIDs, Quota: quota,
		Delivered: func(in delivery.Delivered) { d.Folder = in.Folder },
	}
	if b.once {
		e.QueueID = m.QueueID
	}
	ops := new(netfs.Ops)
	err = delivery.Deliver(netfs.WithOps(ctx, ops), roots, e, m.Open())
	d.Operations = ops.Read().Total()
	return d, lmtpReply(err)
}
