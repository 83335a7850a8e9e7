package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	for try := range 3 {
		m.mu.RLock()
		p, ok := m.files[msg.Name]
		m.mu.RUnlock()
		if ok {
			name := p.dir + "/" + p.file
			f, err := m.box.fs.Open(ctx, name)
			if !errors.Is(err, fs.ErrNotExist) {
				return f, name, m.box.wrap(err)
			}
		}
		if try == 2 {
			break
		}
		if err := m.relist(ctx); err != nil {
			return nil, "", err
		}
	}
	return nil, "", m.box.wrap(fmt.Errorf("UID %d (%s): %w", uid, msg.Name, ErrMissing))
}

// relist lists new and cur again, whatever their stamps say.
func (m *Mailbox) relist(ctx context.Context) error {
	select {
	case m.scanning <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	m.watchNew.Reset()
	m.watchCur.Reset()
	<-m.scanning
	return m.scan(ctx)
}

// Project makes file names show what was committed through m: flags, and
// expunged files moved to bobbin/x. What it returns is no failure of the
// change, which is committed; the names follow with a later call.
func (m *Mailbox) Project(ctx context.Context) error {
	m.mu.Lock()
	work := m.owed
	m.owed.reset()
	m.mu.Unlock()
	var errs []error
	for _, uid := range sorted(work.flags) {
		if err := m.projectFlags(ctx, uid); err != nil {
			errs = append(errs, err)
			m.mu.Lock()
			m.owed.flags[uid] = true
			m.mu.Unlock()
		}
	}
	for _, name := range sorted(work.expunge) {
		if err := m.projectExpunge(ctx, name); err != nil {
			errs = append(errs, err)
			m.mu.Lock()
			m.owed.expunge[name] = true
			m.mu.Unlock()
		}
	}
	return m.box.wrap(errors.Join(errs...))
}

func sorted[K uint32 | string](set map[K]bool) []K {
	keys := make([]K, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (m *Mailbox) projectFlags(ctx context.Context, uid uint32) error {
	return m.moveFile(ctx, func(s *state) (base string, target func(letters string) string) {
		msg, _ := s.find(uid)
		if msg == nil {
			return "", nil
		}
		return msg.Name, func(letters string) string {
			_, foreign := flagsOf(letters)
			return "cur/" + msg.Name + m.box.spool.Marker.Separator + "2," + merge(msg.Flags.Letters(), foreign)
		}
	})
}

// merge keeps letters of other programs behind ours, in ASCII order.
func merge(ours, foreign string) string {
	b := []byte(ours + foreign)
	slices.Sort(b)
	return string(b)
}

func (m *Mailbox) projectExpunge(ctx context.Context, name string) error {
	return m.moveFile(ctx, func(*state) (string, func(string) string) {
		return name, func(string) string { return goneDir + "/" + name }
	})
}

// moveFile renames the file of one message to the name that plan gives it.
// Files change places while we look, so it looks again a few times; a file
// that is nowhere has been moved by somebody who follows the same log.
func (m *Mailbox) moveFile(ctx context.Context, plan func(*state) (string, func(string) string)) error {
	for range 3 {
		m.mu.RLock()
		base, target := plan(m.state)
		p, ok := m.files[base]
		m.mu.RUnlock()
		if base == "" || p.twice {
			return nil
		}
		if ok {
			_, letters, _ := splitName(p.file)
			from, to := p.dir+"/"+p.file, target(letters)
			if from == to {
				return nil
			}
			err := netfs.Move(ctx, m.box.spool.Host, m.box.fs, from, to)
			if err == nil {
				m.note(base, to)
				return nil
			}
			if !errors.Is(err, netfs.ErrVanished) && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
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
		m.files[base] = place{dir: "cur", file: file}
	} else {
		delete(m.files, base)
	}
}

func cutDir(name, dir string) (string, bool) {
	if len(name) > len(dir) && name[:len(dir)] == dir && name[len(dir)] == '/' {
		return name[len(dir)+1:], true
	}
	return "", false
}
