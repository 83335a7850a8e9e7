package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/bobbinmail/bobbin/netfs"
)

// OpenMessage opens the stored bytes of a message and tells its file's name
// below the mailbox directory. The error wraps [ErrNoMessage], or
// [ErrMissing] when the file cannot be found.
func (m *Mailbox) OpenMessage(ctx context.Context, uid uint32) (netfs.File, string, error) {
	msg, err := m.Message(uid)
	if err != nil {
		return nil, "", m.box.wrap(err)
	}
	return m.openFile(ctx, msg)
}

// OpenListed opens the stored bytes of a message that [Mailbox.Messages]
// returned a while ago: one that was expunged since can be read for an hour.
// The error wraps [ErrNoMessage] when it is gone, or [ErrMissing].
func (m *Mailbox) OpenListed(ctx context.Context, msg *Message) (netfs.File, error) {
	f, _, err := m.openFile(ctx, msg)
	return f, err
}

// openFile is OpenMessage for a message that was there a moment ago.
func (m *Mailbox) openFile(ctx context.Context, msg *Message) (f netfs.File, name string, err error) {
	err = m.reach(ctx, msg, func(n string) (err error) {
		name = n
		f, err = m.box.fs.Open(ctx, n)
		return err
	})
	return f, name, err
}

// reach calls use with names that the message's file may have, until one is
// there: use says fs.ErrNotExist when it is not. Files change places while we
// look, so it looks again after a listing.
func (m *Mailbox) reach(ctx context.Context, msg *Message, use func(name string) error) error {
	missing := fmt.Errorf("UID %d (%s): %w", msg.UID, msg.Name, ErrMissing)
	for try := range 3 {
		if try == 2 {
			// Another host may have expunged it.
			if _, err := m.log.Refresh(ctx); err != nil {
				return m.box.wrap(err)
			}
			now, err := m.Message(msg.UID)
			if err != nil {
				missing = err
				break
			}
			msg = now
		}
		for _, name := range m.namesOf(msg) {
			if err := use(name); !errors.Is(err, fs.ErrNotExist) {
				return m.box.wrap(err)
			}
		}
		if try == 2 {
			break
		}
		if err := m.relist(ctx); err != nil && !NoRoom(err) {
			return err // without room new mail has no UIDs, and places are known
		}
	}
	// Expunged by another host, which this one has not been told yet.
	err := use(goneDir + "/" + msg.Name)
	if errors.Is(err, fs.ErrNotExist) {
		err = missing
	}
	return m.box.wrap(err)
}

// namesOf lists where a message's file is: where it was last seen, else where
// its state puts it, in the order in which it moves on.
func (m *Mailbox) namesOf(msg *Message) []string {
	m.mu.RLock()
	p, ok := m.state.place(msg.Name)
	m.mu.RUnlock()
	var names []string
	if ok {
		names = append(names, p.dir+"/"+p.file)
	}
	for _, name := range []string{holdDir + "/" + msg.Name, "new/" + msg.Name, m.curName(msg.Name, msg.Flags.Letters())} {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// relist lists new and cur again, whatever their stamps and the marker say.
func (m *Mailbox) relist(ctx context.Context) error {
	unlock, err := m.scanning.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	m.watchNew.Reset()
	m.watchCur.Reset()
	m.nextCur = 0
	return m.box.wrap(m.scanLocked(ctx, true))
}

// stepIn is how many files that others left behind one Project renames.
const stepIn = 200

// Project makes file names show what was committed through m: flags, and
// expunged files moved to bobbin/x. It does the same for some of what other
// hosts committed and left undone, and unlinks files that were moved away
// more than an hour ago. What it returns is no failure of the change, which is
// committed; the names follow with a later call.
func (m *Mailbox) Project(ctx context.Context) error {
	unlock, err := m.projecting.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	m.mu.Lock()
	mine, others := m.owed, m.behind
	m.owed.reset()
	m.behind.reset()
	m.mu.Unlock()
	left, err := m.project(ctx, mine, true)
	m.mu.Lock()
	maps.Copy(m.owed.flags, left.flags)
	maps.Copy(m.owed.expunge, left.expunge)
	m.mu.Unlock()
	_, oerr := m.project(ctx, others.first(stepIn), false)
	if now := m.box.spool.Host.Boot(); (len(mine.expunge) > 0 || mine.held) && now >= m.nextSweep {
		m.nextSweep = now + keepGone
		err = several([]error{err, m.sweep(ctx), m.sweepLitter(ctx), m.sweepTrash(ctx)})
	}
	return m.box.wrap(several([]error{err, oerr}))
}

// first returns a part of b that has at most n files.
func (b backlog) first(n int) backlog {
	var part backlog
	part.reset()
	for _, uid := range sorted(b.flags) {
		if len(part.flags) < n {
			part.flags[uid] = true
		}
	}
	for _, name := range sorted(b.expunge) {
		if len(part.flags)+len(part.expunge) < n {
			part.expunge[name] = true
		}
	}
	return part
}

// errElsewhere means that a file is not where it was last seen.
var errElsewhere = errors.New("moved meanwhile")

// elsewhereMax is how many files in a row are not where they were last seen
// before the rest is left to the host that is at work on them.
const elsewhereMax = 2

// project renames the files of a backlog and returns what it could not. A
// file that is not where it was last seen is looked for only with insist.
func (m *Mailbox) project(ctx context.Context, work backlog, insist bool) (left backlog, err error) {
	left.reset()
	var errs []error
	elsewhere := 0
	// move renames one file and tells whether it is still to be done.
	move := func(rename func() error) bool {
		if elsewhere == elsewhereMax {
			return true
		}
		err := rename()
		if errors.Is(err, errElsewhere) {
			elsewhere++
			return false
		}
		elsewhere = 0
		if err != nil {
			errs = append(errs, err)
		}
		return err != nil
	}
	for _, uid := range sorted(work.flags) {
		if move(func() error { return m.projectFlags(ctx, uid, insist) }) {
			left.flags[uid] = true
		}
	}
	for _, name := range sorted(work.expunge) {
		if move(func() error { return m.projectExpunge(ctx, name, insist) }) {
			left.expunge[name] = true
		}
	}
	return left, several(errs)
}

// several makes one line of the errors of many files: the first speaks for all.
func several(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	return fmt.Errorf("%w (and %d more)", errs[0], len(errs)-1)
}

func sorted[K uint32 | string](set map[K]bool) []K {
	keys := make([]K, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (m *Mailbox) projectFlags(ctx context.Context, uid uint32, insist bool) error {
	foreign := m.box.spool.Marker.HasForeign()
	return m.moveFile(ctx, insist, func(s *state) (base string, target func(place) string) {
		msg, _ := s.find(uid)
		if msg == nil {
			return "", nil
		}
		return msg.Name, func(p place) string {
			if foreign && p.tells() && msg.foreign(p.flags()) {
				return p.name() // for a scan: the change would be lost
			}
			_, letters, _ := splitName(p.file)
			_, foreign := flagsOf(letters)
			return m.curName(msg.Name, merge(msg.Flags.Letters(), foreign))
		}
	})
}

// merge keeps letters of other programs behind ours, in ASCII order.
func merge(ours, foreign string) string {
	b := []byte(ours + foreign)
	slices.Sort(b)
	return string(b)
}

func (m *Mailbox) projectExpunge(ctx context.Context, name string, insist bool) error {
	m.mu.RLock()
	_, dead := m.state.tombs[name]
	several := slices.Clone(m.state.odd[name])
	m.mu.RUnlock()
	for len(several) > 1 && dead {
		p := several[len(several)-1]
		several = several[:len(several)-1]
		err := netfs.Move(ctx, m.box.spool.Host, m.box.fs, p.name(), goneDir+"/"+name)
		if err != nil && !errors.Is(err, netfs.ErrVanished) {
			return err
		}
		m.mu.Lock()
		m.state.setPlace(name, several[0])
		m.mu.Unlock()
	}
	return m.moveFile(ctx, insist, func(s *state) (string, func(place) string) {
		if _, dead := s.tombs[name]; !dead {
			return "", nil
		}
		return name, func(place) string { return goneDir + "/" + name }
	})
}

// moveFile renames the file of one message to the name that plan gives it.
// Files change places while we look, so it looks again a few times; a file
// that is nowhere has been moved by somebody who follows the same log.
func (m *Mailbox) moveFile(ctx context.Context, insist bool, plan func(*state) (string, func(place) string)) error {
	for range 3 {
		m.mu.RLock()
		base, target := plan(m.state)
		p, ok := m.state.place(base)
		m.mu.RUnlock()
		if base == "" || p.twice && ok {
			return nil
		}
		if ok {
			from, to := p.name(), target(p)
			if from == to {
				return nil
			}
			move := netfs.Move
			if !insist {
				move = netfs.MoveIfThere
			}
			err := move(ctx, m.box.spool.Host, m.box.fs, from, to)
			if err == nil {
				m.note(base, to)
				return nil
			}
			if !errors.Is(err, netfs.ErrVanished) && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if !insist {
				return errElsewhere
			}
		}
		if !insist {
			return nil
		}
		if err := m.relist(ctx); err != nil {
			return err
		}
	}
	return nil
}

// note remembers where a file went.
func (m *Mailbox) note(base, to string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if file, ok := cutDir(to, "cur"); ok {
		m.state.setPlace(base, place{dir: "cur", file: file})
	} else {
		m.state.dropPlace(base)
	}
}

func cutDir(name, dir string) (string, bool) {
	if len(name) > len(dir) && name[:len(dir)] == dir && name[len(dir)] == '/' {
		return name[len(dir)+1:], true
	}
	return "", false
}
