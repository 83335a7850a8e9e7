package spool

import (
	"context"
	"fmt"

	"github.com/bobbinmail/bobbin/netfs"
)

// Flags and keywords of messages in shared folders are everybody's, but for
// \Seen: that and the last message read are each reader's own, and are kept in
// his log under the folder's UIDVALIDITY. That is unique among the shared
// folders, stays with a folder that is renamed, and UIDs mean nothing without it.

// SharedFolders lists the shared folders in the order of their names. It costs
// two operations and one for each.
func (s *Spool) SharedFolders(ctx context.Context, user string) ([]string, error) {
	h, err := s.home(user)
	if err != nil {
		return nil, err
	}
	return home{spool: s, dir: publicDir, user: h.user, public: true}.list(ctx)
}

// openReader makes m show the \Seen of the user who opens it.
func (m *Mailbox) openReader(ctx context.Context) error {
	if !m.box.home.public {
		return nil
	}
	own, err := m.box.spool.home(m.box.User)
	if err == nil {
		m.reader, err = own.state(ctx)
	}
	return err
}

// own returns a message with the reader's \Seen instead of everybody's.
func (m *Mailbox) own(msg *Message) *Message {
	if m.reader == nil || msg == nil {
		return msg
	}
	f := msg.Flags &^ Seen
	if m.reader.seenIn(m.UIDValidity()).Contains(msg.UID) {
		f |= Seen
	}
	if f == msg.Flags {
		return msg
	}
	n := *msg
	n.Flags = f
	return &n
}

func (m *Mailbox) ownAll(msgs []*Message) []*Message {
	if m.reader != nil {
		for i, msg := range msgs {
			msgs[i] = m.own(msg)
		}
	}
	return msgs
}

// shared is the part of a change that is everybody's.
func (m *Mailbox) shared(c FlagChange) FlagChange {
	if m.reader != nil {
		c.Add, c.Remove = c.Add&^Seen, c.Remove&^Seen
	}
	return c
}

// setSeen does for the reader what c says of \Seen, and returns the messages
// that changed.
func (m *Mailbox) setSeen(ctx context.Context, set UIDSet, c FlagChange) (UIDSet, error) {
	if m.reader == nil || (c.Add|c.Remove)&Seen == 0 {
		return nil, nil
	}
	want := c.Add&Seen != 0
	var uids []uint32
	for _, msg := range m.Messages() {
		if set.Contains(msg.UID) && (msg.Flags&Seen != 0) != want {
			uids = append(uids, msg.UID)
		}
	}
	changed := SetOf(uids...)
	return changed, m.reader.mark(ctx, m.UIDValidity(), changed, want)
}

// admittedSeen notes which of the messages that came into a shared folder the
// user has seen before. That they came is not undone if this fails.
func (m *Mailbox) admittedSeen(ctx context.Context, list []*entry) {
	if m.reader == nil {
		return
	}
	var uids []uint32
	for _, e := range list {
		if e.seen {
			uids = append(uids, e.uid)
		}
	}
	_ = m.reader.mark(ctx, m.UIDValidity(), SetOf(uids...), true)
}

// LastRead is the UID that SetLastRead set for this user; 0 if none was. It is
// kept for shared folders alone.
func (m *Mailbox) LastRead() uint32 {
	if m.reader == nil {
		return 0
	}
	return m.reader.lastRead(m.UIDValidity())
}

// SetLastRead notes how far the user has read in a shared folder. The error
// wraps [ErrNoMessage] for a UID that was never given.
func (m *Mailbox) SetLastRead(ctx context.Context, uid uint32) error {
	if m.reader == nil {
		return m.box.wrap(fmt.Errorf("last read: %w: it is kept for shared folders", ErrBadName))
	}
	if uid == 0 || uid >= m.UIDNext() {
		return m.box.wrap(fmt.Errorf("UID %d: %w", uid, ErrNoMessage))
	}
	return m.box.wrap(m.reader.setLastRead(ctx, m.UIDValidity(), uid))
}

// partly is the error of a change of which one half is committed.
func partly(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the other flags are set, and \\Seen is not: %w: %v", netfs.ErrUncertain, err)
}
