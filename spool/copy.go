package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Copied tells which message of the target a message became.
type Copied struct{ Source, Target uint32 }

// Copy makes copies of all messages in the set in target, by one record or
// none, and returns them in the order of the sources' UIDs (RFC 3501 section
// 6.4.7, RFC 4315). Flags, keywords and date are what they are here now; UIDs
// that do not exist are passed over. target may be m itself.
//
// After an error nothing was copied, unless it matches [netfs.ErrUncertain].
// It wraps [ErrMissing] when a message's file cannot be found.
func (m *Mailbox) Copy(ctx context.Context, set UIDSet, target *Mailbox) ([]Copied, error) {
	list := m.leaving(set, target, false)
	if err := target.admit(ctx, list); err != nil {
		return nil, err
	}
	return copied(list), nil
}

// Move is Copy, and then removes the messages here (RFC 6851). A message is in
// at least one of both mailboxes at any time, and flags and keywords that
// anybody commits here up to its removal are taken along.
//
// If it is broken off after the copy, the messages are in both; then the
// returned list is not empty although there is an error, or the process has
// died. To move them again finds the copies and does not double them, as long
// as those are in target.
func (m *Mailbox) Move(ctx context.Context, set UIDSet, target *Mailbox) ([]Copied, error) {
	list := m.leaving(set, target, true)
	if err := target.admit(ctx, list); err != nil {
		return nil, err
	}
	err := m.leave(ctx, list, target)
	if err != nil {
		err = fmt.Errorf("moved messages are still here too: %w", err)
	}
	return copied(list), err
}

func copied(list []*entry) []Copied {
	out := make([]Copied, len(list))
	for i, e := range list {
		out[i] = Copied{e.source, e.uid}
	}
	return out
}

// leaving makes entries for target of the messages in a set.
func (m *Mailbox) leaving(set UIDSet, target *Mailbox, move bool) []*entry {
	m.mu.RLock()
	msgs, validity := m.state.in(set), m.state.uidValidity
	m.mu.RUnlock()
	var list []*entry
	for _, msg := range msgs {
		e := &entry{source: msg.UID, msg: *m.own(msg)}
		e.msg.Name = ""
		if move {
			e.origin = m.origin(msg, validity)
		}
		e.fill = func(ctx context.Context) (string, error) {
			return m.copyFile(ctx, msg, target, e.origin)
		}
		list = append(list, e)
	}
	return list
}

// origin is the same for every try to move a message, on every host, and for
// no other message.
func (m *Mailbox) origin(msg *Message, uidValidity uint32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%d\x00%s", m.box.dir, uidValidity, msg.UID, msg.Name))
	return netfs.Encode32(sum[:16])
}

// originMark goes before the origin in the name of a message that was moved.
const originMark = ",O="

func originOf(name string) string {
	i := strings.LastIndex(name, originMark)
	if i < 0 || len(name) != i+len(originMark)+netfs.TokenLen {
		return ""
	}
	return name[i+len(originMark):]
}

// images finds the messages that earlier tries of the same moves made, by
// origin. Only live ones count: whoever removed one from here may want the
// message that is moved now.
func (s *state) images(list []*entry) map[string]uint32 {
	want := map[string]bool{}
	for _, e := range list {
		if e.origin != "" {
			want[e.origin] = true
		}
	}
	found := map[string]uint32{}
	if len(want) == 0 {
		return found
	}
	for _, msg := range s.msgs {
		if o := originOf(msg.Name); want[o] {
			found[o] = msg.UID
		}
	}
	return found
}

// sizesInName is what our names tell of a file's content.
var sizesInName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`,S=(\d+),W=\d+(,M)?`) })

// copyFile completes a copy of a message's file in target's hold, as a hard
// link where that works, and returns its base name.
func (m *Mailbox) copyFile(ctx context.Context, msg *Message, target *Mailbox, origin string) (string, error) {
	base, err := newBase(target.box.spool.Host)
	if err != nil {
		return "", err
	}
	name := dated(base, msg.Date)
	size := fmt.Sprint(msg.Size)
	if f := sizesInName().FindStringSubmatch(msg.Name); f != nil && f[1] == size {
		name += f[0]
	} else {
		name += ",S=" + size
	}
	if origin != "" {
		name += originMark + origin
	}
	temp := "tmp/" + base
	if !m.link(ctx, msg, target, temp) {
		if temp, err = m.duplicate(ctx, msg, target); err != nil {
			return "", err
		}
	}
	if err = target.box.hold(ctx, temp, name); err != nil {
		_ = target.box.fs.Remove(context.WithoutCancel(ctx), temp)
	}
	return name, target.box.wrap(err)
}

// link makes temp in target another name of a message's file and tells whether
// it did. The link goes to tmp first: a LINK that the network repeats later
// leaves litter there, and not a second file of a message (H05). A temp that
// was not made is not used again: it may come late.
//
// On AFS, where links do not cross directories, a file with two names could
// not be renamed into cur (H20, H21).
func (m *Mailbox) link(ctx context.Context, msg *Message, target *Mailbox, temp string) bool {
	from, to := m.box.spool, target.box.spool
	if to.noLinks.Load() || to.Host.Profile.Kind == "afs" || from.Marker.Share != to.Marker.Share || !m.box.sameRights(target.box) {
		return false
	}
	err := m.reach(ctx, msg, func(name string) error {
		return to.Host.Share.Link(ctx, path.Join(m.box.dir, name), path.Join(target.box.dir, temp))
	})
	if netfs.Unsupported(err) && !errors.Is(err, syscall.EMLINK) {
		to.noLinks.Store(true)
	}
	i, err := target.box.fs.Stat(ctx, temp)
	if err != nil {
		return false
	}
	if i.Mode.IsRegular() && i.Size == msg.Size {
		return true
	}
	_ = target.box.fs.Remove(context.WithoutCancel(ctx), temp)
	return false
}

// sameRights tells whether a file of b has the group and mode it would have
// in another mailbox: all names of a file have the same.
func (b *Box) sameRights(other *Box) bool {
	i, _ := netfs.RootInfo(b.fs)
	j, _ := netfs.RootInfo(other.fs)
	return i.Mode == j.Mode && i.GID == j.GID
}

// duplicate copies the bytes of a message's file to target's tmp and returns
// the file's name there.
func (m *Mailbox) duplicate(ctx context.Context, msg *Message, target *Mailbox) (string, error) {
	f, name, err := m.openFile(ctx, msg)
	if err != nil {
		return "", err
	}
	in, err := target.box.Receive(ctx)
	if err != nil {
		return "", errors.Join(target.box.wrap(err), f.Close())
	}
	n, err := io.CopyBuffer(in, f, make([]byte, min(msg.Size, copySize-1)+1))
	if err = errors.Join(err, f.Close()); err == nil && n != msg.Size {
		err = fmt.Errorf("%s: %w: %d bytes of %d", name, commitlog.ErrCorrupt, n, msg.Size)
	}
	if err == nil {
		err = in.file.Commit()
	}
	if err != nil {
		in.Abort(ctx)
		return "", m.box.wrap(err)
	}
	return in.temp, nil
}

// copySize is how much is read and written at a time, in bytes.
const copySize = 256 << 10

// leaveTries is how often a removal waits for flags that came in between.
const leaveTries = 8

// leave removes messages that target has. One that somebody gave flags or
// keywords since they were copied stays until target has these too.
func (m *Mailbox) leave(ctx context.Context, list []*entry, target *Mailbox) error {
	for _, e := range list {
		if e.found {
			// What the earlier try copied is not known: all is news.
			e.msg.Flags, e.msg.Keywords, e.msg.ModSeq = 0, nil, 0
		}
	}
	for range leaveTries {
		seen := target.modSeqs(list)
		changed, err := m.expungeUnchanged(ctx, list)
		if err != nil || len(changed) == 0 {
			return err
		}
		if err := target.follow(ctx, list, changed, seen); err != nil {
			return err
		}
	}
	return fmt.Errorf("their flags change all the time: %w", ErrRetry)
}

// modSeqs tells when the messages of entries changed last, by UID.
func (m *Mailbox) modSeqs(list []*entry) map[uint32]uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	seqs := make(map[uint32]uint64, len(list))
	for _, e := range list {
		if msg, _ := m.state.find(e.uid); msg != nil {
			seqs[e.uid] = msg.ModSeq
		}
	}
	return seqs
}

// expungeUnchanged removes the sources that nobody changed since the entries
// took them in, and returns the others. One that changed back counts as
// changed: a second mover may be about to carry over what it was meanwhile.
func (m *Mailbox) expungeUnchanged(ctx context.Context, list []*entry) (changed []*Message, err error) {
	var names []string
	err = m.commit(ctx, func(s *state) []string {
		changed, names = nil, nil
		var uids []uint32
		for _, e := range list {
			msg, _ := s.find(e.source)
			switch {
			case msg == nil:
			case msg.ModSeq == e.msg.ModSeq:
				uids, names = append(uids, msg.UID), append(names, msg.Name)
			default:
				changed = append(changed, msg)
			}
		}
		if len(uids) == 0 {
			return nil
		}
		return []string{expungeOp(SetOf(uids...))}
	})
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	for _, n := range names {
		m.owed.expunge[n] = true
	}
	m.mu.Unlock()
	return m.ownAll(changed), nil
}

// follow gives the messages in m the changes that their sources went through.
// One that changed since it was seen waits: a second mover may have carried
// the same change over, and the source's owner another one after it.
func (m *Mailbox) follow(ctx context.Context, list []*entry, changed []*Message, seen map[uint32]uint64) error {
	now := make(map[uint32]*Message, len(changed))
	for _, msg := range changed {
		now[msg.UID] = msg
	}
	var done []*entry
	var gone bool
	err := m.commit(ctx, func(s *state) (ops []string) {
		done, gone = nil, false
		for _, e := range list {
			src := now[e.source]
			if src == nil {
				continue
			}
			switch msg, _ := s.find(e.uid); {
			case msg == nil:
				gone = true
			case msg.ModSeq == seen[e.uid]:
				done = append(done, e)
				ops = append(ops, flagOps(SetOf(e.uid), m.shared(news(&e.msg, src)))...)
			}
		}
		return ops
	})
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range done {
		src := now[e.source]
		e.msg.Flags, e.msg.Keywords, e.msg.ModSeq = src.Flags, src.Keywords, src.ModSeq
		m.owed.flags[e.uid] = true
	}
	if gone {
		return fmt.Errorf("a copy was removed before it had all flags: %w", ErrRetry)
	}
	return nil
}

// news is the change that a copy needs which was told of the source as it was.
// Flags that the source has ever changed become what they are there now,
// whatever another mover has told the copy.
func news(was, now *Message) FlagChange {
	touched := was.Flags ^ now.Flags
	for f := range Flags(64) {
		if now.past.has(f) {
			touched |= f ^ now.Flags
		}
	}
	minus := func(x, y []string) []string {
		return slices.DeleteFunc(slices.Clone(x), func(k string) bool { return slices.Contains(y, k) })
	}
	return FlagChange{
		Add: now.Flags & touched, Remove: touched &^ now.Flags,
		AddKeywords: minus(now.Keywords, was.Keywords), RemoveKeywords: minus(was.Keywords, now.Keywords),
	}
}
