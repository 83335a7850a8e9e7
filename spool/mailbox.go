package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// Mailbox is an open mailbox: its log followed, its files known. Its methods
// may be called from several goroutines.
type Mailbox struct {
	box    *Box
	log    *commitlog.Log
	reader *UserState // of a shared folder; nil for others

	mu       sync.RWMutex // guards what follows; never held across a call to the share
	state    *state
	validity uint32 // UIDVALIDITY as it was first loaded
	draft    draft
	owed     backlog // changes committed here that the files do not show yet
	behind   backlog // what else the files did not show when they were listed

	projecting *locking.Sem  // held while what follows is used
	nextSweep  time.Duration // Boot before which bobbin/x is not swept again

	limited error // set by Open

	fresh       map[uint32]*summary.Summary // made here and not written down; guarded by mu
	badSegments map[string]bool             // damaged or gone; guarded by mu
	assigned    int                         // how many messages got their UIDs here; guarded by mu
	keeping     *locking.Sem                // held while summaries are written down

	scanning *locking.Sem // held while what follows is used
	watchNew netfs.Watch
	watchCur netfs.Watch
	nextCur  time.Duration            // Boot before which cur is not listed again
	passed   bool                     // the last look passed over cur, or over a file that had moved on
	early    []listing                // new and cur, listed before the log was read to its end
	absent   map[uint32]time.Duration // missing in one complete scan where it takes two; Boot of the first
	twins    map[string]twins         // by base name, with several files in the last complete scan
}

// draft is what the record under construction has taken already.
type draft struct {
	uidNext uint32
	names   map[string]bool // assigned or dropped
}

// backlog lists files whose names do not show what the log says.
type backlog struct {
	flags   map[uint32]bool // by UID
	expunge map[string]bool // by base name
	held    bool            // messages came in through hold
}

func (b *backlog) reset() { *b = backlog{flags: map[uint32]bool{}, expunge: map[string]bool{}} }

// Open follows the mailbox's log to its end, creating the log if there is
// none, and gives UIDs to mail that has none. The error matches
// [commitlog.ErrWentBack] when the log lacks what an earlier process on this
// host read, as far as the host remembers.
func (b *Box) Open(ctx context.Context) (*Mailbox, error) {
	m, err := b.follow(ctx, (*Mailbox).lookEarly)
	if err != nil {
		return nil, err
	}
	if err = m.recall(ctx); err == nil {
		err = m.openReader(ctx)
	}
	if err != nil {
		return nil, b.wrap(err)
	}
	if err := m.scan(ctx); NoRoom(err) {
		m.limited = err
	} else if err != nil {
		m.Close(ctx)
		return nil, err
	}
	return m, nil
}

// NoRoom tells errors that keep a mailbox from being written and not from being
// read: the disk is full, over quota or read-only. After one of [Mailbox.Refresh]
// the mailbox can be listed, without its newest mail.
func NoRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS)
}

// Limited says why new mail has no UIDs yet and cannot be listed: the disk is
// full, over quota or read-only. It is nil in a mailbox that is all there.
func (m *Mailbox) Limited() error { return m.limited }

// view returns a view that has read nothing yet.
func (b *Box) view() *Mailbox {
	m := &Mailbox{
		box: b, state: newState(b.spool.Marker.Separator),
		scanning: locking.NewSem(), projecting: locking.NewSem(), absent: map[uint32]time.Duration{},
		keeping: locking.NewSem(), fresh: map[uint32]*summary.Summary{}, badSegments: map[string]bool{},
	}
	m.owed.reset()
	m.behind.reset()
	m.log = b.spool.log(b.fs, logDir, machine{apply: m.apply, snapshot: m.snapshot, load: m.load, begin: m.begin, named: m.named})
	return m
}

// open follows the log without looking for new mail.
func (b *Box) open(ctx context.Context) (*Mailbox, error) {
	return b.follow(ctx, func(*Mailbox, context.Context) {})
}

// follow is open; meanwhile is done while the state is being loaded.
func (b *Box) follow(ctx context.Context, meanwhile func(*Mailbox, context.Context)) (*Mailbox, error) {
	m := b.view()
	err := m.log.LoadBase(ctx)
	if err == nil {
		meanwhile(m, ctx)
		_, err = m.log.Refresh(ctx)
	}
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, commitlog.ErrCorrupt) {
		if err = b.prepare(ctx, mailboxDirs()); err == nil {
			_, err = m.log.Refresh(ctx)
		}
	}
	if err == nil && m.UIDValidity() == 0 {
		err = m.genesis(ctx)
	}
	if err == nil {
		err = m.ended(ctx)
	}
	if err != nil {
		return nil, b.wrap(err)
	}
	return m, nil
}

func (b *Box) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mailbox %s of %s: %w", b.Folder, b.User, err)
}

// genesis writes the first record unless somebody has.
func (m *Mailbox) genesis(ctx context.Context) error {
	// All directories first: whoever sees the record may count on them.
	if err := m.box.prepare(ctx, mailboxDirs()); err != nil {
		return err
	}
	validity, err := m.box.home.uidValidity(ctx)
	if err != nil {
		return err
	}
	return m.log.Commit(ctx, func() ([]string, error) {
		if m.UIDValidity() != 0 {
			return nil, nil
		}
		return []string{genesisOp(validity)}, nil
	})
}

func (m *Mailbox) apply(r *commitlog.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.state.apply(r)
	m.validity = m.state.uidValidity
	return err
}

func (m *Mailbox) snapshot(since uint64) ([]byte, uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.snapshot(since), since
}

func (m *Mailbox) load(text []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := loadInto(&m.state, text)
	m.state.resized = m.state.modSeq
	if now := m.state.uidValidity; err == nil && now != 0 {
		if m.validity != 0 && m.validity != now {
			return fmt.Errorf("UIDVALIDITY is %d and was %d: %w", now, m.validity, commitlog.ErrWentBack)
		}
		m.validity = now
	}
	return err
}

func (m *Mailbox) named() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.namedSegments()
}

func (m *Mailbox) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.draft = draft{m.state.uidNext, map[string]bool{}}
}

// commit is log.Commit for a build that reads the state.
func (m *Mailbox) commit(ctx context.Context, build func(s *state) []string) error {
	return m.box.wrap(m.log.Commit(ctx, func() ([]string, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		ops := build(m.state)
		switch {
		case len(ops) == 0:
		case m.state.newer != nil:
			return nil, m.state.newer
		case m.state.deleted != "":
			return nil, errDeleted
		}
		if err := m.box.spool.admits(ops); err != nil {
			return nil, err
		}
		return ops, writable(ops)
	}))
}

// writable refuses what no reader could read: a record cannot be taken back.
func writable(ops []string) error {
	for _, op := range ops {
		if _, err := parseOp(op); err != nil {
			return fmt.Errorf("change refused: %v: %w", err, ErrBadName)
		}
	}
	return nil
}

// Refresh follows the log and gives UIDs to new mail. While nothing changes
// it costs one operation for each of the directories watched: three, or two
// where no other program changes files ([Marker.HasForeign]). The error wraps [ErrNoFolder] when the folder was deleted.
func (m *Mailbox) Refresh(ctx context.Context) error {
	if _, err := m.log.Refresh(ctx); err != nil {
		return m.box.wrap(err)
	}
	err := m.ended(ctx)
	if err == nil && m.reader != nil {
		err = m.reader.Refresh(ctx)
	}
	if err != nil {
		return m.box.wrap(err)
	}
	return m.scan(ctx)
}

// Close ends the use of m. If enough was committed, it writes the mailbox's
// state down, so that the next process need not read the log from far back,
// and likewise summaries of messages, among them those of at most 256 to which
// m gave UIDs; a failure there is left to that process. The host remembers what
// m has read. The Box stays open.
func (m *Mailbox) Close(ctx context.Context) {
	m.mu.RLock()
	assigned := m.assigned
	m.mu.RUnlock()
	if assigned >= segmentMin {
		m.Summarize(ctx, min(assigned, closeRows))
	} else {
		m.KeepSummaries(ctx)
	}
	m.log.Close(ctx)
	m.remember(ctx)
	if m.reader != nil {
		_ = m.reader.Close(ctx) // it was only read, or its state is left to the next
	}
}

// UIDValidity is the number under which the UIDs are unique.
func (m *Mailbox) UIDValidity() uint32 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.uidValidity
}

// UIDNext is higher than every UID given so far.
func (m *Mailbox) UIDNext() uint32 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.uidNext
}

// ModSeq is the number of the last record.
func (m *Mailbox) ModSeq() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.modSeq
}

// Conflicts is how often a change of m found that another host was first, and
// was put on top of that host's change.
func (m *Mailbox) Conflicts() int64 { return m.log.Conflicts() }

// Messages lists the messages by UID. The messages are shared and read-only.
func (m *Mailbox) Messages() []*Message {
	m.mu.RLock()
	msgs := slices.Clone(m.state.msgs)
	m.mu.RUnlock()
	return m.ownAll(msgs)
}

// Message returns one message, which is read-only. The error wraps
// [ErrNoMessage].
func (m *Mailbox) Message(uid uint32) (*Message, error) {
	m.mu.RLock()
	msg, _ := m.state.find(uid)
	m.mu.RUnlock()
	if msg == nil {
		return nil, fmt.Errorf("UID %d: %w", uid, ErrNoMessage)
	}
	return m.own(msg), nil
}

// knows tells whether a file name has, or had, a UID.
func (m *Mailbox) knows(name string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.knows(name)
}

// SetFlags changes flags and keywords of all messages in the set by one
// record and returns the UIDs that changed. UIDs that do not exist are passed
// over, as IMAP wants it (RFC 3501 section 6.4.8). In a shared folder \Seen is
// the user's own and takes a record of its own.
func (m *Mailbox) SetFlags(ctx context.Context, set UIDSet, c FlagChange) (UIDSet, error) {
	changed, err := m.setFlags(ctx, set, m.shared(c))
	if err != nil || m.reader == nil {
		return changed, err
	}
	seen, err := m.setSeen(ctx, set, c)
	if len(changed) > 0 {
		err = partly(err)
	}
	return union(changed, seen), m.box.wrap(err)
}

func (m *Mailbox) setFlags(ctx context.Context, set UIDSet, c FlagChange) (UIDSet, error) {
	var uids []uint32
	err := m.commit(ctx, func(s *state) []string {
		uids = uids[:0]
		for _, msg := range s.in(set) {
			f, k := c.apply(msg.Flags, msg.Keywords)
			if f != msg.Flags || !slices.Equal(k, msg.Keywords) {
				uids = append(uids, msg.UID)
			}
		}
		if len(uids) == 0 {
			return nil
		}
		return flagOps(SetOf(uids...), c)
	})
	if err != nil {
		return nil, err
	}
	if c.Add|c.Remove != 0 && m.box.spool.Marker.ShowsFlags() {
		m.mu.Lock()
		for _, u := range uids {
			m.owed.flags[u] = true
		}
		m.mu.Unlock()
	}
	return SetOf(uids...), nil
}

// Records calls f for every record of the log that is still there, in order,
// as it reads them.
func (b *Box) Records(ctx context.Context, f func(*commitlog.Record) error) error {
	l := b.spool.log(b.fs, logDir, machine{apply: f})
	return b.wrap(l.History(ctx))
}

// dateOf is when a message was delivered: what its name says, else its file's
// time stamp, which is only a hint (H117).
func dateOf(base string, i netfs.Info) time.Time {
	if t, ok := timeInName(base); ok {
		return t
	}
	return i.Mtime
}
