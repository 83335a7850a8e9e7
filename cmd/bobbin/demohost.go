package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// The lines a demo host prints for the process that watches it. What is
// acknowledged is printed after it was.
const (
	demoDelivered = "delivered" // delivered USER SUM OPERATIONS
	demoExpunging = "expunging" // expunging USER SUM, before it is tried
	demoCommitted = "committed" // committed FLAGGED CONFLICTS
	demoListed    = "listed"    // listed MESSAGES
)

var demoUsers = []string{"alice", "bob", "carol"}

// demoHostCommand is what "bobbin demo" starts several times: one host.
func (a *app) demoHostCommand() *cli.Command {
	return a.with(notes{}, &cli.Command{
		Name:   "demo-host",
		Hidden: true,
		Usage:  "play one host of the demo",
		Flags: []cli.Flag{
			spoolFlag(),
			&cli.StringFlag{Name: "tag", Usage: "the host is called `NAME`", Value: "a"},
			&cli.IntFlag{Name: "messages", Usage: "deliver `N` messages", Value: 100},
			&cli.Uint64Flag{Name: "seed", Usage: "the `SEED` of what is random", Value: 1},
		},
		Action: func(c *cli.Context) error {
			h, err := a.host(c)
			if err != nil {
				return err
			}
			h.Tag = c.String("tag")
			s, err := spool.Open(c.Context, h)
			if err != nil {
				return err
			}
			d := &demoHost{
				spool: s, host: h, out: a.out, rng: rand.New(rand.NewPCG(c.Uint64("seed"), 0)),
				open: map[string]*spool.Mailbox{}, sums: map[string]string{},
			}
			return d.run(c.Context, c.Int("messages"))
		},
	})
}

type demoHost struct {
	spool *spool.Spool
	host  *netfs.Host
	out   io.Writer
	rng   *rand.Rand
	open  map[string]*spool.Mailbox
	sums  map[string]string // by message name, of what this host has read
}

func (d *demoHost) run(ctx context.Context, messages int) error {
	for i := range messages {
		if err := d.deliver(ctx, i); err != nil {
			return err
		}
		if i%8 != 7 {
			continue
		}
		user := demoUsers[d.rng.IntN(len(demoUsers))]
		if err := d.read(ctx, user); err != nil {
			return err
		}
	}
	return nil
}

func (d *demoHost) say(format string, args ...any) error {
	_, err := fmt.Fprintf(d.out, format+"\n", args...)
	return err
}

// demoSum identifies a stored message, without the two fields on top.
func demoSum(stored []byte) string {
	for range 2 {
		_, stored, _ = bytes.Cut(stored, []byte("\n"))
	}
	sum := sha256.Sum256(stored)
	return hex.EncodeToString(sum[:])
}

func (d *demoHost) deliver(ctx context.Context, n int) error {
	user := demoUsers[d.rng.IntN(len(demoUsers))]
	text, err := demoMail(d.rng, fmt.Sprintf("%s.%d", d.host.Tag, n), d.host.Wall())
	if err != nil {
		return err
	}
	e := delivery.Envelope{Sender: "sender@example.org", Users: []string{user}}
	before := d.host.Ops.Read()
	if err := delivery.Deliver(ctx, d.spool, e, bytes.NewReader(text)); err != nil {
		return err
	}
	used := d.host.Ops.Read().Sub(before).Total()
	want := sha256.Sum256(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	return d.say("%s %s %s %d", demoDelivered, user, hex.EncodeToString(want[:]), used)
}

// read does what a reader does: list, flag a few messages, expunge one.
func (d *demoHost) read(ctx context.Context, user string) error {
	m := d.open[user]
	if m == nil {
		b, err := d.spool.Box(ctx, user, spool.Inbox)
		if err != nil {
			return err
		}
		if m, err = b.Open(ctx); err != nil {
			return err
		}
		d.open[user] = m
	} else if err := m.Refresh(ctx); err != nil {
		return err
	}
	all := m.Messages()
	if err := d.say("%s %d", demoListed, len(all)); err != nil || len(all) == 0 {
		return err
	}
	before := m.Conflicts()
	var uids []uint32
	for range 3 {
		uids = append(uids, all[d.rng.IntN(len(all))].UID)
	}
	changed, err := m.SetFlags(ctx, spool.SetOf(uids...), spool.FlagChange{
		Add: spool.Seen, AddKeywords: []string{"host-" + d.host.Tag},
	})
	if err != nil {
		return err
	}
	if err := d.expunge(ctx, m, user, all[d.rng.IntN(len(all))]); err != nil {
		return err
	}
	if err := m.Project(ctx); err != nil {
		return err
	}
	return d.say("%s %d %d", demoCommitted, len(changed), m.Conflicts()-before)
}

func (d *demoHost) expunge(ctx context.Context, m *spool.Mailbox, user string, msg *spool.Message) error {
	f, _, err := m.OpenMessage(ctx, msg.UID)
	if errors.Is(err, spool.ErrNoMessage) || errors.Is(err, spool.ErrMissing) {
		return nil // another host was faster
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := d.say("%s %s %s", demoExpunging, user, demoSum(text)); err != nil {
		return err
	}
	_, err = m.Expunge(ctx, spool.SetOf(msg.UID))
	return err
}
