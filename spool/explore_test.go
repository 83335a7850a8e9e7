package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// actor is one process of a model, with INBOX and Archive open.
type actor struct {
	h     *netfs.Host
	boxes [2]*spool.Box
	m     [2]*spool.Mailbox
	err   error // what it was told last
}

func newActor(s *simfs.Sim, name string) *actor {
	a := &actor{h: s.Host(name)}
	a.err = a.open(context.Background())
	return a
}

func (a *actor) open(ctx context.Context) error {
	sp, err := spool.Open(ctx, a.h)
	for i, folder := range folders {
		if err == nil {
			a.boxes[i], err = sp.Box(ctx, "alice", folder)
		}
		if err == nil {
			a.m[i], err = a.boxes[i].Open(ctx)
		}
	}
	return err
}

// finished receives a message as far as its file is complete.
func (a *actor) finished(ctx context.Context, text string) (*spool.Incoming, error) {
	in, err := a.boxes[0].Receive(ctx)
	if err == nil {
		_, err = io.WriteString(in, text)
		err = errors.Join(err, in.Finish(0, false))
	}
	return in, err
}

func (a *actor) deliver(ctx context.Context, text string) {
	var in *spool.Incoming
	if in, a.err = a.finished(ctx, text); a.err == nil {
		a.err = in.Publish(ctx)
	}
}

// twoBoxes makes a spool whose INBOX has messages with the given texts, all of
// them known and shown in cur.
func twoBoxes(texts ...string) func(s *simfs.Sim) error {
	return func(s *simfs.Sim) error {
		a, err := heldBox(s, texts...)
		if err == nil {
			err = a.m[0].Project(context.Background())
		}
		return err
	}
}

// heldBox is twoBoxes with all messages still in hold.
func heldBox(s *simfs.Sim, texts ...string) (*actor, error) {
	ctx, h := context.Background(), s.Host("init")
	sp, err := spool.Init(ctx, h, spool.InitOptions{})
	if err != nil {
		return nil, err
	}
	accounts, err := sp.Accounts(ctx)
	if err == nil {
		err = accounts.Add(ctx, "alice", nil)
	}
	if err == nil {
		err = s.Server().MkdirAll("users/alice/.Archive")
	}
	a := &actor{h: h}
	if err == nil {
		err = a.open(ctx)
	}
	for _, text := range texts {
		if err == nil {
			var in *spool.Incoming
			if in, err = a.finished(ctx, text); err == nil {
				_, err = a.m[0].Append(ctx, spool.NewMessage{In: in})
			}
		}
	}
	return a, err
}

// content is what a folder has, by text.
type content map[string][]*spool.Message

// contents opens both folders on a quiet share, twice, which must agree.
func contents(s *simfs.Sim) (c [2]content, err error) {
	ctx := context.Background()
	a, b := newActor(s, "audit"), newActor(s, "again")
	if err := errors.Join(a.err, b.err); err != nil {
		return c, err
	}
	for i, m := range a.m {
		c[i] = content{}
		for k, msg := range m.Messages() {
			f, _, err := m.OpenMessage(ctx, msg.UID)
			if err != nil {
				return c, err
			}
			text, err := io.ReadAll(f)
			if err := errors.Join(err, f.Close()); err != nil {
				return c, err
			}
			c[i][string(text)] = append(c[i][string(text)], msg)
			if k > 0 && msg.UID <= m.Messages()[k-1].UID {
				return c, fmt.Errorf("UID %d after %d", msg.UID, m.Messages()[k-1].UID)
			}
			if other, err := b.m[i].Message(msg.UID); err != nil || other.Name != msg.Name || other.Flags != msg.Flags {
				return c, fmt.Errorf("UID %d: two hosts disagree: %v, %v, %w", msg.UID, msg, other, err)
			}
		}
		found, err := a.boxes[i].Check(ctx)
		if err != nil {
			return c, err
		}
		for _, f := range found {
			if f.Wrong {
				return c, fmt.Errorf("check: %s", f)
			}
		}
	}
	return c, nil
}

// count wants a text in INBOX and Archive so many times.
func (c content) count(text string, least, most int) error {
	if n := len(c[text]); n < least || n > most {
		return fmt.Errorf("%q is there %d times, want %d to %d", text, n, least, most)
	}
	return nil
}

// foreignStep is what a Maildir program does with the first file that it finds
// in a directory and whose name fits: done tells whether it worked.
func foreignStep(ctx context.Context, h *netfs.Host, dir string, act func(name string) error) (done bool) {
	names, err := h.Share.ReadDir(ctx, "users/alice/"+dir)
	return err == nil && len(names) > 0 && act("users/alice/"+dir+"/"+names[0]) == nil
}

// notDone tells whether err says that a change was not made.
func notDone(err error) bool { return err != nil && !errors.Is(err, netfs.ErrUncertain) }

// deliverScanRename: one host delivers, one reads, and mutt moves new mail to
// cur and marks it as seen.
func deliverScanRename() simfs.Model {
	const text = "Subject: x\n\n"
	return simfs.Model{Setup: twoBoxes(), Start: func(s *simfs.Sim) func() error {
		mda, reader, mutt := newActor(s, "mda"), newActor(s, "reader"), s.Host("mutt")
		var seen, alive bool
		s.Go(mda.h, func(ctx context.Context, _ *netfs.Host) { mda.deliver(ctx, text); alive = ctx.Err() == nil })
		s.Go(reader.h, func(ctx context.Context, _ *netfs.Host) { _ = reader.m[0].Refresh(ctx) })
		s.Go(mutt, func(ctx context.Context, h *netfs.Host) {
			seen = foreignStep(ctx, h, "new", func(name string) error {
				return h.Share.Rename(ctx, name, strings.Replace(name, "/new/", "/cur/", 1)+":2,S")
			})
		})
		return func() error {
			c, err := contents(s)
			if err != nil {
				return err
			}
			least, most := 0, 1
			if mda.err == nil {
				least = 1
			} else if alive && notDone(mda.err) {
				most = 0
			}
			if err := c[0].count(text, least, most); err != nil {
				return fmt.Errorf("%w; the delivery was told %v", err, mda.err)
			}
			for _, msg := range c[0][text] {
				if seen && msg.Flags != spool.Seen {
					return fmt.Errorf("mutt's flag is lost: %v", msg.Flags.Words())
				}
			}
			return nil
		}
	}}
}

// expungeDelete: one host expunges a message, another one reads, and a foreign
// program removes another message. A third one stays.
func expungeDelete() simfs.Model {
	texts := []string{"Subject: 1\n\n", "Subject: 2\n\n", "Subject: 3\n\n"}
	return simfs.Model{Setup: twoBoxes(texts...), Start: func(s *simfs.Sim) func() error {
		a, b, foreign := newActor(s, "a"), newActor(s, "b"), s.Host("foreign")
		var removed, alive bool
		var victim uint32
		byFile := map[string]uint32{}
		for _, msg := range a.m[0].Messages() {
			byFile[msg.Name+":2,"] = msg.UID
		}
		s.Go(a.h, func(ctx context.Context, _ *netfs.Host) {
			if _, a.err = a.m[0].Expunge(ctx, spool.SetOf(2)); a.err == nil {
				_ = a.m[0].Project(ctx)
			}
			alive = ctx.Err() == nil
		})
		s.Go(b.h, func(ctx context.Context, _ *netfs.Host) { _ = b.m[0].Refresh(ctx) })
		s.Go(foreign, func(ctx context.Context, h *netfs.Host) {
			removed = foreignStep(ctx, h, "cur", func(name string) error {
				victim = byFile[strings.TrimPrefix(name, "users/alice/cur/")]
				return h.Share.Remove(ctx, name)
			})
		})
		return func() error {
			c, err := contents(s)
			if err != nil {
				return err
			}
			gone := 0
			for _, text := range texts {
				gone += 1 - len(c[0][text])
			}
			want := 0
			if len(c[0][texts[1]]) == 0 {
				want++
			}
			if removed && victim != 2 {
				want++
			}
			switch {
			case alive && a.err == nil && len(c[0][texts[1]]) > 0:
				return errors.New("expunged and there")
			case alive && notDone(a.err) && len(c[0][texts[1]]) == 0 && !(removed && victim == 2):
				return fmt.Errorf("not expunged (%v) and gone", a.err)
			case gone != want:
				return fmt.Errorf("%d messages are gone, want %d (removed: %v, message %d)", gone, want, removed, victim)
			}
			return nil
		}
	}}
}

// flagForeignFlag: one host sets a flag, another one shows in names what the
// log says, and a foreign program sets another flag.
func flagForeignFlag() simfs.Model {
	const text = "Subject: x\n\n"
	return simfs.Model{Setup: twoBoxes(text), Start: func(s *simfs.Sim) func() error {
		a, b, foreign := newActor(s, "a"), newActor(s, "b"), s.Host("foreign")
		var flagged, alive bool
		s.Go(a.h, func(ctx context.Context, _ *netfs.Host) {
			if _, a.err = a.m[0].SetFlags(ctx, spool.SetOf(1), spool.FlagChange{Add: spool.Answered}); a.err == nil {
				_ = a.m[0].Project(ctx)
			}
			alive = ctx.Err() == nil
		})
		s.Go(b.h, func(ctx context.Context, _ *netfs.Host) {
			if b.m[0].Refresh(ctx) == nil {
				_ = b.m[0].Project(ctx)
			}
		})
		s.Go(foreign, func(ctx context.Context, h *netfs.Host) {
			flagged = flagsFirst(ctx, h)
		})
		return func() error {
			c, err := contents(s)
			if err == nil {
				err = c[0].count(text, 1, 1)
			}
			if err != nil {
				return err
			}
			switch got := c[0][text][0].Flags; {
			case flagged && got&spool.Flagged == 0:
				return fmt.Errorf("the foreign flag is lost: %v", got.Words())
			case alive && a.err == nil && got&spool.Answered == 0:
				return fmt.Errorf("an acknowledged flag is lost: %v", got.Words())
			case alive && notDone(a.err) && got&spool.Answered != 0:
				return fmt.Errorf("not set (%v) and there", a.err)
			}
			return nil
		}
	}}
}

// moveMove: two hosts move one message to one folder.
func moveMove() simfs.Model {
	const text = "Subject: x\n\n"
	return simfs.Model{Setup: twoBoxes(text), Start: func(s *simfs.Sim) func() error {
		actors := []*actor{newActor(s, "a"), newActor(s, "b")}
		for _, a := range actors {
			s.Go(a.h, func(ctx context.Context, _ *netfs.Host) { _, a.err = a.m[0].Move(ctx, spool.SetOf(1), a.m[1]) })
		}
		return func() error {
			c, err := contents(s)
			if err != nil {
				return err
			}
			if len(c[0][text])+len(c[1][text]) == 0 {
				return errors.New("the message is lost")
			}
			if err := c[1].count(text, 0, 1); err != nil {
				return err
			}
			for _, a := range actors {
				if a.err == nil && len(c[0][text]) > 0 {
					return fmt.Errorf("%s moved it, and it is there", a.h.Tag)
				}
			}
			return nil
		}
	}}
}

// dropSuspended: a host appends, and may be suspended for days, after which
// another one sweeps.
func dropSuspended() simfs.Model {
	const text = "Subject: x\n\n"
	return simfs.Model{Setup: twoBoxes(), Start: func(s *simfs.Sim) func() error {
		a, b := newActor(s, "a"), newActor(s, "b")
		alive := false
		s.Go(a.h, func(ctx context.Context, _ *netfs.Host) {
			var in *spool.Incoming
			if in, a.err = a.finished(ctx, text); a.err == nil {
				_, a.err = a.m[0].Append(ctx, spool.NewMessage{In: in})
			}
			alive = ctx.Err() == nil
		})
		s.Go(b.h, func(ctx context.Context, h *netfs.Host) {
			in, err := b.finished(ctx, "Subject: sweep\n\n")
			if err == nil {
				_, err = b.m[0].Append(ctx, spool.NewMessage{In: in})
			}
			if err == nil && h.Sleep(ctx, 40*time.Hour) == nil {
				_ = b.m[0].Project(ctx)
			}
		})
		return func() error {
			c, err := contents(s)
			if err != nil {
				return err
			}
			least, most := 0, 1
			if alive && a.err == nil {
				least = 1
			} else if alive && notDone(a.err) {
				most = 0
			}
			if err := c[0].count(text, least, most); err != nil {
				return fmt.Errorf("%w; the append was told %v", err, a.err)
			}
			return nil
		}
	}}
}

// projectScan: one host gives two messages in hold a flag and moves them to
// cur, while another one, which does not know the flag, scans.
func projectScan() simfs.Model {
	texts := []string{"Subject: 1\n\n", "Subject: 2\n\n"}
	setup := func(s *simfs.Sim) error {
		_, err := heldBox(s, texts...)
		return err
	}
	return simfs.Model{Setup: setup, Start: func(s *simfs.Sim) func() error {
		a, b := newActor(s, "a"), newActor(s, "b")
		s.Go(a.h, func(ctx context.Context, _ *netfs.Host) {
			if _, a.err = a.m[0].SetFlags(ctx, spool.SetOf(1, 2), spool.FlagChange{Add: spool.Answered}); a.err == nil {
				_ = a.m[0].Project(ctx)
			}
		})
		s.Go(b.h, func(ctx context.Context, _ *netfs.Host) { _ = b.m[0].Refresh(ctx) })
		return func() error {
			c, err := contents(s)
			for _, text := range texts {
				if err == nil {
					err = c[0].count(text, 1, 1)
				}
			}
			return err
		}
	}}
}

// everyFault may happen in a model where one may.
var everyFault = simfs.Faults{Crash: 1, Fail: 1, Lost: 1, Twice: 1, Late: 1, Echo: 1, SplitList: 1}

// models are the small configurations, the kind of share (a plain server without
// caches if empty), and the bounds of the short run and of the full one.
var models = []struct {
	name, share string
	model       simfs.Model
	small, full simfs.Bound
}{
	{"deliver, scan, foreign rename", "", deliverScanRename(), simfs.Bound{Faults: 1, Switches: 1}, simfs.Bound{Faults: 1, Switches: 2}},
	{"expunge, scan, foreign delete", "", expungeDelete(), simfs.Bound{Switches: 2}, simfs.Bound{Switches: 3}},
	{"flag, project, foreign flag", "", flagForeignFlag(), simfs.Bound{Switches: 2}, simfs.Bound{Switches: 5}},
	{"project, scan", "", projectScan(), simfs.Bound{Switches: 3}, simfs.Bound{Switches: -1}},
	{"move and move", "", moveMove(), simfs.Bound{Switches: 2}, simfs.Bound{Faults: 1, Switches: 1}},
	{"drop and a suspended writer", "", dropSuspended(), simfs.Bound{Switches: 2}, simfs.Bound{Switches: 4}},
	{"deliver, scan, foreign rename", "nfs3", deliverScanRename(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"deliver, scan, foreign rename", "nfs4", deliverScanRename(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"deliver, scan, foreign rename", "smb-fat", deliverScanRename(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"flag, project, foreign flag", "nfs3", flagForeignFlag(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"flag, project, foreign flag", "nfs4", flagForeignFlag(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"flag, project, foreign flag", "smb-fat", flagForeignFlag(), simfs.Bound{}, simfs.Bound{Switches: 1}},
	{"expunge, scan, foreign delete", "nfs3", expungeDelete(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"expunge, scan, foreign delete", "nfs4", expungeDelete(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"expunge, scan, foreign delete", "smb-fat", expungeDelete(), simfs.Bound{}, simfs.Bound{Switches: 1}},
	{"expunge, scan, foreign rename", "", expungeRename(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"expunge, scan, foreign rename", "nfs3", expungeRename(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"expunge, scan, foreign rename", "smb-fat", expungeRename(), simfs.Bound{}, simfs.Bound{Switches: 1}},
	{"move and move", "nfs3", moveMove(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"move and move", "smb-fat", moveMove(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"move, scan, foreign rename", "", moveRename(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"move, scan, foreign rename", "nfs3", moveRename(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"move, scan, foreign rename", "smb-fat", moveRename(), simfs.Bound{}, simfs.Bound{Switches: 1}},
}

// TestExplore runs every small configuration in every way within its bound.
// BOBBIN_EXPLORE_STATES=N explores the full bounds with so many states each
// instead of 1,000,000.
func TestExplore(t *testing.T) {
	for _, m := range models {
		t.Run(strings.ReplaceAll(strings.TrimSpace(m.share+" "+m.name), " ", "_"), func(t *testing.T) {
			share, _ := simfs.ShareNamed(m.share)
			share.Set(&m.model.Options)
			m.model.Options.HoldDirs = false // what clients hold is no part of the states
			m.model.Options.Faults = everyFault
			bound := m.small
			if full() {
				bound = m.full
			}
			if v, err := strconv.Atoi(os.Getenv("BOBBIN_EXPLORE_STATES")); err == nil {
				bound = m.full
				bound.States = v
			}
			got := simfs.Explore(t, m.model, bound)
			if got.Failure != nil {
				t.Fatalf("%v\n%s", got.Failure, got.Trace)
			}
			t.Logf("%d faults, %d switches: %s", bound.Faults, bound.Switches, got)
			if !got.Complete {
				t.Error("not all was explored")
			}
		})
	}
}
