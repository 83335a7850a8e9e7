package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/bobbinmail/bobbin/netfs"
)

// scan lists new and cur if they may have changed and gives a UID to every
// message that has none. A name that is missing proves nothing (H48), so
// nothing is concluded from one.
func (m *Mailbox) scan(ctx context.Context) error {
	select {
	case m.scanning <- struct{}{}:
		defer func() { <-m.scanning }()
	case <-ctx.Done():
		return ctx.Err()
	}
	a, err := m.look(ctx, &m.watchNew, "new", &m.listedNew)
	if err != nil {
		return m.box.wrap(err)
	}
	b, err := m.look(ctx, &m.watchCur, "cur", &m.listedCur)
	if err != nil {
		return m.box.wrap(err)
	}
	if !a && !b {
		return nil
	}
	m.locate()
	found, err := m.unknown(ctx)
	if err == nil && len(found) > 0 {
		err = m.assign(ctx, found)
	}
	if err != nil {
		m.watchNew.Reset()
		m.watchCur.Reset()
		return m.box.wrap(err)
	}
	return nil
}

func (m *Mailbox) look(ctx context.Context, w *netfs.Watch, dir string, names *[]string) (bool, error) {
	h, f := m.box.spool.Host, m.box.fs
	changed, err := w.Changed(ctx, h, f, dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = m.box.prepare(ctx, maildirs); err == nil {
			changed, err = w.Changed(ctx, h, f, dir)
		}
	}
	if err != nil || !changed {
		return false, err
	}
	list, err := f.ReadDir(ctx, dir)
	if err != nil {
		w.Reset()
		return false, fmt.Errorf("list %s: %w", dir, err)
	}
	*names = list
	return true, nil
}

// locate notes where each file is, by the last listings.
func (m *Mailbox) locate() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files = make(map[string]place, len(m.listedNew)+len(m.listedCur))
	for _, l := range []struct {
		dir   string
		names []string
	}{{"new", m.listedNew}, {"cur", m.listedCur}} {
		for _, file := range l.names {
			if base, _, ok := splitName(file); ok {
				_, twice := m.files[base]
				m.files[base] = place{l.dir, file, twice}
			}
		}
	}
}

// unknown lists the messages that the log does not know, oldest first.
func (m *Mailbox) unknown(ctx context.Context) ([]*Message, error) {
	m.mu.RLock()
	names := map[string]place{}
	for base, p := range m.files {
		_, live := m.state.byName[base]
		_, dead := m.state.tombs[base]
		if !live && !dead {
			names[base] = p
		}
	}
	m.mu.RUnlock()
	bases := make([]string, 0, len(names))
	for base := range names {
		bases = append(bases, base)
	}
	slices.Sort(bases)
	found := make([]*Message, 0, len(bases))
	for _, base := range bases {
		msg, err := m.describe(ctx, base, names[base])
		if err != nil {
			return nil, err
		}
		if msg != nil {
			found = append(found, msg)
		}
	}
	slices.SortStableFunc(found, func(a, b *Message) int {
		return cmp.Or(a.Date.Compare(b.Date), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// describe makes a message of a file. A name of Bobbin's own tells all; for
// others the server is asked. It returns nil for what is no message: a link,
// a directory, a file that has just been moved.
func (m *Mailbox) describe(ctx context.Context, base string, p place) (*Message, error) {
	_, letters, _ := splitName(p.file)
	msg := &Message{Name: base, Size: sizeInName(base)}
	msg.Flags, _ = flagsOf(letters)
	if when, ok := timeInName(base); ok && msg.Size >= 0 && ownName(base) {
		msg.Date = when
		return msg, nil
	}
	i, err := m.box.fs.Stat(ctx, p.dir+"/"+p.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !i.Mode.IsRegular():
		return nil, nil
	}
	msg.Size, msg.Date = i.Size, dateOf(base, i)
	return msg, nil
}

// assign gives UIDs to messages, in their order, unless another host did.
func (m *Mailbox) assign(ctx context.Context, found []*Message) error {
	return m.commit(ctx, func(s *state) []string {
		var ops []string
		for _, msg := range found {
			_, live := s.byName[msg.Name]
			_, dead := s.tombs[msg.Name]
			if live || dead || m.draft.names[msg.Name] {
				continue
			}
			n := *msg
			n.UID = m.draft.uidNext
			m.draft.uidNext++
			m.draft.names[n.Name] = true
			ops = append(ops, assignOp(&n))
		}
		return ops
	})
}
