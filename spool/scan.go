package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// scan lists new and cur if they may have changed, gives a UID to every
// message that has none, and takes over what other programs did to the files.
func (m *Mailbox) scan(ctx context.Context) error {
	unlock, err := m.scanning.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return m.box.wrap(m.scanLocked(ctx))
}

func (m *Mailbox) scanLocked(ctx context.Context) error {
	a, err := m.look(ctx, &m.watchNew, "new", &m.listedNew)
	b := false
	if err == nil {
		b, err = m.lookCur(ctx)
	}
	if err == nil && (a || b) {
		err = m.compare(ctx)
	}
	if err != nil {
		// What was listed has not been dealt with.
		m.watchNew.Reset()
		m.watchCur.Reset()
	}
	return err
}

// compare takes over what the listings show and the log does not know.
func (m *Mailbox) compare(ctx context.Context) error {
	m.listedHold = nil
	m.locate()
	if len(m.missing()) > 0 {
		var err error
		if m.listedHold, err = m.box.fs.ReadDir(ctx, holdDir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("list %s: %w", holdDir, err)
		}
		m.locate()
	}
	found, err := m.unknown(ctx)
	if err == nil {
		err = m.takeOver(ctx, found)
	}
	if err == nil && len(m.missing()) > 0 {
		err = m.expungeMissing(ctx)
	}
	return err
}

// cheapList is how long a listing may take that is made whenever cur changed.
const cheapList = 10 * time.Millisecond

// lookCur lists cur no more often than costs one percent of the time, but at
// least once a minute: in a large mailbox every change of a flag changes the
// directory.
func (m *Mailbox) lookCur(ctx context.Context) (bool, error) {
	start := m.box.spool.Host.Boot()
	if start < m.nextCur {
		return false, nil
	}
	changed, err := m.look(ctx, &m.watchCur, "cur", &m.listedCur)
	if end := m.box.spool.Host.Boot(); changed && end-start > cheapList {
		m.nextCur = end + min(time.Minute, 100*(end-start))
	}
	return changed, err
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

// locate notes where each file is, by the last listings, and which of them
// are behind the log.
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
	for _, base := range m.listedHold {
		// What hold has beside is no message yet, or a message's second link.
		_, dead := m.state.tombs[base]
		if _, elsewhere := m.files[base]; !elsewhere && (dead || m.state.named(base) != nil) {
			m.files[base] = place{dir: holdDir, file: base}
		}
	}
	m.behind.reset()
	for base, p := range m.files {
		if _, dead := m.state.tombs[base]; dead {
			m.behind.expunge[base] = true
		} else if msg := m.state.named(base); msg != nil && (msg.Flags != p.flags() || p.dir == holdDir) {
			m.behind.flags[msg.UID] = true
		}
	}
}

// unknown lists the messages that the log does not know, oldest first.
func (m *Mailbox) unknown(ctx context.Context) ([]*Message, error) {
	m.mu.RLock()
	names := map[string]place{}
	for base, p := range m.files {
		if !m.state.taken(base) {
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
	written := make(map[*Message]time.Time, len(bases))
	for _, base := range bases {
		msg, when, err := m.describe(ctx, base, names[base])
		if err != nil {
			return nil, err
		}
		if msg != nil {
			found = append(found, msg)
			written[msg] = when
		}
	}
	// Within a second the server's time of the file tells more than the token.
	slices.SortStableFunc(found, func(a, b *Message) int {
		return cmp.Or(cmp.Compare(a.Date.Unix(), b.Date.Unix()), written[a].Compare(written[b]), cmp.Compare(a.Name, b.Name))
	})
	return found, nil
}

// describe makes a message of a file and tells when it was written. It returns
// nil for what is no message: a link, a directory, a file that has just been
// moved.
func (m *Mailbox) describe(ctx context.Context, base string, p place) (*Message, time.Time, error) {
	_, letters, _ := splitName(p.file)
	msg := &Message{Name: base}
	msg.Flags, _ = flagsOf(letters)
	i, err := m.box.fs.Stat(ctx, p.dir+"/"+p.file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, time.Time{}, nil
	case err != nil:
		return nil, time.Time{}, err
	case !i.Mode.IsRegular():
		return nil, time.Time{}, nil
	}
	msg.Size, msg.Date = i.Size, dateOf(base, i)
	return msg, i.Mtime, nil
}

// takeOver commits what the listings tell: UIDs for new messages, in their
// order, and the flags that other programs changed.
func (m *Mailbox) takeOver(ctx context.Context, found []*Message) error {
	imports := m.foreignFlags()
	if len(found)+len(imports) == 0 {
		return nil
	}
	return m.commit(ctx, func(s *state) []string {
		var ops []string
		for _, msg := range found {
			if s.taken(msg.Name) || m.draft.names[msg.Name] {
				continue
			}
			n := *msg
			n.UID = m.draft.uidNext
			m.draft.uidNext++
			m.draft.names[n.Name] = true
			ops = append(ops, assignOp(&n))
		}
		for _, i := range imports {
			if msg, _ := s.find(i.uid); msg != nil && msg.foreign(i.flags) {
				ops = append(ops, importOp(i.uid, i.flags))
			}
		}
		return ops
	})
}

// foreignFlag is a message whose file has flags that the log never gave it.
type foreignFlag struct {
	uid   uint32
	flags Flags
}

func (m *Mailbox) foreignFlags() []foreignFlag {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out []foreignFlag
	for base, p := range m.files {
		// Of two names for one message neither is believed.
		if msg := m.state.named(base); msg != nil && p.tells() && !p.twice && msg.foreign(p.flags()) {
			out = append(out, foreignFlag{msg.UID, p.flags()})
		}
	}
	slices.SortFunc(out, func(a, b foreignFlag) int { return cmp.Compare(a.uid, b.uid) })
	return out
}
