package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// Want says which part of a summary is asked for.
type Want int

const (
	// Columns are what lists show; [summary.Summary] has them.
	Columns Want = iota
	// Envelope is Columns with ENVELOPE.
	Envelope
	// Structure is Envelope with BODYSTRUCTURE: a long message may be read to
	// its end for it.
	Structure
)

// satisfies tells whether a summary has all that can be had.
func (w Want) satisfies(s *summary.Summary) bool {
	return w != Structure || s.Marks&summary.UnknownBody == 0
}

// AllUIDs is the set of all messages.
func AllUIDs() UIDSet { return UIDSet{{1, maxUID}} }

// Summaries yields the summaries of the messages in a set, by UID. They are
// read from segments; a message that has none there is opened and read, and
// what it says is kept for the next time (see [Mailbox.KeepSummaries]).
//
// A message that is expunged meanwhile is left out. An error is of one
// message, whose UID the summary beside it has, and not of those after it;
// it wraps [ErrMissing] or is the file system's. Only one after which ctx is
// over ends the sequence. Memory is bounded, whatever the mailbox holds.
func (m *Mailbox) Summaries(ctx context.Context, set UIDSet, want Want) iter.Seq2[*summary.Summary, error] {
	return func(yield func(*summary.Summary, error) bool) {
		m.mu.RLock()
		msgs := m.state.in(set)
		from := make([]*segmentFile, 0, len(msgs))
		for i := range m.state.indices(set) {
			from = append(from, m.state.segmentOf[i])
		}
		m.mu.RUnlock()
		tables := tableCache{m: m, want: want}
		for first := 0; first < len(msgs); {
			batch := msgs[first:min(first+max(2*m.box.spool.Host.Parallel, 1), len(msgs))]
			for _, r := range m.summarizeAll(ctx, batch, from[first:], &tables) {
				if errors.Is(r.err, ErrNoMessage) {
					continue
				}
				if !yield(r.summary, r.err) || r.err != nil && ctx.Err() != nil {
					return
				}
			}
			first += len(batch)
			m.keepSummaries(ctx, segmentRows)
		}
	}
}

// summarized is the summary of a message, or why there is none, with what the
// log knows.
type summarized struct {
	summary *summary.Summary
	err     error
}

// summarizeAll returns the summaries of some messages. Those that are in no
// segment are read side by side.
func (m *Mailbox) summarizeAll(ctx context.Context, msgs []*Message, from []*segmentFile, tables *tableCache) []summarized {
	all := make([]summarized, len(msgs))
	var missing []int
	for i, msg := range msgs {
		if all[i].summary = m.known(msg, tables.want, tables.of(ctx, from[i])); all[i].summary == nil {
			missing = append(missing, i)
		}
	}
	m.box.spool.Host.Each(len(missing), func(i int) {
		msg, r := msgs[missing[i]], &all[missing[i]]
		if r.summary, r.err = m.read(ctx, msg, tables.want); r.err != nil {
			r.summary = &summary.Summary{UID: msg.UID, Size: msg.Size, Wire: wireInName(msg.Name), Date: msg.Date}
		}
	})
	return all
}

// known returns the summary of a message if there is one in a table or in
// memory, else nil.
func (m *Mailbox) known(msg *Message, want Want, t *summary.Table) *summary.Summary {
	if t != nil {
		if s := t.Find(msg.UID); s != nil && s.Size == msg.Size && want.satisfies(s) {
			return s
		}
	}
	m.mu.RLock()
	s := m.fresh[msg.UID]
	m.mu.RUnlock()
	if s != nil && want.satisfies(s) {
		return s
	}
	return nil
}

// read reads a message and keeps its summary.
func (m *Mailbox) read(ctx context.Context, msg *Message, want Want) (*summary.Summary, error) {
	s, err := m.summarize(ctx, msg, want)
	if err != nil {
		return nil, m.box.wrap(fmt.Errorf("UID %d: %w", msg.UID, err))
	}
	if s.Size == msg.Size { // else it is damaged, and may be mended
		m.mu.Lock()
		m.fresh[msg.UID] = s
		m.mu.Unlock()
	}
	return s, nil
}

// summarize reads a message.
func (m *Mailbox) summarize(ctx context.Context, msg *Message, want Want) (*summary.Summary, error) {
	f, _, err := m.openFile(ctx, msg)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	var s *summary.Summary
	if err == nil {
		s, err = summary.Of(summary.Source{ReaderAt: f, Size: size, Wire: wireInName(msg.Name), Whole: want == Structure})
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	s.UID, s.Date = msg.UID, msg.Date
	return s, nil
}

// Wire is the size of the message in bytes with every line end as CRLF; -1 if
// its name does not tell, as other programs give them.
func (m *Message) Wire() int64 { return wireInName(m.Name) }

// wireInName is the size with CRLF that a message's name tells, or -1.
func wireInName(base string) int64 {
	_, after, ok := strings.Cut(base, ",W=")
	digits, _, _ := strings.Cut(after, ",")
	n, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || n < 0 {
		return -1
	}
	return n
}

// tableCache reads the segments that a run through a mailbox needs. UIDs
// ascend, so few of them are needed at a time.
type tableCache struct {
	m      *Mailbox
	want   Want
	names  []string // the newest at the end
	tables []*summary.Table
}

const tablesHeld = 4

// of returns the table of a segment, or nil if it cannot be had.
func (c *tableCache) of(ctx context.Context, g *segmentFile) *summary.Table {
	if g == nil {
		return nil
	}
	if i := slices.Index(c.names, g.name); i >= 0 {
		return c.tables[i]
	}
	t, err := c.m.readSegment(ctx, g, c.want)
	if err != nil {
		t = nil
	}
	if len(c.names) == tablesHeld {
		c.names, c.tables = slices.Delete(c.names, 0, 1), slices.Delete(c.tables, 0, 1)
	}
	c.names, c.tables = append(c.names, g.name), append(c.tables, t)
	return t
}

// readSegment reads the list of a segment, and its structures if wanted. One
// that is damaged or gone is not asked again.
func (m *Mailbox) readSegment(ctx context.Context, g *segmentFile, want Want) (*summary.Table, error) {
	m.mu.RLock()
	bad := m.badSegments[g.name]
	m.mu.RUnlock()
	if bad {
		return nil, summary.ErrDamaged
	}
	t, err := readSegment(ctx, m.log.OpenAttached, g, want)
	if unusable(err) {
		m.mu.Lock()
		m.badSegments[g.name] = true
		m.mu.Unlock()
	}
	return t, err
}

// unusable tells errors that speak of the segment from those that may pass.
func unusable(err error) bool {
	return errors.Is(err, summary.ErrDamaged) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, netfs.ErrIrregular)
}

func readSegment(ctx context.Context, open func(context.Context, string) (netfs.File, error), g *segmentFile, want Want) (*summary.Table, error) {
	f, err := open(ctx, g.name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err == nil && size != g.list+g.structures {
		err = fmt.Errorf("%w: %d bytes, not %d", summary.ErrDamaged, size, g.list+g.structures)
	}
	if err != nil {
		return nil, err
	}
	_, id, _ := strings.Cut(g.name, ".")
	b, err := readPart(f, 0, g.list)
	if err != nil {
		return nil, err
	}
	t, err := summary.ParseList(b, id)
	if err != nil || want == Columns {
		return t, err
	}
	if b, err = readPart(f, g.list, g.structures); err == nil {
		err = t.AddStructures(b)
	}
	return t, err
}

func readPart(f io.ReaderAt, off, n int64) ([]byte, error) {
	b := make([]byte, n)
	k, err := f.ReadAt(b, off)
	if int64(k) == n {
		err = nil
	}
	return b, err
}
