package spool

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// A snapshot tells what the records after some record did to a mailbox. It is
// text; docs/spool-format.md has the grammar:
//
//	mailbox UIDVALIDITY UIDNEXT MODSEQ MESSAGES
//	m UID FLAGS PAST DATE SIZE MODSEQ KEYWORD...   a message
//	f UID FLAGS PAST MODSEQ KEYWORD...             one that an earlier text has
//	x MODSEQ UIDS                                  messages expunged
//	t UID MODSEQ                                   a tombstone
//	g MODSEQ UIDS                                  tombstones that ended
//	d MODSEQ                                       a held file that was dropped
//	s MODSEQ LIST STRUCTURES NAME UIDS             a segment with summaries of messages
//	deleted@2 TOKEN                                the folder was deleted
//	names
//	NAME                                           of each m, then t, then d
//
// PAST is a set of flag values as a hexadecimal number, bit n for the value n,
// or "-" for the present value alone. The names stand apart because they, and
// nothing else of the text, stay in memory as they are.

// mark remembers where the UIDs stood after a record.
type mark struct {
	seq     uint64
	uidNext uint32
}

// vanish is what one record expunged, or whose tombstones it ended.
type vanish struct {
	seq  uint64
	uids UIDSet
}

// tomb is an expunged message whose file may still be there.
type tomb struct {
	uid uint32
	seq uint64 // of the expunge
}

// snapshot writes what the records after since did; nil if the state has
// something that this version does not know.
func (s *state) snapshot(since uint64) []byte {
	if s.newer != nil {
		return nil
	}
	newFrom := uint32(1)
	for _, m := range s.marks {
		if m.seq <= since {
			newFrom = max(newFrom, m.uidNext)
		}
	}
	var rows, names bytes.Buffer
	added := 0
	for _, m := range s.msgs {
		switch {
		case since > 0 && m.ModSeq <= since:
		case m.UID >= newFrom || since == 0:
			fmt.Fprintf(&rows, "m %d %s %s %d %d %d", m.UID, letters(m.Flags), pastText(m), m.Date.Unix(), m.Size, m.ModSeq)
			writeKeywords(&rows, m.Keywords)
			names.WriteString(commitlog.Encode(m.Name) + "\n")
			added++
		default:
			fmt.Fprintf(&rows, "f %d %s %s %d", m.UID, letters(m.Flags), pastText(m), m.ModSeq)
			writeKeywords(&rows, m.Keywords)
		}
	}
	if since > 0 {
		for _, v := range after(s.vanished, since) {
			fmt.Fprintf(&rows, "x %d %s\n", v.seq, v.uids)
		}
	}
	for _, name := range slices.SortedFunc(maps.Keys(s.tombs), func(a, b string) int { return cmp.Compare(s.tombs[a].uid, s.tombs[b].uid) }) {
		if t := s.tombs[name]; t.seq > since {
			fmt.Fprintf(&rows, "t %d %d\n", t.uid, t.seq)
			names.WriteString(commitlog.Encode(name) + "\n")
		}
	}
	if since > 0 {
		for _, v := range after(s.ended, since) {
			fmt.Fprintf(&rows, "g %d %s\n", v.seq, v.uids)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.dropped)) {
		if seq := s.dropped[name]; seq > since {
			fmt.Fprintf(&rows, "d %d\n", seq)
			names.WriteString(commitlog.Encode(name) + "\n")
		}
	}
	s.writeSegments(&rows, since)
	if s.deleted != "" {
		fmt.Fprintf(&rows, "%s %s\n", opDeleted, s.deleted)
	}
	head := fmt.Appendf(nil, "mailbox %d %d %d %d\n", s.uidValidity, s.uidNext, s.modSeq, added)
	return slices.Concat(head, rows.Bytes(), []byte("names\n"), names.Bytes())
}

// after returns the part of list that is younger than since.
func after(list []vanish, since uint64) []vanish {
	i, _ := slices.BinarySearchFunc(list, since+1, func(v vanish, seq uint64) int { return cmp.Compare(v.seq, seq) })
	return list[i:]
}

func pastText(m *Message) string {
	if m.past == flagStates(0).with(m.Flags) {
		return "-"
	}
	return strconv.FormatUint(uint64(m.past), 16)
}

func writeKeywords(w *bytes.Buffer, keywords []string) {
	for _, k := range keywords {
		w.WriteByte(' ')
		w.WriteString(commitlog.Encode(k))
	}
	w.WriteByte('\n')
}

// loader takes one snapshot into a state.
type loader struct {
	*state
	block    []Message // room for the messages to come
	gone     UIDSet    // to be taken out at the end
	ended    UIDSet
	added    []Message // of this text
	tombs    []tomb
	tombUIDs map[uint32]bool // of the tombstones in the state
	drops    []uint64
	covers   []operation         // segments
	words    map[string][]string // keywords by how they are written
}

// loadInto is commitlog.Config.Load for a state.
func loadInto(s **state, text []byte) error {
	if text == nil {
		*s = newState((*s).separator)
		return nil
	}
	return (*s).load(text)
}

// load takes in a snapshot on top of those before it.
func (s *state) load(text []byte) error {
	l := &loader{state: s, words: map[string][]string{}, tombUIDs: s.tombUIDs()}
	head, rest, ok := cutByte(text, '\n')
	if !ok || !l.head(head, len(rest)) {
		return fmt.Errorf("%w: snapshot head %.80q", commitlog.ErrCorrupt, head)
	}
	for {
		var row []byte
		if row, rest, ok = cutByte(rest, '\n'); !ok {
			return fmt.Errorf("%w: a snapshot without end", commitlog.ErrCorrupt)
		}
		if string(row) == "names" {
			break
		}
		if err := l.row(row); err != nil {
			return fmt.Errorf("snapshot line %.80q: %w", row, err)
		}
	}
	if len(l.block) > 0 {
		return fmt.Errorf("%w: snapshot head %.80q: %d messages are missing", commitlog.ErrCorrupt, head, len(l.block))
	}
	l.takeOut()
	kept := make([]byte, len(rest)) // without the rows
	netfs.Whole(kept)
	copy(kept, rest)
	if err := l.name(netfs.Text(kept)); err != nil {
		return err
	}
	l.takeSegments()
	return nil
}

func (s *state) tombUIDs() map[uint32]bool {
	uids := make(map[uint32]bool, len(s.tombs))
	for _, t := range s.tombs {
		uids[t.uid] = true
	}
	return uids
}

// row reads one line.
func (l *loader) row(row []byte) error {
	f := fields{rest: row}
	word := f.next()
	switch string(word) {
	case "m":
		l.message(&f)
	case "f":
		l.change(&f)
	case "x":
		l.vanished, l.gone = l.vanish(&f, l.vanished, l.gone)
	case "t":
		t := tomb{f.uid(), l.seq(&f)}
		f.bad = f.bad || t.uid >= l.uidNext || len(l.tombs) > 0 && l.tombs[len(l.tombs)-1].uid >= t.uid
		l.tombs = append(l.tombs, t)
	case "g":
		l.state.ended, l.ended = l.vanish(&f, l.state.ended, l.ended)
	case "d":
		l.drops = append(l.drops, l.seq(&f))
	case "s":
		l.covers = append(l.covers, l.segment(&f))
	case opDeleted:
		l.deleted = string(f.next())
		f.bad = f.bad || !netfs.IsToken(l.deleted)
	default:
		return unknownOp(string(word))
	}
	if f.bad || len(f.rest) > 0 {
		return commitlog.ErrCorrupt
	}
	return nil
}

// shortestRow is the length of "m 1 - - 0 0 1\n".
const shortestRow = 14

// head reads the first line, before size bytes of others. The state goes on
// from what was loaded before.
func (l *loader) head(line []byte, size int) bool {
	f := fields{rest: line}
	if string(f.next()) != "mailbox" {
		return false
	}
	first := l.uidValidity == 0
	validity, next, modSeq, n := f.uid(), f.uid(), f.number(64), f.number(32)
	if f.bad || len(f.rest) > 0 || modSeq == 0 || n > uint64(size/shortestRow+1) ||
		!first && validity != l.uidValidity || next < l.uidNext || modSeq < l.modSeq {
		return false
	}
	l.uidValidity, l.uidNext, l.modSeq = validity, next, modSeq
	l.added = make([]Message, n)
	netfs.Whole(l.added)
	l.block = l.added
	l.msgs, l.shown = slices.Grow(l.msgs, int(n)), slices.Grow(l.shown, int(n))
	l.segmentOf = slices.Grow(l.segmentOf, int(n))
	netfs.Whole(l.msgs)
	netfs.Whole(l.segmentOf)
	l.byName.reserve(int(n), l.nameOf)
	l.marks = append(l.marks, mark{l.modSeq, l.uidNext})
	return true
}

func (l *loader) message(f *fields) {
	if len(l.block) == 0 {
		f.bad = true
		return
	}
	m := &l.block[0]
	l.block = l.block[1:]
	m.UID = f.uid()
	f.flags(m)
	m.Date = time.Unix(f.signed(), 0)
	m.Size = int64(f.number(63))
	m.ModSeq = l.seq(f)
	m.Keywords = l.keywords(f)
	if m.UID >= l.uidNext {
		f.bad = true
	}
}

func (l *loader) change(f *fields) {
	old, i := l.find(f.uid())
	if old == nil {
		f.bad = true
		return
	}
	m := *old
	f.flags(&m)
	m.ModSeq = l.seq(f)
	m.Keywords = l.keywords(f)
	l.msgs[i] = &m
}

// keywords reads what is left of a line. Messages share their lists.
func (l *loader) keywords(f *fields) []string {
	if len(f.rest) == 0 {
		return nil
	}
	if list, ok := l.words[string(f.rest)]; ok {
		f.rest = nil
		return list
	}
	key := string(f.rest)
	var list []string
	for len(f.rest) > 0 {
		k, err := commitlog.Decode(string(f.next()))
		f.bad = f.bad || err != nil || k == ""
		list = append(list, k)
	}
	l.words[key] = list
	return list
}

// takeOut removes what the snapshot says is gone.
func (l *loader) takeOut() {
	if len(l.gone) > 0 {
		gone := slices.Clone(l.gone).normal()
		l.removeMessages(gone)
	}
	if len(l.ended) > 0 {
		ended := slices.Clone(l.ended).normal()
		maps.DeleteFunc(l.state.tombs, func(_ string, t tomb) bool { return ended.Contains(t.uid) })
		maps.DeleteFunc(l.tombUIDs, func(uid uint32, _ bool) bool { return ended.Contains(uid) })
	}
}

// name gives the new messages and tombstones their names.
func (l *loader) name(names string) error {
	bad := func(name string) error {
		return fmt.Errorf("%w: snapshot name %.80q", commitlog.ErrCorrupt, name)
	}
	next := func() (string, bool) {
		line, rest, ok := strings.Cut(names, "\n")
		names = rest
		if !ok || commitlog.Plain(line) {
			_, _, fit := splitName(line)
			return line, ok && fit && strings.IndexByte(line, '/') < 0
		}
		var op operation
		err := op.parseName(line)
		return op.name, err == nil
	}
	before := len(l.msgs)
	for at := range l.added {
		m := &l.added[at]
		name, ok := next()
		if !ok {
			return bad(name)
		}
		m.Name = name
		old, i := l.find(m.UID)
		switch {
		case old != nil && old.Name == name:
			l.msgs[i] = m
		case old != nil || len(l.msgs) > 0 && l.msgs[len(l.msgs)-1].UID > m.UID || l.tombUIDs[m.UID] || l.wasTaken(name):
			return bad(name)
		default:
			l.append(m)
		}
	}
	added := l.msgs[before:]
	if !l.byName.addAll(added, l.nameOf) {
		return bad(added[0].Name)
	}
	if len(l.odd) > 0 {
		for _, m := range added {
			l.claim(m)
		}
	}
	for _, t := range l.tombs {
		name, ok := next()
		if live, _ := l.find(t.uid); !ok || live != nil || l.tombUIDs[t.uid] || l.taken(name) {
			return bad(name)
		}
		l.state.tombs[name] = t
	}
	for _, seq := range l.drops {
		name, ok := next()
		if !ok || seq == 0 || l.taken(name) {
			return bad(name)
		}
		l.dropped[name] = seq
	}
	if names != "" {
		return bad(names)
	}
	return nil
}

// fields reads words separated by single spaces.
type fields struct {
	rest []byte
	bad  bool
}

// cutByte is bytes.Cut at a byte, which is faster.
func cutByte(b []byte, sep byte) (before, after []byte, found bool) {
	if i := bytes.IndexByte(b, sep); i >= 0 {
		return b[:i], b[i+1:], true
	}
	return b, nil, false
}

func (f *fields) next() []byte {
	word, rest, more := cutByte(f.rest, ' ')
	f.bad = f.bad || len(word) == 0 || more && len(rest) == 0
	f.rest = rest
	return word
}

// number reads a decimal number of at most so many bits.
func (f *fields) number(bits int) uint64 {
	var n uint64
	word := f.next()
	for _, c := range word {
		d := uint64(c - '0')
		if d > 9 || n > math.MaxUint64/10 || n == math.MaxUint64/10 && d > math.MaxUint64%10 {
			f.bad = true
			return 0
		}
		n = 10*n + d
	}
	f.bad = f.bad || len(word) > 1 && word[0] == '0' || bits < 64 && n>>bits != 0
	return n
}

func (f *fields) signed() int64 {
	rest, negative := bytes.CutPrefix(f.rest, []byte("-"))
	if !negative {
		return int64(f.number(63))
	}
	f.rest = rest
	n := f.number(64)
	f.bad = f.bad || n == 0 || n > 1<<63
	return -int64(n)
}

func (f *fields) uid() uint32 {
	n := uint32(f.number(32))
	f.bad = f.bad || n == 0
	return n
}

// flags reads a message's flags and what they were.
func (f *fields) flags(m *Message) {
	word := f.next()
	if string(word) == "-" {
		m.Flags = 0
	} else {
		m.Flags, _ = flagsOf(string(word))
		f.bad = f.bad || m.Flags.Letters() != string(word)
	}
	if past := f.next(); string(past) == "-" {
		m.past = flagStates(0).with(m.Flags)
	} else {
		n, err := strconv.ParseUint(string(past), 16, 64)
		m.past = flagStates(n)
		f.bad = f.bad || err != nil || !m.past.has(m.Flags) || pastText(m) != string(past)
	}
}

// seq reads the number of a record that the text tells of.
func (l *loader) seq(f *fields) uint64 {
	n := f.number(64)
	f.bad = f.bad || n == 0 || n > l.modSeq
	return n
}

// vanish reads a record's number and a set, which it adds to both.
func (l *loader) vanish(f *fields, list []vanish, all UIDSet) ([]vanish, UIDSet) {
	v := vanish{seq: l.seq(f)}
	word := string(f.next())
	set, err := parseStoredSet(word)
	f.bad = f.bad || err != nil || set.String() != word || len(list) > 0 && list[len(list)-1].seq > v.seq
	v.uids = set
	return append(list, v), append(all, set...)
}
