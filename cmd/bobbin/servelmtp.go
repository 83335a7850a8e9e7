package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/spool"
)

// lmtpTexts say in words what a status means for an LMTP client, with the code
// of RFC 5321; the rest is 451, or 554 for good.
var lmtpTexts = map[string]lmtp.Reply{
	"5.1.1": {Code: 550, Text: "no such user"},
	"5.4.6": {Code: 554, Text: "the message was here before"},
	"4.2.0": {Code: 451, Text: "the mailbox cannot be written now"},
	"4.2.2": {Code: 452, Text: "the mailbox is full"},
	"5.2.2": {Code: 552, Text: "the mailbox is full"},
	"4.3.1": {Code: 452, Text: "the mail system is full"},
}

// lmtpReply returns what a client is told of an error, with the error for the
// log.
func lmtpReply(err error) error {
	if err == nil {
		return nil
	}
	status := delivery.Status(err)
	if said, ok := errors.AsType[*childError](err); ok {
		status = said.status
	}
	r, ok := lmtpTexts[status]
	switch {
	case ok:
	case status[0] == '5':
		r = lmtp.Reply{Code: 554, Text: "refused"}
	default:
		r = lmtp.Reply{Code: 451, Text: "it did not work now, try again"}
	}
	r.Enhanced, r.Cause = status, err
	return &r
}

// largeAtOnce is how many messages that are not in memory are delivered at a
// time: each takes some MiB.
const largeAtOnce = 4

// spoolBackend delivers into the spool.
type spoolBackend struct {
	spool      *spool.Spool
	rules      delivery.Rules
	once       bool // drop what comes again
	messageIDs time.Duration
	quota      *liveQuota
	delivered  func(user, folder string) // called after each delivery, if set
	turn       chan struct{}
}

// Recipient finds the mailbox of an address. What is refused here for want of
// room would be when it is delivered: a message of lines with CRLF alone is
// stored in half of its bytes.
func (b *spoolBackend) Recipient(ctx context.Context, address string, size int64) (lmtp.Recipient, error) {
	box, err := b.rules.Find(ctx, b.spool, address, "")
	if err != nil {
		return lmtp.Recipient{}, lmtpReply(err)
	}
	err = b.quota.now().Room(ctx, box, size/2)
	return lmtp.Recipient{User: box.User, Folder: box.Folder}, lmtpReply(cmp.Or(err, box.Close()))
}

// Deliver delivers to one recipient.
func (b *spoolBackend) Deliver(ctx context.Context, m *lmtp.Message, to lmtp.Recipient) (lmtp.Delivery, error) {
	if !m.InMemory() {
		done, err := wait(ctx, b.turn)
		if err != nil {
			return lmtp.Delivery{}, lmtpReply(err)
		}
		defer done()
	}
	ops := new(netfs.Ops)
	e := delivery.Envelope{Sender: m.Sender, Users: []string{to.User}, Folder: to.Folder, Once: b.once, MessageIDs: b.messageIDs, Quota: b.quota.now()}
	if b.once {
		e.QueueID = m.QueueID // else it would cost a look-up, for nothing
	}
	err := delivery.Deliver(netfs.WithOps(ctx, ops), b.spool, e, m.Open())
	if err == nil && b.delivered != nil {
		b.delivered(to.User, to.Folder)
	}
	return lmtp.Delivery{Folder: to.Folder, Operations: ops.Read().Total()}, lmtpReply(err)
}

// apartAtOnce is how many processes deliver at a time.
const apartAtOnce = 16

// apartBackend delivers to users whose mail is not in the spool, each message
// by a process that becomes the user.
type apartBackend struct {
	app    *app
	rules  delivery.Rules
	listed bool // the users are those of the system
	flags  []string
	once   bool
	turn   chan struct{}
}

// Recipient asks the system for the user. Where the users are not its own,
// nobody knows who there is, and the delivery says so.
func (b *apartBackend) Recipient(ctx context.Context, address string, _ int64) (lmtp.Recipient, error) {
	k := &knownUsers{b: b}
	_, err := b.rules.Find(ctx, k, address, "")
	if k.user != "" {
		return lmtp.Recipient{User: k.user, Address: address}, nil
	}
	return lmtp.Recipient{}, lmtpReply(err)
}

// knownUsers has no mailboxes, which only a process of the user may look at: it
// notes the first user who is known.
type knownUsers struct {
	b    *apartBackend
	user string
}

var errKnown = errors.New("the user is known")

// Box never returns one.
func (k *knownUsers) Box(ctx context.Context, user, _ string) (*spool.Box, error) {
	if k.b.listed {
		if _, err := k.b.app.env.Account(ctx, user); err != nil {
			return nil, err
		}
	}
	k.user = user
	return nil, errKnown
}

// Deliver runs "bobbin deliver", which tells where it delivered and what that
// asked of the share.
func (b *apartBackend) Deliver(ctx context.Context, m *lmtp.Message, to lmtp.Recipient) (lmtp.Delivery, error) {
	done, err := wait(ctx, b.turn)
	if err != nil {
		return lmtp.Delivery{Operations: -1}, lmtpReply(err)
	}
	defer done()
	d, err := b.run(ctx, m, to)
	return d, lmtpReply(err)
}

func (b *apartBackend) run(ctx context.Context, m *lmtp.Message, to lmtp.Recipient) (lmtp.Delivery, error) {
	unknown := lmtp.Delivery{Operations: -1}
	words := append([]string{"deliver", "--tell", "--sender=" + m.Sender}, b.flags...)
	if b.once && m.QueueID != "" {
		words = append(words, "--queue-id="+m.QueueID)
	}
	child, err := b.app.env.Self(ctx, append(words, "--", to.Address)...)
	if err != nil {
		return unknown, err
	}
	var out, said bytes.Buffer
	child.Stdin, child.Stdout, child.Stderr = m.Open(), &out, &said
	child.Cancel = func() error { return child.Process.Signal(os.Interrupt) }
	if err := child.Run(); err != nil {
		return unknown, newChildError(err, said.String())
	}
	var t told
	if json.NewDecoder(&out).Decode(&t) != nil { // no mailbox has it, or another program stands in our place
		return unknown, nil
	}
	return lmtp.Delivery{Folder: t.Folder, Operations: t.Operations}, nil
}

// childError is what a process that delivers said when it failed.
type childError struct{ status, text string }

// Error is the line that it said.
func (e *childError) Error() string { return e.text }

// newChildError takes apart "5.1.1 bobbin: …". A process that said nothing of
// the kind died, which is temporary.
func newChildError(err error, said string) error {
	said = strings.TrimSpace(said)
	status, text, ok := strings.Cut(said, " bobbin: ")
	if !ok || len(status) < 5 || status[1] != '.' || status[0] != '4' && status[0] != '5' {
		return fmt.Errorf("delivery process: %w: %s", err, said)
	}
	return &childError{status, text}
}
