package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Absence is weak evidence: a listing made during renames misses names (H48),
// and names that were looked up are cached (H34). Only a complete scan tells
// that a file is gone: nothing changed, by stamps that had stood still for a
// grain, from before the listings until after the last look-up.

// scanTries is how often a scan is begun again because something changed.
const scanTries = 5

// weakGap is how far apart two complete scans must be where listings cannot
// be trusted even when nothing changes.
const weakGap = 70 * time.Second

// goneBatch is how many tombstones without a file are worth a record.
const goneBatch = 64

// missing lists live messages whose file was not listed.
func (m *Mailbox) missing() []*Message {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []*Message
	for i, msg := range m.state.msgs {
		if m.state.shown[i] == 0 && m.state.odd[msg.Name] == nil {
			out = append(out, msg)
		}
	}
	return out
}

// expungeMissing commits the expunge of messages whose files another program
// removed.
func (m *Mailbox) expungeMissing(ctx context.Context) error {
	absent, tombs, err := m.complete(ctx)
	if err != nil {
		return err
	}
	now := m.box.spool.Host.Boot()
	waiting := map[uint32]time.Duration{}
	var uids []uint32
	for _, msg := range absent {
		first, before := m.absent[msg.UID]
		if !before {
			first = now
		}
		if !m.box.spool.Host.Profile.WeakLists || now-first >= weakGap {
			uids = append(uids, msg.UID)
		} else {
			waiting[msg.UID] = first
		}
	}
	m.absent = waiting
	if len(tombs) < goneBatch {
		tombs = nil
	}
	if len(uids)+len(tombs) == 0 {
		return nil
	}
	return m.commit(ctx, func(s *state) []string {
		var ops []string
		if left := s.in(SetOf(uids...)); len(left) > 0 {
			ops = append(ops, expungeOp(setOfMessages(left)))
		}
		for _, name := range tombs {
			if _, ok := s.tombs[name]; ok {
				ops = append(ops, goneOp(name))
			}
		}
		return ops
	})
}

// secondLookDue tells whether a message that was absent once may be looked for
// again. No change of a directory need ever call for that look.
func (m *Mailbox) secondLookDue() bool {
	now := m.box.spool.Host.Boot()
	for _, first := range m.absent {
		if now-first >= weakGap {
			return true
		}
	}
	return false
}

func setOfMessages(msgs []*Message) UIDSet {
	uids := make([]uint32, len(msgs))
	for i, msg := range msgs {
		uids[i] = msg.UID
	}
	return SetOf(uids...)
}

// complete makes a complete scan and returns the messages and the tombstones
// that have no file; two nils if the mailbox did not come to rest.
func (m *Mailbox) complete(ctx context.Context) ([]*Message, []string, error) {
	for range scanTries {
		before, err := m.restingStamps(ctx)
		if err != nil {
			return nil, nil, err
		}
		var lists []listing
		for _, dir := range []string{"new", "cur", holdDir} {
			names, err := m.box.fs.ReadDir(ctx, dir)
			if err != nil {
				return nil, nil, err
			}
			lists = append(lists, listing{dir, names})
		}
		m.locate(lists...)
		var absent []*Message
		for _, msg := range m.missing() {
			there, err := m.askByName(ctx, msg)
			if err != nil {
				return nil, nil, err
			}
			if !there {
				absent = append(absent, msg)
			}
		}
		if len(absent) > 0 {
			back, err := m.bringBack(ctx, absent)
			if err != nil {
				return nil, nil, err
			}
			absent = slices.DeleteFunc(absent, func(msg *Message) bool { return back[msg.UID] })
		}
		tombs := m.tombsWithoutFile()
		after, err := m.stamps(ctx)
		if err != nil {
			return nil, nil, err
		}
		if after == before {
			return append([]*Message{}, absent...), tombs, nil
		}
	}
	return nil, nil, nil
}

func (m *Mailbox) tombsWithoutFile() []string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []string
	for name := range m.state.tombs {
		if m.state.odd[name] == nil {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// messageDirs are where a live message's file comes and goes. It comes from
// hold too, but goes to one of these then.
var messageDirs = [...]string{"new", "cur"}

func (m *Mailbox) stamps(ctx context.Context) (s [len(messageDirs)]netfs.Stamp, err error) {
	for i, dir := range messageDirs {
		if s[i], err = netfs.Fresh(ctx, m.box.fs, dir); err != nil {
			return s, fmt.Errorf("stat %s: %w", dir, err)
		}
	}
	return s, nil
}

// restingStamps is netfs.Settled for all directories at once.
func (m *Mailbox) restingStamps(ctx context.Context) ([len(messageDirs)]netfs.Stamp, error) {
	last, err := m.stamps(ctx)
	for range scanTries {
		if err != nil {
			return last, err
		}
		if err := m.box.spool.Host.Sleep(ctx, m.box.spool.Host.Grain(last[:]...)); err != nil {
			return last, err
		}
		now, err := m.stamps(ctx)
		if err != nil || now == last {
			return now, err
		}
		last = now
	}
	return last, nil // the comparison after the scan will fail
}

// askByName looks for a message under every name that the log may have given
// its file.
func (m *Mailbox) askByName(ctx context.Context, msg *Message) (bool, error) {
	names := []string{holdDir + "/" + msg.Name, "new/" + msg.Name}
	for f := range Flags(64) {
		if msg.past.has(f) {
			names = append(names, m.curName(msg.Name, f.Letters()))
		}
	}
	for _, name := range names {
		_, err := m.box.fs.Stat(ctx, name)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
	}
	return false, nil
}

func (m *Mailbox) curName(base, letters string) string {
	return "cur/" + base + m.box.spool.Marker.Separator + "2," + letters
}
