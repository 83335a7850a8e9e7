package spool

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"time"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Message is one message of a mailbox as its log has it.
type Message struct {
	// UID is unique and ascending under the mailbox's UIDVALIDITY.
	UID uint32
	// Flags and Keywords are what was last committed. Keywords is read-only:
	// messages share their lists.
	Flags    Flags
	Keywords []string
	// Name is the base name of its file, without flags.
	Name string
	// Date is when it was delivered (IMAP's INTERNALDATE), in seconds.
	Date time.Time
	// Size is the length of the stored file in bytes.
	Size int64
	// ModSeq is the record that changed it last.
	ModSeq uint64

	past flagStates // what its flags were since assign or the last import, now included
}

// flagStates is a set of values of Flags, of which there are 64.
type flagStates uint64

func (p flagStates) has(f Flags) bool        { return p>>f&1 != 0 }
func (p flagStates) with(f Flags) flagStates { return p | 1<<f }

// foreign tells whether a file with flags f was renamed by a program that
// does not know the log. A name that shows an earlier state is one that is
// behind, not a foreign change; so a foreign change back to a recent state is
// overridden.
func (m *Message) foreign(f Flags) bool { return !m.past.has(f) }

// merge returns m after another program gave its file the flags f: what it
// changed is taken over, what the log changed stays.
func (m *Message) merge(f Flags) Message {
	n, touched := *m, m.touched(f)
	n.Flags = m.Flags&^touched | f&touched
	n.past = flagStates(0).with(f).with(n.Flags)
	return n
}

// touched are the flags that a program changed which gave the file the flags
// f. The file showed one of the past states before; the one nearest to f is
// taken for it. (What the file showed first will not do: a flag that the log
// set, showed and cleared again would come back.)
func (m *Message) touched(f Flags) Flags {
	shown, best := m.Flags, 100
	for d := range Flags(64) {
		// The present state counts as nearer than others equally far.
		far := 10*bits.OnesCount8(uint8(d^f)) + bits.OnesCount8(uint8(d^m.Flags))
		if m.past.has(d) && far < best {
			shown, best = d, far
		}
	}
	return f ^ shown
}

// state is what the records of a log add up to.
type state struct {
	uidValidity uint32
	uidNext     uint32
	modSeq      uint64
	resized     uint64            // the last record that may have changed how much there is
	msgs        []*Message        // by UID
	byName      nameIndex         // live messages
	tombs       map[string]tomb   // expunged ones, so that their files do not come back
	dropped     map[string]uint64 // held files that may no longer become messages, and the record that says so
	deleted     string            // where in the trash the folder goes; "" while there is one
	newer       error             // an optional operation that is not known: no writing
	vanished    []vanish          // what was expunged, as far back as the parts of the base are told apart
	ended       []vanish          // likewise, the tombstones that ended
	marks       []mark
	gen         uint64         // the rotation that began the last record's generation; 0 in the first
	segments    []*segmentFile // by record; some may have no message any more
	segmentOf   []*segmentFile // of each of msgs: what has its summary, or nil

	// What follows is not in the log: where files were last seen.
	separator string
	shown     []shown            // of each of msgs
	odd       map[string][]place // what shown cannot say, by base name
	stale     bool               // nothing was listed since the state was loaded
}

func newState(separator string) *state {
	return &state{
		uidNext: 1, tombs: map[string]tomb{}, dropped: map[string]uint64{},
		separator: separator, odd: map[string][]place{}, stale: true,
	}
}

func (s *state) find(uid uint32) (*Message, int) {
	i, ok := s.search(uid)
	if !ok {
		return nil, -1
	}
	return s.msgs[i], i
}

// search finds the first message whose UID is not lower. Few UIDs are missing
// in most mailboxes, so it looks first where the message is if as many are
// missing before it as there are in proportion.
func (s *state) search(uid uint32) (at int, ok bool) {
	n := len(s.msgs)
	if n == 0 || uid > s.msgs[n-1].UID {
		return n, false
	}
	first, last := s.msgs[0].UID, s.msgs[n-1].UID
	if uid >= first && last > first {
		guess := int(uint64(uid-first) * uint64(n-1) / uint64(last-first))
		if s.msgs[guess].UID == uid {
			return guess, true
		}
	}
	return slices.BinarySearchFunc(s.msgs, uid, func(m *Message, u uint32) int { return cmp.Compare(m.UID, u) })
}

// named returns the live message whose file has this base name, or nil.
func (s *state) named(base string) *Message {
	uid, ok := s.byName.find(base, s.nameOf)
	if !ok {
		return nil
	}
	msg, _ := s.find(uid)
	return msg
}

func (s *state) nameOf(uid uint32) string {
	msg, _ := s.find(uid)
	return msg.Name
}

// insert adds a message whose UID is higher than all others, unless there is
// one with its name.
func (s *state) insert(m *Message) bool {
	if !s.byName.add(m.Name, m.UID, s.nameOf) {
		return false
	}
	s.append(m)
	s.claim(m)
	return true
}

func (s *state) append(m *Message) {
	s.msgs, s.shown, s.segmentOf = append(s.msgs, m), append(s.shown, 0), append(s.segmentOf, nil)
}

// claim takes in where the file of a new message is.
func (s *state) claim(m *Message) {
	if odd := s.odd[m.Name]; len(odd) == 1 {
		s.setPlace(m.Name, odd[0])
	}
}

// wasTaken tells whether a name was given to a message that is gone, or
// dropped.
func (s *state) wasTaken(base string) bool {
	_, dropped := s.dropped[base]
	_, dead := s.tombs[base]
	return dropped || dead
}

// knows tells whether a base name has, or had, a UID.
func (s *state) knows(base string) bool {
	_, dead := s.tombs[base]
	return dead || s.named(base) != nil
}

// taken tells whether a name was given to a message before, or dropped: either
// way no new message may have it.
func (s *state) taken(base string) bool {
	return s.wasTaken(base) || s.named(base) != nil
}

// in returns the messages of a set.
func (s *state) in(set UIDSet) []*Message {
	var out []*Message
	for i := range s.indices(set) {
		out = append(out, s.msgs[i])
	}
	return out
}

// indices yields where in msgs the messages of a set are.
func (s *state) indices(set UIDSet) iter.Seq[int] {
	return func(yield func(int) bool) {
		for _, r := range set {
			i, _ := s.search(r.First)
			for ; i < len(s.msgs) && s.msgs[i].UID <= r.Last; i++ {
				if !yield(i) {
					return
				}
			}
		}
	}
}

// apply takes in a record as a whole or not at all.
func (s *state) apply(r *commitlog.Record) error {
	ops := make([]operation, 0, len(r.Ops))
	var newer error
	for _, text := range r.Ops {
		op, err := parseOp(text)
		var optional *optionalError
		switch {
		case errors.As(err, &optional):
			newer = err
			continue
		case err != nil:
			return err
		}
		ops = append(ops, op)
	}
	if err := s.allow(r, ops); err != nil {
		return err
	}
	if newer != nil {
		s.newer = newer
	}
	if r.Seq > s.modSeq+1 {
		// A rotation stood between: its base goes as far as the state is now.
		s.marks = append(s.marks, mark{s.modSeq, s.uidNext})
		s.gen = r.Seq - 1
	}
	s.modSeq = r.Seq
	for _, op := range ops {
		s.perform(op, r.Seq)
	}
	return nil
}

// allow checks that the operations fit the state.
func (s *state) allow(r *commitlog.Record, ops []operation) error {
	next := s.uidNext
	names := map[string]bool{}
	for i, op := range ops {
		genesis := op.word == opGenesis
		if genesis != (r.Seq == 1 && i == 0) {
			return fmt.Errorf("%w: genesis stands first and nowhere else", commitlog.ErrCorrupt)
		}
		if op.word == opDrop {
			names[op.name] = true
		}
		if op.word != opAssign {
			continue
		}
		if op.number < next || op.number == maxUID || s.taken(op.name) || names[op.name] {
			return fmt.Errorf("%w: UID %d for %q was given before", commitlog.ErrCorrupt, op.number, op.name)
		}
		next = op.number + 1
		names[op.name] = true
	}
	return nil
}

// perform does one allowed operation. Flags of a message that is gone, and an
// expunge of one, mean nothing.
func (s *state) perform(op operation, seq uint64) {
	switch op.word {
	case opGenesis:
		s.uidValidity = op.number
	case opAssign:
		s.insert(&Message{
			UID: op.number, Name: op.name, Flags: op.change.Add,
			Date: op.date, Size: op.size, ModSeq: seq,
			past: flagStates(0).with(op.change.Add),
		})
		s.uidNext = op.number + 1
		s.resized = seq
	case opFlags, opKeyword:
		for _, m := range s.in(op.uids) {
			n := *m
			n.Flags, n.Keywords = op.change.apply(m.Flags, m.Keywords)
			n.past = n.past.with(n.Flags)
			s.replace(&n, seq)
		}
	case opImport:
		if m, _ := s.find(op.number); m != nil && m.foreign(op.change.Add) {
			n := m.merge(op.change.Add)
			s.replace(&n, seq)
		}
	case opGone:
		if t, ok := s.tombs[op.name]; ok {
			delete(s.tombs, op.name)
			s.ended = append(s.ended, vanish{seq, SetOf(t.uid)})
		}
	case opDeleted:
		if s.deleted == "" {
			s.deleted = op.name
		}
	case opDrop:
		if !s.taken(op.name) {
			s.dropped[op.name] = seq
		}
	case opSegment:
		s.cover(op, seq)
	case opExpunge:
		gone := s.in(op.uids)
		for _, m := range gone {
			s.tombs[m.Name] = tomb{m.UID, seq}
		}
		if len(gone) > 0 {
			s.vanished = append(s.vanished, vanish{seq, setOfMessages(gone)})
			s.removeMessages(op.uids)
			s.resized = seq
		}
	}
}

// replace puts a new version of a message in place. Snapshots share messages,
// so the old one is not changed.
func (s *state) replace(m *Message, seq uint64) {
	m.ModSeq = seq
	_, i := s.find(m.UID)
	s.msgs[i] = m
}
