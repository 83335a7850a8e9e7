package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// Loss says how much of a log could not be read.
type Loss int

// The losses, from none to the worst.
const (
	// LostNothing: the state has every record.
	LostNothing Loss = iota
	// LostTail: the last slots cannot be read. If the file system left them
	// empty at a power failure, nobody was told that they were committed.
	LostTail
	// LostSome: records are missing from the middle, or a base is, and what
	// could be read of the others was taken for what it is worth.
	LostSome
)

// String names the loss in words.
func (l Loss) String() string {
	return [...]string{"nothing is lost", "the last record is lost", "a part of the log is lost"}[l]
}

// salvage reads a log that Verify found damaged, as far as it can be read.
type salvage struct {
	*Log
	gens []*generation
	lost Loss
	open []fence // ends of the newest generation where a view could write
	top  uint64  // the highest slot of the newest generation
}

// fence is where a void record must go, and what it follows.
type fence struct {
	seq  uint64
	prev string
}

func (s *salvage) lose(l Loss) { s.lost = max(s.lost, l) }

// read gives the machine the state that can be had, and finds the newest
// generation's open ends.
func (s *salvage) read(ctx context.Context) error {
	names, err := s.FS.ReadDir(ctx, s.Dir)
	if err != nil {
		return err
	}
	if s.gens = parseGenerations(names); len(s.gens) == 0 {
		return &fs.PathError{Op: "read", Path: path.Join(s.Dir, firstDir), Err: fs.ErrNotExist}
	}
	s.lost = LostNothing
	from, err := s.begin(ctx)
	if err != nil {
		return err
	}
	for i := from; i < len(s.gens); i++ {
		if i > from {
			if s.at.seq != s.gens[i].first || s.at.hash != s.gens[i].base {
				s.lose(LostSome)
			}
			s.enter(s.gens[i])
		}
		if err := s.replay(ctx, s.gens[i]); err != nil {
			return err
		}
	}
	return nil
}

// begin starts from the newest base that is whole with its parts.
func (s *salvage) begin(ctx context.Context) (int, error) {
	newest := len(s.gens) - 1
	for i := newest; i >= 0; i-- {
		err := s.start(ctx, s.gens[i])
		if err == nil {
			return i, nil
		}
		if !damaged(err) || errors.Is(err, ErrNewer) {
			return 0, err
		}
		if i > 0 {
			if _, ended, err := s.ending(ctx, s.gens[i-1]); err != nil && !damaged(err) {
				return 0, err
			} else if ended {
				break // what repair put into the base stands nowhere else
			}
		}
	}
	s.lose(LostSome)
	g := s.gens[newest]
	g.tokens, g.since, g.next = map[string]uint64{}, g.first+1, g.first+1
	s.enter(g)
	return newest, s.loadSome(ctx, g)
}

// enter goes to the beginning of a generation without reading its base.
func (s *salvage) enter(g *generation) {
	if s.gen != nil && s.gen != g {
		g.tokens, g.since, g.next = s.gen.tokens, s.gen.first+1, s.gen.first+1
	}
	s.gen = g
	s.at = position{seq: g.first, hash: g.base}
	if g.first == 0 {
		s.at.hash = noPrev
	}
}

// loadSome loads the parts of a damaged base up to the first that is damaged:
// together they are an older state.
func (s *salvage) loadSome(ctx context.Context, g *generation) error {
	if s.Load == nil {
		return nil
	}
	if err := s.Load(nil); err != nil {
		return err
	}
	b, err := s.readBase(ctx, g)
	for i := 0; err == nil && i < len(b.parts); i++ {
		var text []byte
		if text, err = s.readPart(ctx, b.parts[i]); err == nil {
			err = s.Load(text)
		}
	}
	if err != nil && !damaged(err) {
		return err
	}
	return nil
}

// slots is what a generation's slots hold.
type slots struct {
	own     map[uint64]*Record   // the record that a slot was put for
	all     map[uint64][]*Record // all records of that number, from tails too
	present map[uint64]bool      // something stands there, readable or not
}

// gatherSlots reads all slots of a generation, listed or not.
func (s *salvage) gatherSlots(ctx context.Context, g *generation) (slots, error) {
	out := slots{map[uint64]*Record{}, map[uint64][]*Record{}, map[uint64]bool{}}
	names, err := s.FS.ReadDir(ctx, s.genDir(g))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, err
	}
	todo := []uint64{g.first + 1}
	for _, n := range names {
		if seq, ok := parseSeq(n); ok && seq > g.first {
			todo = append(todo, seq)
		}
	}
	for done := map[uint64]bool{}; len(todo) > 0; {
		seq := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if done[seq] {
			continue
		}
		done[seq] = true
		there, err := s.take(ctx, g, seq, out)
		if err != nil {
			return out, err
		}
		if there {
			todo = append(todo, seq+1)
		}
	}
	return out, nil
}

// take reads one slot and reports whether anything is there.
func (s *salvage) take(ctx context.Context, g *generation, seq uint64, out slots) (bool, error) {
	text, err := s.Way.Get(ctx, s.FS, s.slotIn(g, seq))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil && !unreadable(err) {
		return false, err
	}
	out.present[seq] = true
	for i, line := range strings.Split(text, separator) {
		r, err := parseRecord(line)
		if errors.Is(err, ErrNewer) {
			return true, fmt.Errorf("slot %s: %w", s.slotIn(g, seq), err)
		}
		if err != nil || r.Seq != seq-uint64(i) {
			break
		}
		if i == 0 {
			out.own[seq] = r
		}
		known := func(q *Record) bool { return q.line == r.line }
		if r.Seq > g.first && !r.voids() && !slices.ContainsFunc(out.all[r.Seq], known) {
			out.all[r.Seq] = append(out.all[r.Seq], r)
		}
	}
	return true, nil
}

// unreadable tells whether err speaks of what stands in a record's place, so
// that reading again will not help.
func unreadable(err error) bool { return damaged(err) || errors.Is(err, netfs.ErrIrregular) }

// replay applies the records of a generation.
func (s *salvage) replay(ctx context.Context, g *generation) error {
	in, err := s.gatherSlots(ctx, g)
	if err != nil {
		return err
	}
	hole := false
	numbers := slices.Sorted(maps.Keys(in.present))
	for seq := range in.all {
		if !in.present[seq] {
			numbers = append(numbers, seq)
		}
	}
	slices.Sort(numbers)
	for _, seq := range numbers {
		recs := in.all[seq]
		if len(recs) == 0 {
			hole = hole || in.own[seq] == nil
			continue
		}
		slices.SortStableFunc(recs, func(a, b *Record) int {
			return follows(b, s.at.hash) - follows(a, s.at.hash)
		})
		if hole || seq != s.at.seq+1 || len(recs) > 1 || recs[0].Prev != s.at.hash {
			s.lose(LostSome)
		}
		if err := s.applyAll(ctx, recs); err != nil {
			return err
		}
	}
	if hole {
		s.lose(LostTail)
	}
	s.ends(g, in)
	return nil
}

func follows(r *Record, hash string) int {
	if r.Prev == hash {
		return 1
	}
	return 0
}

// applyAll applies the records of one number; where a log forked, there are
// several.
func (s *salvage) applyAll(ctx context.Context, recs []*Record) error {
	for _, r := range recs {
		rot, rotates, err := rotationOf(r)
		if err != nil {
			s.lose(LostSome)
		}
		full, err := s.expand(ctx, r)
		switch {
		case err != nil && !unreadable(err):
			return err
		case err != nil:
			s.lose(LostSome)
		case !rotates:
			if err := s.Apply(full); errors.Is(err, ErrNewer) {
				return err
			} else if err != nil {
				s.lose(LostSome)
			}
		}
		s.gen.tokens[r.Token] = r.Seq
		if r == recs[0] {
			s.at = position{seq: r.Seq, hash: r.hash(), line: r.line, token: r.Token}
			if rotates {
				s.at = position{seq: r.Seq, hash: rot.base}
			}
		}
	}
	return nil
}

// ends notes where a view of this generation could put a record: behind each
// slot that can be read and has none after it. A view whose own slot cannot
// be read finds no witness.
func (s *salvage) ends(g *generation, in slots) {
	s.open, s.top = nil, g.first
	for seq := range in.present {
		s.top = max(s.top, seq)
	}
	if !in.present[g.first+1] {
		prev := g.base
		if g.first == 0 {
			prev = noPrev
		}
		s.open = append(s.open, fence{g.first + 1, prev})
	}
	for _, seq := range slices.Sorted(maps.Keys(in.own)) {
		if r := in.own[seq]; !in.present[seq+1] && !r.ends() {
			s.open = append(s.open, fence{seq + 1, r.hash()})
		}
	}
}
