package spool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Two files with one base name are one message. Whether there are two is known
// only after a complete scan: a listing made during a rename shows both names
// of one file. What two complete scans saw is resolved: flags that other
// programs gave either name are taken over, and what is surplus goes to
// bobbin/x. Its name there says which message it is surplus of, because two
// hosts may each keep what the other moves: a message without a file is looked
// for there.

// twins are the files of one base name that a complete scan saw.
type twins struct {
	names string // all of them
	first time.Duration
}

// surplusMark stands between a token and a base name in bobbin/x.
const surplusMark = "+"

// surplusOf reads the name of a surplus file.
func surplusOf(name string) (base string, ok bool) {
	token, base, ok := strings.Cut(name, surplusMark)
	return base, ok && len(token) == netfs.TokenLen
}

// placesTwice lists the live messages with more than one file, by base name.
func (m *Mailbox) placesTwice() map[string][]place {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var out map[string][]place
	for base, odd := range m.state.odd {
		if len(odd) > 1 && m.state.named(base) != nil {
			if out == nil {
				out = map[string][]place{}
			}
			places := slices.Clone(odd)
			slices.SortFunc(places, func(a, b place) int { return strings.Compare(a.name(), b.name()) })
			out[base] = slices.CompactFunc(places, func(a, b place) bool { return a.name() == b.name() })
		}
	}
	return out
}

func (p place) name() string { return p.dir + "/" + p.file }

// untwin makes two complete scans and resolves what both saw.
func (m *Mailbox) untwin(ctx context.Context) error {
	for range 2 {
		unlock, err := m.scanning.Lock(ctx)
		if err != nil {
			return err
		}
		err = m.seeTwins(ctx)
		unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// seeTwins makes a complete scan and resolves the twins that an earlier one
// saw, too.
func (m *Mailbox) seeTwins(ctx context.Context) error {
	absent, tombs, err := m.complete(ctx)
	if err != nil || absent == nil && tombs == nil {
		return err // the mailbox did not come to rest
	}
	now, before := m.box.spool.Host.Boot(), m.twins
	m.twins = map[string]twins{}
	all := m.placesTwice()
	var errs []error
	for _, base := range sortedKeys(all) {
		var names []string
		for _, p := range all[base] {
			names = append(names, p.name())
		}
		seen := twins{strings.Join(names, "\n"), now}
		was, again := before[base]
		if !again || was.names != seen.names || len(names) < 2 {
			m.twins[base] = seen
			continue
		}
		if m.box.spool.Host.Profile.WeakLists && now-was.first < weakGap {
			m.twins[base] = was
			continue
		}
		errs = append(errs, m.resolve(ctx, base, all[base]))
	}
	m.watchNew.Reset()
	m.watchCur.Reset()
	return several(errs)
}

func sortedKeys[V any](set map[string]V) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// resolve leaves a message one of its files.
func (m *Mailbox) resolve(ctx context.Context, base string, places []place) error {
	m.mu.RLock()
	msg := m.state.named(base)
	m.mu.RUnlock()
	if msg == nil {
		return nil
	}
	var names []Flags // what the names say
	for _, p := range places {
		if p.tells() && m.box.spool.Marker.HasForeign() {
			names = append(names, p.flags())
		}
	}
	keep, err := m.choose(ctx, msg.Size, msg.unite(names), places)
	if err != nil {
		return err
	}
	if i := slices.Index(names, keep.flags()); i > 0 {
		names[0], names[i] = names[i], names[0]
	}
	err = m.commit(ctx, func(s *state) []string {
		if msg = s.named(base); msg == nil {
			return nil
		}
		return uniteOps(msg, names)
	})
	if err != nil || msg == nil {
		return err
	}
	var errs []error
	for _, p := range places {
		if p != keep {
			errs = append(errs, m.putAway(ctx, base, keep, p))
		}
	}
	return several(errs)
}

// unite returns a message's flags after other programs gave its files these
// names: each change counts, but nothing is cleared that a name shows.
func (m *Message) unite(names []Flags) Flags {
	var shown, added, removed Flags
	for _, f := range names {
		touched := m.touched(f)
		shown, added, removed = shown|f, added|f&touched, removed|touched&^f
	}
	return m.Flags&^(removed&^shown) | added
}

// uniteOps gives a message the flags of each of the names, if any is foreign,
// and in the end the united ones: from then on every name shows a value that
// the flags had, and whichever is left is no news.
func uniteOps(msg *Message, names []Flags) (ops []string) {
	if !slices.ContainsFunc(names, msg.foreign) {
		return nil
	}
	now := *msg
	if f := names[0]; msg.foreign(f) {
		ops, now = append(ops, importOp(msg.UID, f)), msg.merge(f)
	}
	for _, f := range append(names, msg.unite(names)) {
		if f == now.Flags {
			continue
		}
		c := FlagChange{Add: f &^ now.Flags, Remove: now.Flags &^ f}
		ops = append(ops, flagOps(SetOf(msg.UID), c)...)
		now.Flags = f
	}
	return ops
}

// choose takes the file that has the message's size, and of several the one
// that shows these flags.
func (m *Mailbox) choose(ctx context.Context, size int64, flags Flags, places []place) (keep place, err error) {
	best := -1
	for _, p := range places {
		i, err := m.box.fs.Stat(ctx, p.name())
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return keep, err
		}
		rank := 0
		if i.Mode.IsRegular() && i.Size == size {
			rank += 2
		}
		if p.dir == "cur" && p.flags() == flags {
			rank++
		}
		if rank > best {
			best, keep = rank, p
		}
	}
	return keep, nil
}

// putAway moves an equal file to bobbin/x, and makes a message of another.
func (m *Mailbox) putAway(ctx context.Context, base string, keep, p place) error {
	h := m.box.spool.Host
	same, err := m.sameContent(ctx, keep.name(), p.name())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, netfs.ErrIrregular) {
		return nil
	}
	token, terr := h.Token()
	if err = errors.Join(err, terr); err != nil {
		return err
	}
	to := goneDir + "/" + token + surplusMark + base
	if !same {
		fresh, err := newBase(h)
		if err != nil {
			return err
		}
		_, letters, _ := splitName(p.file)
		to = m.curName(fresh, letters)
	}
	err = netfs.Move(ctx, h, m.box.fs, p.name(), to)
	if errors.Is(err, netfs.ErrVanished) {
		return nil
	}
	return err
}

// sameContent compares two files.
func (m *Mailbox) sameContent(ctx context.Context, a, b string) (bool, error) {
	x, err := m.box.fs.Open(ctx, a)
	if err != nil {
		return false, err
	}
	y, err := m.box.fs.Open(ctx, b)
	if err != nil {
		return false, errors.Join(err, x.Close())
	}
	same, err := sameBytes(x, y)
	return same, errors.Join(err, x.Close(), y.Close())
}

func sameBytes(x, y io.Reader) (bool, error) {
	p, q := make([]byte, copySize), make([]byte, copySize)
	for {
		n, err := io.ReadFull(x, p)
		k, yerr := io.ReadFull(y, q)
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		yended := errors.Is(yerr, io.EOF) || errors.Is(yerr, io.ErrUnexpectedEOF)
		switch {
		case err != nil && !ended:
			return false, err
		case yerr != nil && !yended:
			return false, yerr
		case n != k || !bytes.Equal(p[:n], q[:k]):
			return false, nil
		case ended:
			return yended, nil
		}
	}
}

// bringBack looks in bobbin/x for surplus files of messages that have no other
// file any more, and reports which messages it gave one.
func (m *Mailbox) bringBack(ctx context.Context, absent []*Message) (map[uint32]bool, error) {
	names, err := m.box.fs.ReadDir(ctx, goneDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	surplus := map[string]string{}
	for _, n := range names {
		if base, ok := surplusOf(n); ok {
			surplus[base] = n
		}
	}
	back := map[uint32]bool{}
	for _, msg := range absent {
		n, ok := surplus[msg.Name]
		if !ok {
			continue
		}
		err := netfs.Move(ctx, m.box.spool.Host, m.box.fs, goneDir+"/"+n, m.curName(msg.Name, msg.Flags.Letters()))
		if err != nil && !errors.Is(err, netfs.ErrVanished) {
			return nil, err
		}
		back[msg.UID] = true
	}
	return back, nil
}

// needed lists which files of bobbin/x may be the last of a live message.
func (m *Mailbox) needed(ctx context.Context, names []string) (map[string]bool, error) {
	keep := map[string]bool{}
	for _, n := range names {
		base, ok := surplusOf(n)
		if !ok {
			continue
		}
		m.mu.RLock()
		msg := m.state.named(base)
		m.mu.RUnlock()
		if msg == nil {
			continue
		}
		there, err := m.askByName(ctx, msg)
		if err != nil {
			return nil, err
		}
		keep[n] = !there
	}
	return keep, nil
}
