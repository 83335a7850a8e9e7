package spool_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// flagsFirst lets a Maildir program flag the first file in cur.
func flagsFirst(ctx context.Context, h *netfs.Host) (done bool) {
	return foreignStep(ctx, h, "cur", func(name string) error {
		base, letters, _ := strings.Cut(name, ":2,")
		return h.Share.Rename(ctx, name, base+":2,"+merged(letters+"F"))
	})
}

// expungeRename: one host expunges the only message, another one reads, and a
// foreign program renames its file.
func expungeRename() simfs.Model {
	const text = "Subject: x\n\n"
	return simfs.Model{Setup: twoBoxes(text), Start: func(s *simfs.Sim) func() error {
		a, b := newActor(s, "a"), newActor(s, "b")
		alive := false
		s.Go(a.h, func(ctx context.Context, _ *netfs.Host) {
			if _, a.err = a.m[0].Expunge(ctx, spool.SetOf(1)); a.err == nil {
				_ = a.m[0].Project(ctx)
			}
			alive = ctx.Err() == nil
		})
		s.Go(b.h, func(ctx context.Context, _ *netfs.Host) { _ = b.m[0].Refresh(ctx) })
		s.Go(s.Host("foreign"), func(ctx context.Context, h *netfs.Host) { flagsFirst(ctx, h) })
		return func() error {
			c, err := contents(s)
			if err != nil {
				return err
			}
			least, most := 0, 1
			switch {
			case alive && a.err == nil:
				most = 0
			case alive && notDone(a.err):
				least = 1
			}
			if err := c[0].count(text, least, most); err != nil {
				return fmt.Errorf("%w; the expunge was told %v", err, a.err)
			}
			return nil
		}
	}}
}

// moveRename: one host moves a message, another one reads, and a foreign
// program renames the message's file.
func moveRename() simfs.Model {
	const text = "Subject: x\n\n"
	return simfs.Model{Setup: twoBoxes(text), Start: func(s *simfs.Sim) func() error {
		a, b := newActor(s, "a"), newActor(s, "b")
		alive := false
		s.Go(a.h, func(ctx context.Context, _ *netfs.Host) {
			_, a.err = a.m[0].Move(ctx, spool.SetOf(1), a.m[1])
			alive = ctx.Err() == nil
		})
		s.Go(b.h, func(ctx context.Context, _ *netfs.Host) { _ = b.m[0].Refresh(ctx) })
		s.Go(s.Host("foreign"), func(ctx context.Context, h *netfs.Host) { flagsFirst(ctx, h) })
		return func() error {
			c, err := contents(s)
			if err != nil {
				return err
			}
			in, out := len(c[0][text]), len(c[1][text])
			switch {
			case in+out == 0 || in > 1 || out > 1:
				return fmt.Errorf("it is there %d times, and moved %d times", in, out)
			case alive && a.err == nil && in > 0:
				return fmt.Errorf("moved, and still there")
			}
			return nil
		}
	}}
}
