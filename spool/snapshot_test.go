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

// A text that no writer writes is refused, and its head makes nobody take
// memory for what is not there.
func TestSnapshotRefuses(t *testing.T) {
	const good = "mailbox 7 9 5 2\nm 1 S 10001 -5 6 1 a%3A b\nm 3 - - 0 0 5\nt 2 4\nd 3\nnames\na\nb\nc\nd\n"
	if err := newState(":").load([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for old, odd := range map[string][]string{
		"mailbox 7":      {"mailbox 0", "mailbox 07", "mailbox x", "mailbox 4294967296", "mailbox 18446744073709551623", "m 1"},
		"7 9 5 2\n":      {"7 9 5\n", "7 9 5 2 1\n", "7 9 0 2\n", "7 9 4 2\n", "7 3 5 2\n", "7 9 5 1\n", "7 9 5 3\n", "7 4294967295 5 4294967294\n", "7 9 5 2\nmailbox 7 9 5 2\n"},
		"S 10001 -5 6 1": {"S 1 -5 6 1", "S 10000 -5 6 1", "S 010001 -5 6 1", "S 1000G -5 6 1", "X 10001 -5 6 1", "S - -0 6 1", "S - -9223372036854775809 6 1", "S - -5 -6 1", "S - -5 6 0", "S - -5 6 6"},
		"a%3A b":         {"a%3a b", "a:", " b", "b "},
		"m 3 -":          {"m 1 -", "m 9 -", "m 2 -", "f 3 -"},
		"t 2 4":          {"t 3 4", "t 9 4", "t 2 6", "t 2 0", "t 2 4\nt 2 4", "x 4 4294967295", "x 4 2-2"},
		"d 3":            {"d 0", "d 6", "e 3"},
		"a\nb\nc\nd\n":   {"a\nb\nc\n", "a\nb\nc\nd", "a\nb\nc\nd\ne\n", "a\na\nc\nd\n", "a\nb\na\nd\n", "a\nb\nc\nc\n", "a\n.b\nc\nd\n", "a\nb/\nc\nd\n", "a\nb%2F\nc\nd\n"},
		"names\na":       {"names a", "a"},
	} {
		for _, o := range odd {
			bad := strings.Replace(good, old, o, 1)
			if err := newState(":").load([]byte(bad)); bad == good || !errors.Is(err, commitlog.ErrCorrupt) {
				t.Errorf("%v for\n%s", err, bad)
			}
		}
	}
	for _, part := range []string{"mailbox 8 9 6 0\nnames\n", "mailbox 7 8 6 0\nnames\n", "mailbox 7 9 4 0\nnames\n", "mailbox 7 9 6 1\nm 2 - - 0 0 6\nnames\ne\n", "mailbox 7 9 6 0\nt 2 6\nnames\ne\n"} {
		s := newState(":")
		if err := errors.Join(s.load([]byte(good)), s.load([]byte(part))); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("%v for the part\n%s", err, part)
		}
	}
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
