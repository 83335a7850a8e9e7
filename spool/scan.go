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
	return m.box.wrap(m.scanLocked(ctx, m.box.spool.Marker.HasForeign()))
}

// listing is what a directory was seen to hold.
type listing struct {
	dir   string
	names []string
}

// scanLocked is scan, of new alone unless whole: where no other program
// changes files, nothing in cur is news.
func (m *Mailbox) scanLocked(ctx context.Context, whole bool) error {
	forgot, lists := m.forgot(), m.early
	early := len(lists) > 0
	m.early = nil
	if forgot && !early {
		m.lookAnew()
	}
	var err error
	if !early {
		lists, err = m.look(ctx, whole)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if err = m.box.prepare(ctx, maildirs); err == nil {
			lists, err = m.look(ctx, whole)
		}
	}
	if err == nil && early {
		err = m.compareEarly(ctx, lists)
	} else if err == nil && len(lists) > 0 {
		err = m.compare(ctx, lists, whole)
	} else if err == nil && whole && m.secondLookDue() {
		err = m.expungeMissing(ctx)
	}
	if err == nil && (len(lists) > 0 && m.placesTwice() != nil || len(m.twins) > 0) {
		err = m.seeTwins(ctx)
	}
	if err == nil && m.passed {
		// What another host moved before it was listed or looked at has a UID by now.
		_, err = m.log.Refresh(ctx)
	}
	if err != nil {
		// What was listed has not been dealt with.
		m.watchNew.Reset()
		m.watchCur.Reset()
	}
	return err
}

// lookAnew sees to it that the next look lists whatever it looks at.
func (m *Mailbox) lookAnew() {
	m.watchNew.Reset()
	m.watchCur.Reset()
	m.nextCur = 0
}

// lookEarly lists new and cur for the first scan, while the state is being
// loaded. What fails here is left to that scan.
func (m *Mailbox) lookEarly(ctx context.Context) {
	if !m.box.spool.Marker.HasForeign() {
		return // nothing in cur is news, and new is soon listed
	}
	lists, err := m.look(ctx, true)
	if err != nil {
		m.lookAnew()
		return
	}
	m.early = lists
}

// compareEarly is compare for listings that are older than the state. They
// find new mail, of which describe asks the share once more, but do not tell
// what other programs did: a name from before an import looks like a change
// back. Then the directories are listed anew.
func (m *Mailbox) compareEarly(ctx context.Context, lists []listing) error {
	m.locate(append(lists, listing{dir: holdDir})...)
	if len(m.missing()) == 0 && len(m.foreignFlags()) == 0 {
		return m.news(ctx, true)
	}
	m.lookAnew()
	lists, err := m.look(ctx, true)
	if err == nil {
		err = m.compare(ctx, lists, true)
	}
	return err
}

// forgot tells whether the state was loaded anew, and with it where files are
// forgotten.
func (m *Mailbox) forgot() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	stale := m.state.stale
	m.state.stale = false
	return stale
}

// compare takes over what the listings show and the log does not know.
func (m *Mailbox) compare(ctx context.Context, lists []listing, whole bool) error {
	if whole {
		lists = append(lists, listing{dir: holdDir})
	}
	m.locate(lists...)
	if whole && len(m.missing()) > 0 {
		held, err := m.box.fs.ReadDir(ctx, holdDir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("list %s: %w", holdDir, err)
		}
		m.locate(listing{holdDir, held})
	}
	return m.news(ctx, whole)
}

// news takes over what the places of files tell.
func (m *Mailbox) news(ctx context.Context, whole bool) error {
	found, err := m.unknown(ctx)
	if err == nil {
		err = m.takeOver(ctx, found)
	}
	if err == nil && whole && len(m.missing()) > 0 {
		err = m.expungeMissing(ctx)
	}
	return err
}

// cheapList is how long a listing may take that is made whenever cur changed.
const cheapList = 10 * time.Millisecond

// lookCur lists cur no more often than costs one percent of the time, but at
// least once a minute: in a large mailbox every change of a flag changes the
// directory.
func (m *Mailbox) lookCur(ctx context.Context, lists []listing) ([]listing, error) {
	start, before := m.box.spool.Host.Boot(), len(lists)
	if start < m.nextCur {
		return lists, nil
	}
	m.passed = false
	lists, err := m.lookInto(ctx, &m.watchCur, "cur", lists)
	if end := m.box.spool.Host.Boot(); len(lists) > before && end-start > cheapList {
		m.nextCur = end + min(time.Minute, 100*(end-start))
	}
	return lists, err
}

// look lists new, and cur if whole, where they may have changed. It is in this
// order that files move on.
func (m *Mailbox) look(ctx context.Context, whole bool) ([]listing, error) {
	lists, err := m.lookInto(ctx, &m.watchNew, "new", nil)
	m.passed = len(lists) > 0
	if err == nil && whole {
		lists, err = m.lookCur(ctx, lists)
	}
	return lists, err
}

// lookInto adds a listing of dir to lists if it may have changed.
func (m *Mailbox) lookInto(ctx context.Context, w *netfs.Watch, dir string, lists []listing) ([]listing, error) {
	h, f := m.box.spool.Host, m.box.fs
	changed, err := w.Changed(ctx, h, f, dir)
	if err != nil || !changed {
		return lists, err
	}
	names, err := f.ReadDir(ctx, dir)
	if err != nil {
		w.Reset()
		return lists, fmt.Errorf("list %s: %w", dir, err)
	}
	return append(lists, listing{dir, names}), nil
}

// locate notes where each file is, by new listings, and which of them are
// behind the log.
func (m *Mailbox) locate(lists ...listing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	for _, l := range lists {
		s.forgetPlaces(l.dir)
	}
	for _, l := range lists {
		next := 0 // the message whose file is likely to be next: names and UIDs both follow time
		for _, file := range l.names {
			if s.showNext(next, l.dir, file) {
				next++
				continue
			}
			base, _, ok := splitName(file)
			if ok && (l.dir != holdDir || m.onlyHeld(base)) {
				next = s.addPlace(base, place{dir: l.dir, file: file}) + 1
			}
		}
	}
	m.behind.reset()
	s.eachPlace(func(base string, at sighting) {
		if at.msg != nil {
			if at.msg.Flags != at.flags && m.box.spool.Marker.ShowsFlags() || at.dir == holdDir {
				m.behind.flags[at.msg.UID] = true
			}
		} else if _, dead := s.tombs[base]; dead {
			m.behind.expunge[base] = true
		}
	})
}

// onlyHeld tells whether a file in hold is a message's: what hold has beside
// is no message yet, or a message's second link.
func (m *Mailbox) onlyHeld(base string) bool {
	_, elsewhere := m.state.place(base)
	return !elsewhere && m.state.knows(base)
}

// unknown lists the messages that the log does not know, oldest first.
func (m *Mailbox) unknown(ctx context.Context) ([]*Message, error) {
	m.mu.RLock()
	names := map[string]place{}
	for base := range m.state.odd {
		if !m.state.taken(base) {
			names[base], _ = m.state.place(base)
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
		m.passed = true
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
	var imports []foreignFlag
	if m.box.spool.Marker.HasForeign() {
		imports = m.foreignFlags()
	}
	for len(found)+len(imports) > 0 {
		n := min(len(found), assignMax)
		if err := m.takeSome(ctx, found[:n], imports); err != nil {
			return err
		}
		found, imports = found[n:], nil
	}
	return nil
}

// assignMax is how many messages get their UIDs by one record.
const assignMax = 10_000

func (m *Mailbox) takeSome(ctx context.Context, found []*Message, imports []foreignFlag) error {
	given := 0
	err := m.commit(ctx, func(s *state) []string {
		var ops []string
		given = 0
		for _, msg := range found {
			if s.taken(msg.Name) || m.draft.names[msg.Name] {
				continue
			}
			n := *msg
			n.UID = m.draft.uidNext
			m.draft.uidNext++
			m.draft.names[n.Name] = true
			given++
			ops = append(ops, assignOp(&n))
		}
		for _, i := range imports {
			if msg, _ := s.find(i.uid); msg != nil && msg.foreign(i.flags) {
				ops = append(ops, importOp(i.uid, i.flags))
			}
		}
		return ops
	})
	m.mu.Lock()
	m.assigned += given
	m.mu.Unlock()
	return err
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
	m.state.eachPlace(func(_ string, at sighting) {
		// Of two names for one message neither is believed before seeTwins.
		if at.msg != nil && at.tells && !at.twice && at.msg.foreign(at.flags) {
			out = append(out, foreignFlag{at.msg.UID, at.flags})
		}
	})
	slices.SortFunc(out, func(a, b foreignFlag) int { return cmp.Compare(a.uid, b.uid) })
	return out
}
