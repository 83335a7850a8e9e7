package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Message is one message of a mailbox as its log has it.
type Message struct {
	// UID is unique and ascending under the mailbox's UIDVALIDITY.
	UID uint32
	// Name is the base name of its file, without flags.
	Name string
	// Flags and Keywords are what was last committed.
	Flags    Flags
	Keywords []string
	// Date is when it was delivered (IMAP's INTERNALDATE), in seconds.
	Date time.Time
	// Size is the length of the stored file in bytes.
	Size int64
	// ModSeq is the record that changed it last.
	ModSeq uint64
}

// state is what the records of a log add up to.
type state struct {
	uidValidity uint32
	uidNext     uint32
	modSeq      uint64
	msgs        []*Message        // by UID
	byName      map[string]uint32 // live messages
	tombs       map[string]uint32 // expunged ones, so that their files do not come back
	newer       error             // an optional operation that is not known: no writing
}

func newState() *state {
	return &state{uidNext: 1, byName: map[string]uint32{}, tombs: map[string]uint32{}}
}

func (s *state) find(uid uint32) (*Message, int) {
	i, ok := slices.BinarySearchFunc(s.msgs, uid, func(m *Message, u uint32) int { return cmp.Compare(m.UID, u) })
	if !ok {
		return nil, -1
	}
	return s.msgs[i], i
}

// in returns the messages of a set.
func (s *state) in(set UIDSet) []*Message {
	var out []*Message
	for _, r := range set {
		i, _ := slices.BinarySearchFunc(s.msgs, r.First, func(m *Message, u uint32) int { return cmp.Compare(m.UID, u) })
		for ; i < len(s.msgs) && s.msgs[i].UID <= r.Last; i++ {
			out = append(out, s.msgs[i])
		}
	}
	return out
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
		if op.word != opAssign {
			continue
		}
		_, live := s.byName[op.name]
		_, dead := s.tombs[op.name]
		if op.number < next || op.number == maxUID || live || dead || names[op.name] {
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
		s.msgs = append(s.msgs, &Message{
			UID: op.number, Name: op.name, Flags: op.change.Add,
			Date: op.date, Size: op.size, ModSeq: seq,
		})
		s.byName[op.name] = op.number
		s.uidNext = op.number + 1
	case opFlags, opKeyword:
		for _, m := range s.in(op.uids) {
			// Snapshots share the message: it is replaced, never changed.
			n := *m
			n.Flags, n.Keywords = op.change.apply(m.Flags, m.Keywords)
			n.ModSeq = seq
			_, i := s.find(m.UID)
			s.msgs[i] = &n
		}
	case opExpunge:
		gone := s.in(op.uids)
		for _, m := range gone {
			delete(s.byName, m.Name)
			s.tombs[m.Name] = m.UID
		}
		if len(gone) > 0 {
			s.msgs = slices.DeleteFunc(slices.Clone(s.msgs), func(m *Message) bool { return op.uids.Contains(m.UID) })
		}
	}
}
