package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

const (
	// keepGone is how long an expunged message can still be read by sessions
	// that know nothing of its end.
	keepGone = time.Hour
	// keepLitter is how long a message may be under way (Maildir's 36 hours).
	keepLitter = 36 * time.Hour
	// keepOnce is how long a delivery to several users is remembered that was
	// not completed: longer than mail systems try again.
	keepOnce = 7 * 24 * time.Hour
	// sweepMax is how many files of a directory one sweep looks at.
	sweepMax = 50
	// sweepPart of very many is what it looks at instead.
	sweepPart = 16
)

// sweep unlinks expunged files. Their age is the server's: the directory's
// time, which the last move has just set, less the file's change time.
func (m *Mailbox) sweep(ctx context.Context) error {
	dir, err := m.box.fs.Stat(ctx, goneDir)
	if err != nil {
		return err
	}
	names, err := m.gone(ctx)
	if err != nil {
		return err
	}
	return m.removeAged(ctx, aged{dir: goneDir, names: names, now: dir.Mtime, keep: keepGone})
}

// gone lists the files of bobbin/x that no live message needs.
func (m *Mailbox) gone(ctx context.Context) ([]string, error) {
	names, err := m.box.fs.ReadDir(ctx, goneDir)
	if err != nil {
		return nil, err
	}
	keep, err := m.needed(ctx, names)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n string) bool { return keep[n] }), nil
}

// aged are files of one directory, of which those are wanted that have not
// changed for some time, by the server's clock.
type aged struct {
	dir   string
	names []string
	now   time.Time
	keep  time.Duration

	dirs bool // directories count as well
}

// old returns which of at most sweepMax files, or of a part of many, are old
// enough.
func (m *Mailbox) old(ctx context.Context, a aged) (old []string, err error) {
	var errs []error
	for _, n := range a.names[:min(len(a.names), max(sweepMax, len(a.names)/sweepPart))] {
		i, err := m.box.fs.Stat(ctx, a.dir+"/"+n)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			errs = append(errs, err)
		case (a.dirs || !i.Mode.IsDir()) && a.now.Sub(i.Ctime) >= a.keep:
			old = append(old, n)
		}
	}
	return old, several(errs)
}

func (m *Mailbox) removeAged(ctx context.Context, a aged) error {
	old, err := m.old(ctx, a)
	return several([]error{err, m.removeAll(ctx, a.dir, old)})
}

func (m *Mailbox) removeAll(ctx context.Context, dir string, names []string) error {
	var errs []error
	for _, n := range names {
		errs = append(errs, netfs.Unlink(ctx, m.box.spool.Host, m.box.fs, dir+"/"+n))
	}
	return several(errs)
}

// sweepLitter clears away what broken work left in tmp, bobbin/hold and
// bobbin/q.
func (m *Mailbox) sweepLitter(ctx context.Context) error {
	litter := []aged{{dir: "tmp", keep: keepLitter}, {dir: onceDir, keep: keepOnce}, {dir: holdDir, keep: keepLitter}}
	some := false
	for i := range litter {
		names, err := m.box.fs.ReadDir(ctx, litter[i].dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		litter[i].names = names
		some = some || len(names) > 0
	}
	if !some {
		return nil
	}
	now, err := m.serverTime(ctx)
	if err != nil {
		return err
	}
	for i := range litter {
		litter[i].now = now
	}
	return several([]error{
		m.removeAged(ctx, litter[0]), m.sweepOnce(ctx, litter[1]), m.sweepHold(ctx, litter[2]),
	})
}

// sweepOnce clears bobbin/q. Its names tell nothing of their age, and there are many
// where repeated deliveries are looked for, so it begins anywhere.
func (m *Mailbox) sweepOnce(ctx context.Context, once aged) error {
	if n := len(once.names); n > sweepMax {
		var r [4]byte
		if _, err := io.ReadFull(m.box.spool.Host.Rand, r[:]); err != nil {
			return err
		}
		at := int(binary.BigEndian.Uint32(r[:]) % uint32(n))
		once.names = slices.Concat(once.names[at:], once.names[:at])
	}
	once.dirs = m.box.spool.way == netfs.ViaDir
	old, err := m.old(ctx, once)
	errs := []error{err}
	for _, n := range old {
		errs = append(errs, m.box.ForgetOnce(ctx, n))
	}
	return several(errs)
}

// sweepHold clears bobbin/hold. A file that no record names may be assigned
// yet, by a host that was suspended however long: so a record forbids it
// before the file is removed.
func (m *Mailbox) sweepHold(ctx context.Context, held aged) error {
	var unknown, dropped []string
	var errs []error
	m.mu.Lock()
	for _, n := range held.names {
		_, dead := m.state.tombs[n]
		msg := m.state.named(n)
		base, _, ok := splitName(n)
		switch {
		case !ok || base != n: // nothing of ours; check speaks of it
		case m.state.dropped[n] != 0:
			dropped = append(dropped, n)
		case dead:
			m.behind.expunge[n] = true
			if m.state.odd[n] == nil {
				m.state.setPlace(n, place{dir: holdDir, file: n})
			}
		case msg != nil:
			m.behind.flags[msg.UID] = true
		default:
			unknown = append(unknown, n)
		}
	}
	m.mu.Unlock()
	held.names = unknown
	old, err := m.old(ctx, held)
	errs = append(errs, err)
	if len(old) > 0 {
		err = m.commit(ctx, func(s *state) (ops []string) {
			for _, n := range old {
				if !s.taken(n) && !m.draft.names[n] {
					m.draft.names[n] = true
					ops = append(ops, dropOp(n))
				}
			}
			return ops
		})
		errs = append(errs, err)
	}
	m.mu.RLock()
	for _, n := range old {
		if m.state.dropped[n] != 0 {
			dropped = append(dropped, n)
		}
	}
	m.mu.RUnlock()
	return several(append(errs, m.removeAll(ctx, holdDir, dropped)))
}

// serverTime asks what time the server has: a directory carries the time of
// its last change.
func (m *Mailbox) serverTime(ctx context.Context) (time.Time, error) {
	in, err := m.box.Receive(ctx)
	if err != nil {
		return time.Time{}, err
	}
	in.Abort(ctx)
	i, err := m.box.fs.Stat(ctx, "tmp")
	return i.Mtime, err
}
