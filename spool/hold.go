package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// NewMessage is a message for [Mailbox.Append].
type NewMessage struct {
	// In was received by the same mailbox and is finished.
	In *Incoming
	// Flags and Keywords are what the message begins with.
	Flags    Flags
	Keywords []string
	// Date is IMAP's INTERNALDATE, in seconds; the time now if it is zero.
	Date time.Time
}

// Append makes messages, all of them by one record or none, and returns their
// UIDs in the same order (RFC 3502, RFC 4315). Nobody sees a part of them, or
// one without its flags. The messages' Incoming are used up, whatever the
// outcome.
//
// After an error nothing was appended, unless it matches
// [netfs.ErrUncertain]. The error wraps [ErrBadName] for a keyword that is
// none, and [ErrRetry].
func (m *Mailbox) Append(ctx context.Context, msgs ...NewMessage) ([]uint32, error) {
	list := make([]*entry, len(msgs))
	for i, msg := range msgs {
		list[i] = m.appended(msg)
	}
	err := m.admit(ctx, list)
	if err != nil {
		if !errors.Is(err, netfs.ErrUncertain) {
			for _, msg := range msgs {
				msg.In.Abort(ctx)
			}
		}
		return nil, m.box.wrap(err)
	}
	uids := make([]uint32, len(list))
	for i, e := range list {
		uids[i] = e.uid
	}
	return uids, nil
}

func (m *Mailbox) appended(n NewMessage) *entry {
	date := n.Date
	if date.IsZero() {
		date = m.box.spool.Host.Wall()
	}
	e := &entry{msg: Message{
		Flags: n.Flags, Keywords: slices.Compact(slices.Sorted(slices.Values(n.Keywords))),
		Date: date, Size: n.In.file.Size(),
	}}
	held := false
	e.fill = func(ctx context.Context) (string, error) {
		for _, k := range e.msg.Keywords {
			if err := checkKeyword(k); err != nil {
				return "", err
			}
		}
		if held {
			return "", fmt.Errorf("append: the held file was dropped: %w", ErrRetry)
		}
		held = true
		name := dated(n.In.name, date)
		return name, m.box.hold(ctx, n.In.temp, name)
	}
	return e
}

// dated returns a name of ours with the seconds of a date.
func dated(name string, date time.Time) string {
	_, rest, _ := strings.Cut(name, ".")
	name2 := fmt.Sprintf("%d.%s", date.Unix(), rest)
	if _, ok := timeInName(name2); !ok {
		return name // before 1970
	}
	return name2
}

// hold moves a complete file from tmp to bobbin/hold. From there it becomes a
// message only by a record that names it, so an error means: not done.
func (b *Box) hold(ctx context.Context, temp, name string) error {
	move := func() error {
		return netfs.Move(ctx, b.spool.Host, b.fs, temp, holdDir+"/"+name)
	}
	err := move()
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, netfs.ErrUncertain) {
		if err = b.prepare(ctx, []string{logDir, holdDir}); err == nil {
			err = move()
		}
	}
	return err
}

// entry is a message on its way in through bobbin/hold.
type entry struct {
	// msg is what the record will say of it; Name is its complete file in hold,
	// or "" while there is none.
	msg Message
	// origin tells where a message that is moved comes from; "" for all others.
	origin string
	// source is the UID it has where it is copied or moved from.
	source uint32
	// fill completes a file in hold and returns its base name.
	fill func(ctx context.Context) (string, error)
	// uid is what the record gave it, or that of the message which an earlier
	// try of the same move made; then found is set, and no file is needed.
	uid   uint32
	found bool
	// seen: in a shared folder, the user who puts it there has seen it.
	seen bool
}

// admitTries is how often files are made anew because they were dropped.
const admitTries = 4

// admit makes messages of all entries by one record, or of none.
func (m *Mailbox) admit(ctx context.Context, list []*entry) error {
	m.mu.RLock()
	images := m.state.images(list)
	m.mu.RUnlock()
	for _, e := range list {
		e.uid, e.found = images[e.origin]
		if m.reader != nil {
			e.seen = e.msg.Flags&Seen != 0
			e.msg.Flags &^= Seen
		}
	}
	for range admitTries {
		if err := m.fill(ctx, list); err != nil {
			m.unhold(ctx, list)
			return err
		}
		err := m.commit(ctx, func(s *state) []string { return m.assign(s, list) })
		if errors.Is(err, netfs.ErrUncertain) {
			return err // the record may stand yet: its files stay
		}
		if err != nil {
			m.unhold(ctx, list)
			return err
		}
		if !slices.ContainsFunc(list, (*entry).lacksFile) {
			m.admitted(ctx, list)
			return nil
		}
	}
	m.unhold(ctx, list)
	return fmt.Errorf("held files were dropped %d times: %w", admitTries, ErrRetry)
}

func (e *entry) lacksFile() bool { return e.msg.Name == "" && !e.found }

// fill completes the files that are not there yet.
func (m *Mailbox) fill(ctx context.Context, list []*entry) (err error) {
	for _, e := range list {
		if !e.lacksFile() {
			continue
		}
		e.msg.Name, err = e.fill(ctx)
		if errors.Is(err, netfs.ErrUncertain) {
			// Whatever becomes of the file, no record names it.
			err = fmt.Errorf("%w: %v", ErrRetry, err)
		}
		if err != nil {
			e.msg.Name = ""
			return err
		}
	}
	return nil
}

// assign builds the record that makes messages of all entries. It builds
// nothing while one of them lacks its file: because it was dropped, or because
// the message that an earlier try had made has gone since.
func (m *Mailbox) assign(s *state, list []*entry) []string {
	images := s.images(list)
	for _, e := range list {
		e.uid, e.found = images[e.origin]
		if _, dropped := s.dropped[e.msg.Name]; dropped || m.draft.names[e.msg.Name] {
			e.msg.Name = ""
		}
	}
	if slices.ContainsFunc(list, (*entry).lacksFile) {
		return nil
	}
	var ops []string
	keywords := map[string][]uint32{}
	for _, e := range list {
		if e.found {
			continue
		}
		e.uid = m.draft.uidNext
		m.draft.uidNext++
		m.draft.names[e.msg.Name] = true
		e.msg.UID = e.uid
		ops = append(ops, assignOp(&e.msg))
		for _, k := range e.msg.Keywords {
			keywords[k] = append(keywords[k], e.uid)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(keywords)) {
		ops = append(ops, flagOps(SetOf(keywords[k]...), FlagChange{AddKeywords: []string{k}})...)
	}
	return ops
}

// admitted notes what the new messages still need: a name in cur.
func (m *Mailbox) admitted(ctx context.Context, list []*entry) {
	m.mu.Lock()
	for _, e := range list {
		if !e.found {
			m.state.setPlace(e.msg.Name, place{dir: holdDir, file: e.msg.Name})
			m.owed.flags[e.uid] = true
			m.owed.held = true
			e.msg.Name = "" // it is the log's now
		}
	}
	m.mu.Unlock()
	m.unhold(ctx, list)
	m.admittedSeen(ctx, list)
}

// unhold removes files that no record names and none will. What stays behind
// is swept.
func (m *Mailbox) unhold(ctx context.Context, list []*entry) {
	for _, e := range list {
		if e.msg.Name != "" {
			_ = netfs.Unlink(context.WithoutCancel(ctx), m.box.spool.Host, m.box.fs, holdDir+"/"+e.msg.Name)
		}
	}
}
