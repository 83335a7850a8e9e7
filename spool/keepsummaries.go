package spool

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// Summaries are a cache: what is not written, or cannot be read, is read off
// the messages again. So nothing here fails a caller, and nothing is done
// before what the caller came for.

const (
	// segmentRows is how many new summaries are worth a segment while more
	// are being made.
	segmentRows = 1024
	// closeRows is the most that closing a mailbox makes.
	closeRows = 256
	// segmentMin is how many are worth one when no more will come: reading
	// fewer messages again costs little.
	segmentMin = 16
	// mergedRows is how many rows a segment has that is not merged any more.
	mergedRows = 2048
)

// KeepSummaries writes down the summaries that were read off messages, unless
// they are too few to be worth a file. It is for servers that stay; Close
// does it too. Nothing that it fails at matters.
func (m *Mailbox) KeepSummaries(ctx context.Context) { m.keepSummaries(ctx, segmentMin) }

// Summarize reads the newest messages that have no summary yet, at most n of
// them, writes their summaries down and tells how many are left.
func (m *Mailbox) Summarize(ctx context.Context, n int) (left int) {
	var todo []*Message
	m.mu.RLock()
	for i, msg := range slices.Backward(m.state.msgs) {
		g := m.state.segmentOf[i]
		switch {
		case g != nil && !m.badSegments[g.name] || m.fresh[msg.UID] != nil:
		case len(todo) < n:
			todo = append(todo, msg)
		default:
			left++
		}
	}
	m.mu.RUnlock()
	for _, msg := range todo {
		if ctx.Err() != nil {
			return left
		}
		// Who wants to see a message that cannot be read is told why.
		_, _ = m.read(ctx, msg, Columns)
	}
	m.KeepSummaries(ctx)
	return left
}

// keepSummaries writes the fresh summaries down if there are at least so many.
func (m *Mailbox) keepSummaries(ctx context.Context, least int) {
	m.mu.RLock()
	few := len(m.fresh) < least
	m.mu.RUnlock()
	if few {
		return
	}
	unlock, err := m.keeping.Lock(ctx)
	if err != nil {
		return
	}
	defer unlock()
	m.mu.Lock()
	var rows []*summary.Summary
	for _, s := range m.fresh {
		if msg, _ := m.state.find(s.UID); msg != nil {
			rows = append(rows, s)
		}
	}
	m.fresh = map[uint32]*summary.Summary{}
	m.mu.Unlock()
	if m.box.spool.Level() < 2 || len(rows) < min(least, segmentMin) || m.limited != nil {
		return
	}
	slices.SortFunc(rows, func(a, b *summary.Summary) int { return cmp.Compare(a.UID, b.UID) })
	m.writeSegments(ctx, rows)
}

// writeSegments writes rows as one segment, or as several if they are long.
func (m *Mailbox) writeSegments(ctx context.Context, rows []*summary.Summary) {
	if !summary.Fits(rows) {
		m.writeSegments(ctx, rows[:len(rows)/2])
		m.writeSegments(ctx, rows[len(rows)/2:])
		return
	}
	rows = m.mergeNeighbours(ctx, rows)
	nonce, err := m.box.spool.Host.Token()
	if err != nil {
		return
	}
	seg := summary.Format(rows, nonce)
	name, err := m.log.Attach(ctx, seg.ID, seg.Content)
	if err != nil {
		return
	}
	g := &segmentFile{name: name, list: seg.List, structures: int64(len(seg.Content)) - seg.List}
	in := make(map[uint32]bool, len(rows))
	for _, s := range rows {
		in[s.UID] = true
	}
	named := false
	err = m.commit(ctx, func(s *state) []string {
		set := s.runs(func(i int) bool { return in[s.msgs[i].UID] })
		if named = len(set) > 0 && g.usable(s.gen, math.MaxUint64); !named {
			return nil
		}
		return []string{segmentOp(set, g)}
	})
	if !named || err != nil && !errors.Is(err, netfs.ErrUncertain) {
		m.log.Detach(ctx, name)
	}
}

// mergeNeighbours adds the rows of the segments beside new ones, as long as
// they have no more rows than what is to be written anyway. So a summary is
// written again only as often as the logarithm of a segment's size, and what
// was expunged drops out.
func (m *Mailbox) mergeNeighbours(ctx context.Context, rows []*summary.Summary) []*summary.Summary {
	for {
		g := m.neighbour(rows)
		if g == nil {
			return rows
		}
		t, err := m.readSegment(ctx, g, Structure)
		if err != nil {
			return rows
		}
		have := make(map[uint32]bool, len(rows))
		for _, s := range rows {
			have[s.UID] = true
		}
		merged := slices.Clone(rows)
		m.mu.RLock()
		for i := range t.Rows {
			s := &t.Rows[i]
			if _, at := m.state.find(s.UID); at >= 0 && m.state.segmentOf[at] == g && !have[s.UID] {
				merged = append(merged, s)
			}
		}
		m.mu.RUnlock()
		if len(merged) == len(rows) || !summary.Fits(merged) {
			return rows
		}
		slices.SortFunc(merged, func(a, b *summary.Summary) int { return cmp.Compare(a.UID, b.UID) })
		rows = merged
	}
}

// neighbour finds a segment before or behind rows that is to be merged with
// them.
func (m *Mailbox) neighbour(rows []*summary.Summary) *segmentFile {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := m.state
	_, first := s.find(rows[0].UID)
	_, last := s.find(rows[len(rows)-1].UID)
	for _, i := range []int{first - 1, last + 1} {
		if first < 0 || last < 0 || i < 0 || i >= len(s.msgs) {
			continue
		}
		g := s.segmentOf[i]
		if g != nil && g.live <= len(rows) && g.live+len(rows) <= mergedRows && !m.badSegments[g.name] {
			return g
		}
	}
	return nil
}
