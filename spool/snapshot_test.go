package spool

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// randomOps makes a record that fits the state.
func randomOps(r *rand.Rand, s *state) []string {
	some := func() UIDSet {
		var uids []uint32
		for _, m := range s.msgs {
			if r.IntN(4) == 0 {
				uids = append(uids, m.UID)
			}
		}
		if len(uids) == 0 {
			uids = append(uids, 1+r.Uint32N(20))
		}
		return SetOf(uids...)
	}
	switch k := r.IntN(13); {
	case s.modSeq == 0:
		return []string{genesisOp(1 + r.Uint32N(1<<30))}
	case k < 5:
		var ops []string
		for i := range 1 + r.IntN(3) {
			ops = append(ops, assignOp(&Message{
				UID: s.uidNext + uint32(i), Flags: Flags(r.IntN(64)), Size: r.Int64N(1 << 40), Date: time.Unix(r.Int64N(1<<33)-1<<31, 0),
				Name: fmt.Sprintf("%d.%x%s", s.modSeq, r.Uint64(), []string{"", " a:b", "%é"}[r.IntN(3)]),
			}))
		}
		return ops
	case k < 7:
		return flagOps(some(), FlagChange{Add: Flags(r.IntN(8)), Remove: Flags(8 + r.IntN(56)&^7)})
	case k < 8:
		return flagOps(some(), FlagChange{AddKeywords: []string{[]string{"a", "b%", "$x"}[r.IntN(3)]}})
	case k < 9 && len(s.msgs) > 0:
		return []string{importOp(s.msgs[r.IntN(len(s.msgs))].UID, Flags(r.IntN(64)))}
	case k < 10 && len(s.tombs) > 0:
		return []string{goneOp(slices.Sorted(maps.Keys(s.tombs))[r.IntN(len(s.tombs))])}
	case k < 11:
		return []string{dropOp(fmt.Sprint("held.", r.Uint64()))}
	}
	return []string{expungeOp(some())}
}

// Whatever parts a state is written in, and however they are merged, they add
// up to the state that the records lead to.
func TestSnapshotParts(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		s, seq := newState(":"), uint64(0)
		type part struct {
			from, to uint64
			text     []byte
		}
		var parts []part
		for range 60 {
			seq++
			if r.IntN(6) == 0 {
				seq++ // a rotation, which the state is not told of
			}
			if s.modSeq == 0 {
				seq = 1
			}
			if err := s.apply(&commitlog.Record{Seq: seq, Ops: randomOps(r, s)}); err != nil {
				t.Fatal(err)
			}
			if r.IntN(5) > 0 {
				continue
			}
			n := len(parts) - r.IntN(len(parts)+1)
			from := uint64(0)
			if n > 0 {
				from = parts[n-1].to
			}
			parts = append(parts[:n:n], part{from, seq, s.snapshot(from)})
			loaded := newState(":")
			for _, p := range parts {
				if err := loaded.load(p.text); err != nil {
					t.Fatalf("seed %d: %v in\n%s", seed, err, p.text)
				}
			}
			if got, want := string(loaded.snapshot(0)), string(s.snapshot(0)); got != want {
				t.Fatalf("seed %d: %d parts add up to\n%s, want\n%s", seed, len(parts), got, want)
			}
			for _, m := range s.msgs {
				if loaded.named(m.Name) == nil {
					t.Fatalf("seed %d: %q is not found by its name", seed, m.Name)
				}
			}
			if r.IntN(2) == 0 {
				s = loaded // as another process that begins here
			}
		}
	}
}

func FuzzSnapshot(f *testing.F) {
	s := newState(":")
	r := rand.New(rand.NewPCG(1, 1))
	for seq := range uint64(40) {
		if err := s.apply(&commitlog.Record{Seq: seq + 1, Ops: randomOps(r, s)}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(s.snapshot(0))
	f.Add(s.snapshot(20))
	f.Add([]byte("mailbox 1 2 3 4294967295\nm 1 - - 0 0 1\nnames\na\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := newState(":")
		if err := s.load(text); err != nil {
			if !errors.Is(err, commitlog.ErrCorrupt) && !errors.Is(err, commitlog.ErrNewer) {
				t.Errorf("error without a kind: %v", err)
			}
			return
		}
		again := newState(":")
		once := s.snapshot(0)
		if err := again.load(once); err != nil {
			t.Fatalf("%v in what was written:\n%s", err, once)
		}
		if twice := again.snapshot(0); string(twice) != string(once) {
			t.Errorf("written\n%s and read\n%s", once, twice)
		}
	})
}

// An index finds exactly the names that are there.
func TestNameIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var x nameIndex
	names := map[uint32]string{}
	nameOf := func(uid uint32) string { return names[uid] }
	for uid := uint32(1); uid < 3000; uid++ {
		names[uid] = fmt.Sprint("name", uid)
		x.add(names[uid], uid, nameOf)
		if gone := 1 + r.Uint32N(uid); names[gone] != "" && r.IntN(2) == 0 {
			x.remove(names[gone], gone)
			delete(names, gone)
		}
	}
	for uid := uint32(1); uid < 3000; uid++ {
		got, ok := x.find(fmt.Sprint("name", uid), nameOf)
		if _, want := names[uid]; ok != want || ok && got != uid {
			t.Fatalf("name%d: %d, %v; want there: %v", uid, got, ok, want)
		}
	}
	if _, ok := x.find(strings.Repeat("x", 10), nameOf); ok {
		t.Error("found what is not there")
	}
}
