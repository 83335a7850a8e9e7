package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// FolderUsage is what a folder of a user holds, as the user's log has it: what
// its own log told when it was last counted, and what was delivered since.
type FolderUsage struct {
	Folder   string
	Messages int64
	// Bytes are those of the stored files.
	Bytes int64
	// Pending is how many of the messages were delivered and have no UID yet.
	Pending int
}

// takeStale is how long a message may be on its way into a folder, as clocks tell. What
// has not come by then counts when the folder is counted next.
const takeStale = 36 * time.Hour

// Usage lists what folders hold, in the order of their names. A folder that was
// never counted is missing, or has its new messages alone.
func (u *UserState) Usage() []FolderUsage {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return u.usage(nil)
}

// usage is Usage, with what the record under construction takes besides.
func (u *UserState) usage(more map[string]takes) (list []FolderUsage) {
	s := &u.state
	names := map[string]bool{}
	for _, n := range slices.Concat(slices.Collect(maps.Keys(s.counted)), slices.Collect(maps.Keys(s.taken)), slices.Collect(maps.Keys(more))) {
		names[n] = true
	}
	for _, folder := range slices.Sorted(maps.Keys(names)) {
		c := s.counted[folder]
		f := FolderUsage{Folder: folder, Messages: c.messages, Bytes: c.bytes}
		for _, t := range []takes{s.taken[folder], more[folder]} {
			for _, size := range t {
				f.Bytes += size
			}
			f.Pending += len(t)
		}
		f.Messages += int64(f.Pending)
		list = append(list, f)
	}
	return list
}

// Counted tells whether any folder was counted, ever.
func (u *UserState) Counted() bool {
	u.mu.RLock()
	defer u.mu.RUnlock()
	return len(u.state.counted) > 0
}

// Take notes that a finished message is about to be published in its folder, so that it
// counts at once, on all hosts. admit is asked first, with what all folders hold
// without it; its error is returned, and then nothing is noted. It may be asked
// several times, the last time with what the note is based on, and not at the same
// time as another. In one process that knows the user's log a Take costs a symlink
// and a getattr. Shared folders are nobody's: there it does nothing.
func (u *UserState) Take(ctx context.Context, in *Incoming, admit func([]FolderUsage) error) error {
	folder, ok, err := u.own(in.box)
	if err != nil || !ok {
		return err
	}
	size := in.file.Size()
	var refused error
	err = u.tryCommit(ctx, func(*userState) ([]string, error) {
		if refused = admit(u.usage(u.taking)); refused != nil {
			return nil, refused
		}
		if u.taking[folder] == nil {
			u.taking[folder] = takes{}
		}
		u.taking[folder][in.name] = size
		return []string{takeOp(folder, in.name)}, nil
	})
	return cmp.Or(refused, err)
}

// own tells the normal name of a folder of the user's own.
func (u *UserState) own(b *Box) (folder string, ok bool, err error) {
	if b.home.public {
		return "", false, nil
	}
	folder, err = u.home.spool.folderName(b.Folder)
	return folder, err == nil, err
}

// GiveBack ends a Take whose message was not published under its name.
func (u *UserState) GiveBack(ctx context.Context, in *Incoming) error {
	folder, ok, err := u.own(in.box)
	if err != nil || !ok {
		return err
	}
	return u.commit(ctx, func(s *userState) []string {
		if _, there := s.taken[folder][in.name]; !there {
			return nil
		}
		return []string{untakeOp(folder, in.name)}
	})
}

// Count notes what an open mailbox of the user's own holds, unless that is noted
// already. It follows from the mailbox's log alone, so of two hosts that count, the
// one that has read further is right, whoever comes last.
func (u *UserState) Count(ctx context.Context, m *Mailbox) error {
	folder, ok, err := u.own(m.box)
	if err != nil || !ok {
		return err
	}
	ended, err := u.endedTakes(ctx, folder, m)
	if err != nil {
		return err
	}
	is, changed := m.count()
	return u.commit(ctx, func(s *userState) (ops []string) {
		was, there := s.counted[folder]
		switch same := was.messages == is.messages && was.bytes == is.bytes; {
		case !there || was.validity != is.validity:
			ops = append(ops, usageOp(folder, is))
		case is.modSeq > was.modSeq && (!same || changed > was.modSeq):
			ops = append(ops, usageOp(folder, is))
		case is.modSeq == was.modSeq && !same:
			// Nothing but damage brings this about. The new figures would mean
			// nothing beside the old ones.
			ops = append(ops, folderOp(opUnusage, folder), usageOp(folder, is))
			for _, name := range slices.Sorted(maps.Keys(s.taken[folder])) {
				ops = append(ops, takeOp(folder, name))
			}
		}
		for _, name := range ended {
			if _, there := s.taken[folder][name]; there {
				ops = append(ops, untakeOp(folder, name))
			}
		}
		return ops
	})
}

// endedTakes lists the messages of a folder that no longer wait to be counted. One that
// is late ends only if it is not there in a listing made after its take was known: then
// its delivery was still under way, if it comes at all.
func (u *UserState) endedTakes(ctx context.Context, folder string, m *Mailbox) (ended []string, err error) {
	u.mu.RLock()
	pending := slices.Sorted(maps.Keys(u.state.taken[folder]))
	u.mu.RUnlock()
	var late []string
	for _, name := range pending {
		switch {
		case m.knows(name):
			ended = append(ended, name)
		case m.late(name):
			late = append(late, name)
		}
	}
	if len(late) > 0 {
		err = m.Refresh(ctx)
	}
	return append(ended, late...), err
}

// Recount opens all folders, so that new mail has UIDs, counts them, and forgets
// folders that are gone.
func (u *UserState) Recount(ctx context.Context) error {
	if err := u.Refresh(ctx); err != nil {
		return err
	}
	names, err := u.home.list(ctx)
	if err != nil {
		return err
	}
	for _, f := range u.Usage() {
		names = append(names, f.Folder)
	}
	slices.Sort(names)
	var gone []string
	for _, name := range slices.Compact(names) {
		err := u.CountFolder(ctx, name)
		if errors.Is(err, ErrNoFolder) {
			gone = append(gone, name)
		} else if err != nil {
			return err
		}
	}
	return u.commit(ctx, func(s *userState) (ops []string) {
		for _, name := range gone {
			ops = append(ops, s.uncount(name)...)
		}
		return ops
	})
}

// CountFolder opens a folder, so that new mail has UIDs, and counts it. The error
// wraps [ErrNoFolder].
func (u *UserState) CountFolder(ctx context.Context, name string) error {
	b, err := u.home.box(ctx, name)
	if err != nil {
		return err
	}
	m, err := b.Open(ctx)
	if err == nil {
		err = u.Count(ctx, m)
		m.Close(ctx)
	}
	return cmp.Or(err, b.Close())
}

// State follows the log of the mailbox's user, who for a shared folder is the
// reader, as [Spool.UserState] does.
func (b *Box) State(ctx context.Context) (*UserState, error) {
	return b.spool.UserState(ctx, b.User)
}

// Now is the time since boot of the mailbox's host.
func (b *Box) Now() time.Duration { return b.spool.Host.Boot() }

// Box is where the mailbox is.
func (m *Mailbox) Box() *Box { return m.box }

// Resized is the last record that changed how much the mailbox holds, as far as m
// saw it.
func (m *Mailbox) Resized() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.resized
}

// count tells what the mailbox holds, and which record changed that last, as far
// as m saw it.
func (m *Mailbox) count() (c counted, changed uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c = counted{validity: m.state.uidValidity, modSeq: m.state.modSeq, messages: int64(len(m.state.msgs))}
	for _, msg := range m.state.msgs {
		c.bytes += msg.Size
	}
	return c, m.state.resized
}

// late tells whether a message ought to have come long ago.
func (m *Mailbox) late(name string) bool {
	at, ok := timeInName(name)
	return !ok || m.box.spool.Host.Wall().Sub(at).Abs() > takeStale
}

// checkUsage compares what the user's log says of a folder with the folder's log.
func (s *userState) checkUsage(c *findings, folder string, is counted) {
	was, there := s.counted[folder]
	if !there || was.validity != is.validity || was.modSeq != is.modSeq || was == is {
		return
	}
	c.wrong("usage", folder, "record %d leaves %d messages, %d bytes, and the user's log says %d, %d", is.modSeq, is.messages, is.bytes, was.messages, was.bytes)
}

// The operations about usage, of the user's log.
const (
	opUsage   = "usage"   // usage:FOLDER:UIDVALIDITY:RECORD:MESSAGES:BYTES
	opTake    = "take"    // take:FOLDER:NAME
	opUntake  = "untake"  // untake:FOLDER:NAME
	opUnusage = "unusage" // unusage:FOLDER
)

// counted is what a mailbox holds after the record modSeq of its log.
type counted struct {
	validity uint32
	modSeq   uint64
	messages int64
	bytes    int64
}

// takes are messages that no log knows yet: the size of each by base name.
type takes map[string]int64

func usageOp(folder string, c counted) string {
	return fmt.Sprintf("%s:%d:%d:%d:%d", folderOp(opUsage, folder), c.validity, c.modSeq, c.messages, c.bytes)
}

func takeOp(folder, name string) string {
	return folderOp(opTake, folder) + ":" + commitlog.Encode(name)
}

func untakeOp(folder, name string) string {
	return folderOp(opUntake, folder) + ":" + commitlog.Encode(name)
}

// performUsage is perform for operations about usage.
func (s *userState) performUsage(f []string) (do func(), ok bool) {
	folder, err := commitlog.Decode(f[1])
	if err != nil || folder == "" {
		return nil, false
	}
	switch f[0] {
	case opUnusage:
		return func() { delete(s.counted, folder); delete(s.taken, folder) }, true
	case opUsage:
		c, ok := parseCounted(f)
		return func() {
			was, there := s.counted[folder]
			if !there || was.validity != c.validity || was.modSeq < c.modSeq {
				s.counted[folder] = c
			}
		}, ok && usageOp(folder, c) == strings.Join(f[:6], ":")
	}
	name, err := commitlog.Decode(f[2])
	size, ok := sizeInName(name)
	if err != nil || !ok {
		return nil, false
	}
	if f[0] == opTake {
		return func() {
			if s.taken[folder] == nil {
				s.taken[folder] = takes{}
			}
			s.taken[folder][name] = size
		}, true
	}
	return func() {
		if delete(s.taken[folder], name); len(s.taken[folder]) == 0 {
			delete(s.taken, folder)
		}
	}, true
}

func parseCounted(f []string) (c counted, ok bool) {
	if len(f) < 6 {
		return c, false
	}
	validity, err := parseNumber(f[2])
	c.validity = validity
	modSeq, err1 := strconv.ParseUint(f[3], 10, 64)
	messages, err2 := strconv.ParseInt(f[4], 10, 64)
	bytes, err3 := strconv.ParseInt(f[5], 10, 64)
	c.modSeq, c.messages, c.bytes = modSeq, messages, bytes
	return c, errors.Join(err, err1, err2, err3) == nil && messages >= 0 && bytes >= 0
}

// sizeInName is the length of a file that its name tells.
func sizeInName(name string) (int64, bool) {
	f := sizesInName().FindStringSubmatch(name)
	if f == nil {
		return 0, false
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	return n, err == nil
}

// usageOps are the operations that make what the state says of usage.
func (s *userState) usageOps() (ops []string) {
	for _, folder := range slices.Sorted(maps.Keys(s.counted)) {
		ops = append(ops, usageOp(folder, s.counted[folder]))
	}
	for _, folder := range slices.Sorted(maps.Keys(s.taken)) {
		for _, name := range slices.Sorted(maps.Keys(s.taken[folder])) {
			ops = append(ops, takeOp(folder, name))
		}
	}
	return ops
}

// uncount is what forgets a folder.
func (s *userState) uncount(folder string) []string {
	_, there := s.counted[folder]
	if !there && len(s.taken[folder]) == 0 {
		return nil
	}
	return []string{folderOp(opUnusage, folder)}
}

// renameUsage lets usage follow a folder that was renamed, and those below it.
func (s *userState) renameUsage(from, to string) (ops []string) {
	gone := map[string]bool{}
	for _, op := range s.usageOps() {
		f := strings.SplitN(op, ":", 3)
		folder, _ := commitlog.Decode(f[1])
		if rest, ok := below(folder, from); ok {
			gone[folder] = true
			ops = append(ops, folderOp(f[0], to+rest)+":"+f[2])
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(gone)) {
		ops = append([]string{folderOp(opUnusage, folder)}, ops...)
	}
	return ops
}
