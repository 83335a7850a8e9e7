package pop

import (
	"context"
	"errors"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/spool"
)

// drop is a snapshot of a mailbox (RFC 1939's maildrop).
type drop struct {
	mailbox *pool.Use
	held    context.Context // while the lock is; nil without one
	release func(context.Context) error
	board   string // the shared folder it is, which is only read; "" for INBOX
	items   []item
	last    int // highest message that was seen when the session began
	highest int // highest that was seen
	left    int // messages after update
}

// item is a message.
type item struct {
	*spool.Message
	number        int   // its place, counted from 1
	wire          int64 // bytes with CRLF
	deleted, read bool
}

// open takes the snapshot. The sizes are in the names and summaries, so no
// message is opened but one whose size nobody knows.
func (x *session) open(ctx context.Context, user string) error {
	m, err := x.server.backend.Open(ctx, user, spool.Inbox)
	if err != nil {
		return err
	}
	d := &drop{mailbox: m}
	if x.server.Lock {
		err = x.server.lock(ctx, d, user)
	}
	if err == nil {
		err = d.fill(ctx)
	}
	if err != nil {
		return errors.Join(err, d.close(ctx))
	}
	x.user, x.drop = user, d
	return nil
}

func (d *drop) fill(ctx context.Context) error {
	msgs := d.mailbox.Messages()
	d.items = make([]item, len(msgs))
	var unknown []uint32
	at := map[uint32]int{}
	for i, msg := range msgs {
		d.items[i] = item{Message: msg, number: i + 1, wire: msg.Wire()}
		if msg.Flags&spool.Seen != 0 {
			d.last = i + 1
		}
		if d.items[i].wire < 0 {
			unknown = append(unknown, msg.UID)
			at[msg.UID] = i
		}
	}
	d.highest = d.last
	if len(unknown) == 0 {
		return nil
	}
	for s, err := range d.mailbox.Summaries(ctx, spool.SetOf(unknown...), spool.Columns) {
		it := &d.items[at[s.UID]]
		if err == nil {
			it.wire = s.Wire
		}
		if err == nil && s.Wire < 0 {
			it.wire, err = d.measure(ctx, it)
		}
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			it.wire = it.Size // it cannot be read now, and RETR will say so
		}
	}
	for i := range d.items {
		d.items[i].wire = max(d.items[i].wire, 0) // expunged meanwhile
	}
	return nil
}

// measure reads a message to its end.
func (d *drop) measure(ctx context.Context, it *item) (int64, error) {
	f, err := d.mailbox.OpenListed(ctx, it.Message)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var n int64
	c := &converter{w: counter{&n}}
	err = c.copyAll(f)
	return n, err
}

// counter counts what is written to it.
type counter struct{ n *int64 }

func (c counter) Write(p []byte) (int, error) {
	*c.n += int64(len(p))
	return len(p), nil
}

// totals are the messages that are not deleted, and their bytes.
func (d *drop) totals() (n int, size int64) {
	for i := range d.items {
		if !d.items[i].deleted {
			n++
			size += d.items[i].wire
		}
	}
	return n, size
}

// update removes what DELE named, and then marks as seen what was read and
// stays. That some messages are gone already is what was wanted.
func (d *drop) update(ctx context.Context) (removed int, expunged, marked error) {
	if d.held != nil && d.held.Err() != nil {
		return 0, errLost, nil
	}
	var gone, seen []uint32
	for i := range d.items {
		switch it := &d.items[i]; {
		case it.deleted:
			gone = append(gone, it.UID)
		case it.read && it.Flags&spool.Seen == 0:
			seen = append(seen, it.UID)
		}
	}
	d.left = len(d.items) - len(gone)
	if len(gone) > 0 {
		var set spool.UIDSet
		set, expunged = d.mailbox.Expunge(ctx, spool.SetOf(gone...))
		for _, r := range set {
			removed += int(r.Last-r.First) + 1
		}
	}
	if len(seen) > 0 {
		_, marked = d.mailbox.SetFlags(ctx, spool.SetOf(seen...), spool.FlagChange{Add: spool.Seen})
	}
	return removed, expunged, marked
}
