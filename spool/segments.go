package spool

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/bobbinmail/bobbin/spool/commitlog"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// segmentFile is a segment, a file with summaries of messages, as the log has
// it. A message's summary is in the segment that was committed last for it.
type segmentFile struct {
	name       string // below bobbin/s: the number of a slot, a dot, the id
	list       int64  // sizes of its two halves in bytes
	structures int64
	record     uint64 // that named it
	live       int    // how many messages have their summary in it
}

// lose takes note that a message has its summary elsewhere, or none.
func (g *segmentFile) lose() {
	if g != nil {
		g.live--
	}
}

// usable tells whether a record of the generation gen may name the file. One
// that was written before the generation began may have been swept.
func (g *segmentFile) usable(gen, record uint64) bool {
	n, _, _ := commitlog.AttachedNumber(g.name)
	return n > gen && n <= record && g.list <= summary.MaxList && g.structures <= summary.MaxStructures
}

func segmentOp(uids UIDSet, g *segmentFile) string {
	return fmt.Sprintf("%s:%s:%d:%d:%s", opSegment, uids, g.list, g.structures, g.name)
}

func (op *operation) parseSegment(f []string) (err error) {
	if op.uids, err = parseStoredSet(f[1]); err != nil {
		return err
	}
	if op.file.list, err = strconv.ParseInt(f[2], 10, 64); err != nil || op.file.list < 0 {
		return strconv.ErrSyntax
	}
	if op.file.structures, err = strconv.ParseInt(f[3], 10, 64); err != nil || op.file.structures < 0 {
		return strconv.ErrSyntax
	}
	op.file.name = f[4]
	if _, _, ok := commitlog.AttachedNumber(f[4]); !ok {
		return strconv.ErrSyntax
	}
	return nil
}

// cover notes that messages have their summaries in a new segment.
func (s *state) cover(op operation, record uint64) {
	g := op.file
	g.record = record
	if !g.usable(s.gen, record) {
		return
	}
	s.assignSegment(&g, op.uids)
}

func (s *state) assignSegment(g *segmentFile, uids UIDSet) {
	for i := range s.indices(uids) {
		s.segmentOf[i].lose()
		s.segmentOf[i] = g
		g.live++
	}
	s.segments = append(s.liveSegments(), g)
}

// liveSegments are those in which a message has its summary, by record.
func (s *state) liveSegments() []*segmentFile {
	return slices.DeleteFunc(s.segments, func(g *segmentFile) bool { return g.live == 0 })
}

// namedSegments is commitlog.Config.Named for a state.
func (s *state) namedSegments() []string {
	s.segments = s.liveSegments()
	names := make([]string, len(s.segments))
	for i, g := range s.segments {
		names[i] = g.name
	}
	return names
}

// runs writes some of the messages as a set, as few ranges as there can be:
// UIDs between two of them that no message has do no harm.
func (s *state) runs(has func(i int) bool) (set UIDSet) {
	before := false
	for i, m := range s.msgs {
		now := has(i)
		switch {
		case now && before:
			set[len(set)-1].Last = m.UID
		case now:
			set = append(set, UIDRange{m.UID, m.UID})
		}
		before = now
	}
	return set
}

// writeSegments writes the lines of the segments that records after since
// named.
func (s *state) writeSegments(rows *bytes.Buffer, since uint64) {
	if len(s.segments) == 0 {
		return
	}
	covered := map[*segmentFile]UIDSet{}
	var last *segmentFile
	for i, m := range s.msgs {
		g := s.segmentOf[i]
		if g != nil && g.record > since {
			set := covered[g]
			if g == last {
				set[len(set)-1].Last = m.UID
			} else {
				covered[g] = append(set, UIDRange{m.UID, m.UID})
			}
		}
		last = g
	}
	for _, g := range s.segments {
		if set := covered[g]; set != nil {
			fmt.Fprintf(rows, "s %d %d %d %s %s\n", g.record, g.list, g.structures, g.name, set)
		}
	}
}

// segment reads the rest of such a line.
func (l *loader) segment(f *fields) (op operation) {
	op.file = segmentFile{record: l.seq(f), list: int64(f.number(63)), structures: int64(f.number(63)), name: string(f.next())}
	word := string(f.next())
	set, err := parseStoredSet(word)
	_, _, ok := commitlog.AttachedNumber(op.file.name)
	f.bad = f.bad || err != nil || set.String() != word || !ok
	if n := len(l.covers); n > 0 && l.covers[n-1].file.record > op.file.record {
		f.bad = true
	}
	op.uids = set
	return op
}

// takeSegments notes the segments of a snapshot, whose messages are there now.
func (l *loader) takeSegments() {
	for i := range l.covers {
		g := l.covers[i].file
		l.assignSegment(&g, l.covers[i].uids)
	}
	l.segments = l.liveSegments()
}
