package delivery

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/lines"
	"github.com/bobbinmail/bobbin/spool/message"
)

// ErrLoop means that the message has been delivered to this user before: it
// carries his Delivered-To, or more Received fields than any real path gives.
var ErrLoop = errors.New("mail forwarding loop")

// ErrRefused means that a command or a server to which the message was to go does
// not want it, now or later.
var ErrRefused = errors.New("refused")

// ErrNoRecipient means that nobody was named to deliver to.
var ErrNoRecipient = errors.New("no user to deliver to")

// maxHops is how many Received fields a message may have.
const maxHops = 100

// Mailboxes finds the mailboxes of users: a *spool.Spool, or what knows where
// the mail of each user is.
type Mailboxes interface {
	// Box is as that of spool.Spool.
	Box(ctx context.Context, user, folder string) (*spool.Box, error)
}

// Envelope is what a message is delivered with.
type Envelope struct {
	// Sender is the return path, without angle brackets; empty, and
	// MAILER-DAEMON, is the null sender.
	Sender string
	// SenderUnknown lets a "From " line at the head of the message say who the
	// sender is, if there is one.
	SenderUnknown bool
	// Users are the recipients, or their addresses. Who is named twice gets the
	// message once.
	Users []string
	// Rules say whom an address of Users means.
	Rules Rules
	// Folder is where it goes; empty means where the address says, or INBOX.
	Folder string
	// QueueID is the MTA's name for the message. With it a retry of a
	// delivery to several users that broke off in the middle doubles nothing.
	QueueID string
	// Once says that a message which comes again, complete or not, is not delivered
	// again: the same content for the same mailbox with the same QueueID, or
	// without one the same topmost Received field. It costs one put-if-absent more,
	// whose trace is swept after days.
	Once bool
	// MessageIDs, if not zero, is how long a second message with the same
	// Message-ID is not delivered to a mailbox. Another put-if-absent.
	MessageIDs time.Duration
	// Forwarded is a user whose own .forward sends the message back to him, by a
	// command: his Delivered-To is no loop.
	Forwarded string
	// OneOfSeveral says that other calls deliver the message to other users, and
	// all will be repeated if one of them fails: with a QueueID this one leaves
	// a trace for the retry, which is swept after days.
	OneOfSeveral bool
	// Quota, if set, limits what users keep.
	Quota *Quota
	// Delivered, if set, is told of each mailbox that has the message, by the
	// goroutine that delivers.
	Delivered func(Delivered)
}

// Delivered is a mailbox that has a message.
type Delivered struct {
	User, Folder string
	Size         int64 // in bytes, as it is stored
	// Again says that the message, or one with its Message-ID, was there already.
	Again bool
}

// Deliver reads a message and delivers it to all users or to none.
//
// First it is written to every mailbox under a temporary name and made
// durable; any error so far leaves nothing. Then it is renamed to its place
// in one mailbox after the other. Only a failure in this second step can leave
// some users with and some without the message: then a temporary error is
// returned. If the retry has the same QueueID, users that have the message
// already are passed over, on whatever host and for whichever of the users it
// runs. Without a QueueID, or if the delivery was complete and only its outcome
// was lost, the retry may double the message; it never loses it.
//
// Memory is bounded by some MiB whatever the size. The error wraps
// spool.ErrNoUser, spool.ErrBadName, [ErrLoop], [ErrQuotaRefused] or
// [ErrNoRecipient] when a retry is useless.
func Deliver(ctx context.Context, to Mailboxes, e Envelope, body io.Reader) error {
	d := &delivery{to: to, envelope: e}
	defer d.close(ctx)
	if err := d.open(ctx); err != nil {
		return err
	}
	in, err := newReader(body)
	if err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	d.digest = in.digest
	if in.fromLine != "" && e.SenderUnknown {
		d.envelope.Sender = SenderOf(in.fromLine)
	}
	if strings.EqualFold(d.envelope.Sender, "MAILER-DAEMON") {
		d.envelope.Sender = ""
	}
	if err := CheckSender(d.envelope.Sender); err != nil {
		return err
	}
	for _, b := range d.boxes {
		if b.User == d.envelope.Forwarded {
			continue
		}
		if err := CheckLoop(message.Header(in.head), b.User); err != nil {
			return err
		}
	}
	if d.envelope.Once {
		d.received = message.Header(in.head).Get("Received")
	}
	if d.envelope.MessageIDs != 0 {
		d.messageID = message.Header(in.head).MessageID()
	}
	if err := d.write(ctx, in); err != nil {
		return err
	}
	// Whoever is told to end may have been given half a message.
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("deliver: %w", err)
	}
	if err := d.take(ctx); err != nil {
		return err
	}
	return d.publish(ctx)
}

// delivery is one message being delivered.
type delivery struct {
	to       Mailboxes
	envelope Envelope
	boxes    []*spool.Box
	incoming []*spool.Incoming // one a box, in the same order
	digest   hash.Hash         // of the message as it was read
	taken    []*taken          // likewise, as far as they count
	done     bool

	received, messageID string // of the header, if they are wanted
}

// open finds all mailboxes before anything is written.
func (d *delivery) open(ctx context.Context) error {
	for _, address := range d.envelope.Users {
		b, err := d.envelope.Rules.Find(ctx, d.to, address, d.envelope.Folder)
		if err != nil {
			return err
		}
		same := func(o *spool.Box) bool { return o.User == b.User && o.Folder == b.Folder }
		if slices.ContainsFunc(d.boxes, same) {
			_ = b.Close()
			continue
		}
		d.boxes = append(d.boxes, b)
	}
	if len(d.boxes) == 0 {
		return ErrNoRecipient
	}
	return nil
}

// CheckSender refuses, with spool.ErrBadName, what is no return path.
func CheckSender(sender string) error {
	if strings.IndexFunc(sender, unicode.IsControl) >= 0 || strings.ContainsAny(sender, "<>") {
		return fmt.Errorf("sender %q: %w: no control characters, no < and >", sender, spool.ErrBadName)
	}
	return nil
}

// CheckLoop refuses, with [ErrLoop], a message that was delivered to this user
// before or has come too long a way. The header is what is at hand of it.
func CheckLoop(h message.Header, user string) error {
	hops := 0
	for f := range h.Fields() {
		name := h.Name(f)
		if strings.EqualFold(name, "Received") {
			hops++
		}
		if strings.EqualFold(name, "Delivered-To") && strings.EqualFold(strings.TrimSpace(h.Value(f)), user) {
			return fmt.Errorf("user %s: %w: the message has this user's Delivered-To already", user, ErrLoop)
		}
	}
	if hops > maxHops {
		return fmt.Errorf("%w: more than %d Received fields", ErrLoop, maxHops)
	}
	return nil
}

// write stores the message, durable, under a temporary name for each user.
func (d *delivery) write(ctx context.Context, in *reader) error {
	if err := d.receive(ctx); err != nil {
		return err
	}
	c := &lines.Converter{W: d.all(), Strip: in.strip()}
	err := in.copyTo(c)
	if errors.Is(err, lines.ErrMixed) {
		c, err = d.rewrite(ctx, in, c)
	}
	if err != nil {
		return err
	}
	for _, m := range d.incoming {
		if err := m.Finish(addedFields+c.Wire(), c.Mixed()); err != nil {
			return err
		}
	}
	return nil
}

// addedFields is the number of lines that Deliver puts on top.
const addedFields = 2

// receive begins a file in every mailbox and writes the added fields.
func (d *delivery) receive(ctx context.Context) error {
	for _, b := range d.boxes {
		m, err := b.Receive(ctx)
		if err != nil {
			return err
		}
		d.incoming = append(d.incoming, m)
		if _, err := m.Write(d.fields(b)); err != nil {
			return err
		}
	}
	return nil
}

func (d *delivery) fields(b *spool.Box) []byte {
	return fmt.Appendf(nil, "Return-Path: <%s>\nDelivered-To: %s\n", d.envelope.Sender, b.User)
}

// rewrite starts again when a line without CR comes after so many with CR
// that they are no longer in memory. All lines so far had one, so what was
// stored gives the message back as it was.
func (d *delivery) rewrite(ctx context.Context, in *reader, before *lines.Converter) (*lines.Converter, error) {
	old := d.incoming
	d.incoming = nil
	defer func() {
		for _, m := range old {
			m.Abort(ctx)
		}
	}()
	stored, err := old[0].Reread(ctx)
	if err != nil {
		return nil, err
	}
	defer stored.Close()
	if _, err := io.CopyN(io.Discard, stored, int64(len(d.fields(d.boxes[0])))); err != nil {
		return nil, err
	}
	if err := d.receive(ctx); err != nil {
		return nil, err
	}
	c := &lines.Converter{W: d.all()}
	if _, err := io.CopyBuffer(lines.AddCR(c), onlyReader{stored}, make([]byte, copySize)); err != nil {
		return nil, err
	}
	if _, err := c.Write(before.Left); err != nil {
		return nil, err
	}
	return c, in.copyTo(c)
}

// take makes the message count for all users with a quota, before it is visible
// to any.
func (d *delivery) take(ctx context.Context) error {
	if d.envelope.Quota == nil {
		return nil
	}
	for i, b := range d.boxes {
		t, err := d.envelope.Quota.take(ctx, b, d.incoming[i])
		if err != nil {
			return fmt.Errorf("user %s: %w", b.User, err)
		}
		d.taken = append(d.taken, t)
	}
	return nil
}

// publish makes the message visible to one user after the other.
func (d *delivery) publish(ctx context.Context) error {
	id, several := d.envelope.QueueID, len(d.boxes) > 1 || d.envelope.OneOfSeveral
	if id == "" && d.envelope.Once && d.received != "" {
		id = "received\x00" + d.received
	}
	var keys []string
	for i, m := range d.incoming {
		user := d.boxes[i].User
		first, err := d.first(ctx, i)
		switch {
		case err != nil:
		case !first:
			m.Abort(ctx)
		case id == "":
			err = m.Publish(ctx)
		case several || d.envelope.Once:
			keys = append(keys, d.key(id, user))
			err = m.PublishOnce(ctx, d.key(id, user))
		default:
			// It may be the retry of a delivery to several.
			err = m.PublishUnless(ctx, d.key(id, user))
		}
		if d.envelope.Quota != nil {
			d.taken[i].settle(ctx, err)
		}
		if err != nil {
			return fmt.Errorf("user %s: %w", user, err)
		}
		if d.envelope.Delivered != nil {
			d.envelope.Delivered(Delivered{user, d.boxes[i].Folder, m.Size(), m.Placed() != m.Name()})
		}
	}
	d.done = true
	if d.envelope.OneOfSeveral || d.envelope.Once {
		return nil
	}
	for i, k := range keys {
		// Left behind, it only costs a look at the next try.
		_ = d.boxes[i].ForgetOnce(ctx, k)
	}
	return nil
}

// first tells whether no message with this Message-ID came before.
func (d *delivery) first(ctx context.Context, i int) (bool, error) {
	if d.envelope.MessageIDs == 0 || d.messageID == "" {
		return true, nil
	}
	sum := sha256.Sum256([]byte("message-id\x00" + d.boxes[i].User + "\x00" + d.messageID))
	return d.incoming[i].First(ctx, netfs.Encode32(sum[:16]), d.envelope.MessageIDs)
}

// key names this message for this user. The content is part of it because
// MTAs use queue ids again.
func (d *delivery) key(id, user string) string {
	sum := sha256.Sum256([]byte(id + "\x00" + user + "\x00" + string(d.digest.Sum(nil))))
	return netfs.Encode32(sum[:16])
}

func (d *delivery) all() io.Writer {
	w := make([]io.Writer, len(d.incoming))
	for i, m := range d.incoming {
		w[i] = m
	}
	return io.MultiWriter(w...)
}

var errNotPublished = errors.New("not published")

func (d *delivery) abort(ctx context.Context) {
	for _, m := range d.incoming {
		m.Abort(ctx)
	}
	d.incoming = nil
}

// close aborts what was not published. After an error in the middle of
// publishing, what is published stays: Abort removes temporary names only.
func (d *delivery) close(ctx context.Context) {
	if !d.done {
		d.abort(ctx)
	}
	for _, t := range d.taken {
		t.settle(ctx, errNotPublished)
	}
	for _, b := range d.boxes {
		_ = b.Close()
	}
}
