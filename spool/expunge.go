package spool

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
)

// Expunge removes all messages in the set for good, by one record, and
// returns the UIDs that were there. After an error nothing was removed, unless
// it matches [netfs.ErrUncertain]; then the same call may be made again.
//
// On a disk that is full, where no record can be written, files are unlinked
// first: those that were expunged before, then those of the set. They cannot be
// read on by sessions that do not know of the expunge.
func (m *Mailbox) Expunge(ctx context.Context, set UIDSet) (UIDSet, error) {
	e := &expunge{set: set, removed: map[string]bool{}}
	err := m.commit(ctx, e.build)
	if diskFull(err) {
		err = m.expungeFull(ctx, err, e)
	}
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	for _, msg := range e.msgs {
		if !e.removed[msg.Name] {
			m.owed.expunge[msg.Name] = true
		}
	}
	m.mu.Unlock()
	return setOfMessages(e.msgs), nil
}

// expunge is one on its way.
type expunge struct {
	set     UIDSet
	msgs    []*Message      // by the last build
	removed map[string]bool // names whose files are unlinked already
}

func (e *expunge) build(s *state) []string {
	if e.msgs = s.in(e.set); len(e.msgs) == 0 {
		return nil
	}
	return []string{expungeOp(setOfMessages(e.msgs))}
}

// diskFull tells errors of a change that was not made for want of room.
func diskFull(err error) bool {
	return (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, netfs.ErrUncertain)
}

// expungeFull commits an expunge that failed with err because the disk is full.
//
// A record needs room, and there is none for the record that would make some.
// So here alone a message's file goes before the record that says so. What a
// crash leaves between looks as if another program had removed the file, and
// the next complete scan records it.
func (m *Mailbox) expungeFull(ctx context.Context, err error, e *expunge) error {
	n, gerr := m.emptyGone(ctx)
	if n > 0 {
		if err = m.commit(ctx, e.build); !diskFull(err) {
			return err
		}
	}
	tried := 0
	for _, msg := range e.msgs {
		rerr := m.removeFile(ctx, msg)
		if errors.Is(rerr, ErrMissing) || errors.Is(rerr, ErrNoMessage) {
			continue
		}
		tried++
		e.removed[msg.Name] = rerr == nil
		gerr = several([]error{gerr, rerr})
	}
	if tried == 0 {
		return err
	}
	if err = m.commit(ctx, e.build); err != nil && !errors.Is(err, netfs.ErrUncertain) {
		err = fmt.Errorf("%w: files of %d messages are removed, and the log does not say so yet: %w", netfs.ErrUncertain, tried, several([]error{err, gerr}))
	}
	return err
}

// removeFile unlinks the file of a message.
func (m *Mailbox) removeFile(ctx context.Context, msg *Message) error {
	return m.reach(ctx, msg, func(name string) error {
		// Unlink is content with a name that is not there.
		if _, err := m.box.fs.Stat(ctx, name); err != nil {
			return err
		}
		return netfs.Unlink(ctx, m.box.spool.Host, m.box.fs, name)
	})
}

// emptyGone unlinks at once what was moved to bobbin/x, and tells how many
// files there were.
func (m *Mailbox) emptyGone(ctx context.Context) (int, error) {
	names, err := m.gone(ctx)
	if err == nil {
		err = m.removeAll(ctx, goneDir, names)
	}
	return len(names), err
}
