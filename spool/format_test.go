package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// oddName is a base name with anything in it that a name may have.
func oddName(r *rand.Rand) string {
	name := fmt.Sprint("x", r.Uint64())
	for range r.IntN(4) {
		name += []string{" ", ":2,", ";2,S", "!2,", "%", "|", "é", "\n", "\x1b", ",S=1,W=2,M", ",O=aaaaaaaaaaaaaaaaaaaaaaaaaa"}[r.IntN(11)]
	}
	return name
}

// randomSet is a set of up to 20 UIDs.
func randomSet(r *rand.Rand) UIDSet {
	uids := make([]uint32, 1+r.IntN(20))
	for i := range uids {
		uids[i] = 1 + r.Uint32N([]uint32{30, maxUID - 1}[r.IntN(2)])
	}
	return SetOf(uids...)
}

func TestOpRoundTrip(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := &Message{
			UID: 1 + r.Uint32(), Flags: Flags(r.IntN(64)), Size: r.Int64(), Name: oddName(r),
			Date: time.Unix([]int64{r.Int64(), -r.Int64(), int64(r.Uint32())}[r.IntN(3)], 0),
		}
		for _, op := range slices.Concat([]string{
			genesisOp(m.UID), assignOp(m), expungeOp(randomSet(r)), importOp(m.UID, m.Flags), goneOp(m.Name), dropOp(m.Name), deletedOp(strings.Repeat("a2", 13)),
		}, flagOps(randomSet(r), FlagChange{
			Add: m.Flags, Remove: Flags(63) &^ m.Flags, AddKeywords: []string{oddName(r)}, RemoveKeywords: []string{oddName(r)},
		})) {
			got, err := parseOp(op)
			if err != nil || got.String() != op {
				t.Errorf("seed %d: %q is read as %q, %v", seed, op, got, err)
			}
			if got.word == opAssign && (got.name != m.Name || !got.date.Equal(m.Date) || got.size != m.Size || got.change.Add != m.Flags) {
				t.Errorf("seed %d: %q is read as %+v", seed, op, got)
			}
		}
	}
}

func TestUIDSetRoundTrip(t *testing.T) {
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		set := randomSet(r)
		got, err := parseStoredSet(set.String())
		if err != nil || !slices.Equal(got, set) {
			t.Errorf("seed %d: %s is read as %v, %v", seed, set, got, err)
		}
	}
}

func TestLetters(t *testing.T) {
	for f := range Flags(64) {
		if got, rest := flagsOf(f.Letters() + "x"); got != f || rest != "x" {
			t.Errorf("%s is read as %s and %q", f.Letters(), got.Letters(), rest)
		}
	}
}

// FuzzRecords applies records, a line each: what they lead to can be written
// down and read.
func FuzzRecords(f *testing.F) {
	f.Add("genesis:1 assign:1:FS:5:9:a%3Ab assign:2:-:-6:0:b\nflags:1-2:+T keyword:2:+w\nexpunge:1\ngone:a%3Ab\ndrop:c")
	f.Add("genesis:1\ndeleted@2:aaaaaaaaaaaaaaaaaaaaaaaaaa")
	f.Add(fmt.Sprintf("genesis:1 assign:1:-:%d:%d:a", math.MinInt64, math.MaxInt64))
	f.Fuzz(func(t *testing.T, text string) {
		s := newState(":")
		for line := range strings.SplitSeq(text, "\n") {
			if err := s.apply(&commitlog.Record{Seq: s.modSeq + 1, Ops: strings.Split(line, " ")}); err != nil {
				break
			}
		}
		if s.modSeq == 0 || s.newer != nil {
			return
		}
		want := s.snapshot(0)
		again := newState(":")
		if err := again.load(want); err != nil {
			t.Fatalf("%v in what was written:\n%s", err, want)
		}
		if got := again.snapshot(0); !bytes.Equal(got, want) {
			t.Errorf("written\n%s and read\n%s", want, got)
		}
	})
}

// FuzzSnapshotPart loads a text on top of another: what they add up to can be
// written as a text on top of the first.
func FuzzSnapshotPart(f *testing.F) {
	s := newState(":")
	r := rand.New(rand.NewPCG(1, 1))
	for seq := range uint64(20) {
		if err := s.apply(&commitlog.Record{Seq: seq + 1, Ops: randomOps(r, s)}); err != nil {
			f.Fatal(err)
		}
	}
	base := s.snapshot(0)
	for seq := range uint64(20) {
		if err := s.apply(&commitlog.Record{Seq: 21 + seq, Ops: randomOps(r, s)}); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(base, s.snapshot(20))
	head := "mailbox 1 9 3 1\nm 1 - - 0 0 1\nnames\na\n"
	f.Add([]byte(head), []byte("mailbox 1 9 4 0\nx 4 4294967295\nnames\n"))
	f.Add([]byte(head), []byte("mailbox 1 9 4 0\nf 1 S 3 4\nf 1 - - 4\nnames\n"))
	f.Fuzz(func(t *testing.T, base, part []byte) {
		s := newState(":")
		if s.load(base) != nil {
			return
		}
		since := s.modSeq
		if s.load(part) != nil {
			return
		}
		want := s.snapshot(0)
		again := newState(":")
		if err := again.load(base); err != nil {
			t.Fatal(err)
		}
		mine := s.snapshot(since)
		if err := again.load(mine); err != nil {
			t.Fatalf("%v in what was written:\n%s", err, mine)
		}
		if got := again.snapshot(0); !bytes.Equal(got, want) {
			t.Errorf("on top of\n%swas written\n%s, which gives\n%s, want\n%s", base, mine, got, want)
		}
	})
}

func FuzzMarker(f *testing.F) {
	m := Marker{Level: 2, Share: strings.Repeat("a", 26), Slots: "link", RecordMax: 1000, Separator: ";"}
	text, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.Replace(text, []byte("aa"), []byte("A "), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, way, err := parseMarker(text)
		if err != nil {
			if !errors.Is(err, commitlog.ErrCorrupt) && !errors.Is(err, commitlog.ErrNewer) {
				t.Errorf("error without a kind: %v", err)
			}
			return
		}
		if !netfs.IsToken(m.Share) {
			t.Errorf("share %q", m.Share)
		}
		once, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, w, err := parseMarker(once); err != nil || again != m || w != way {
			t.Errorf("%+v is written as\n%s and read as %+v, %v", m, once, again, err)
		}
	})
}

// FuzzUserRecords applies records of a user's log: the state they lead to can be
// written down and read.
func FuzzUserRecords(f *testing.F) {
	f.Add("uidvalidity:5 subscribe:a/b use:sent:Sent\nseen:3:+1-4,9 lastread:3:4 value:x.y:z\nunuse:sent forget:3")
	f.Add("usage:INBOX:5:9:2:77 take:A:1.x.h,S=10,W=12\nusage:INBOX:5:8:0:0 usage:A:6:1:0:0 untake:A:1.x.h,S=10,W=12\nunusage:INBOX")
	f.Fuzz(func(t *testing.T, text string) {
		s := newUserState()
		for line := range strings.SplitSeq(text, "\n") {
			if err := s.apply(strings.Split(line, " ")); err != nil {
				break
			}
		}
		want, again := s.ops(), newUserState()
		if err := again.apply(want); err != nil {
			t.Fatalf("%v in what was written: %q", err, want)
		}
		if got := again.ops(); !slices.Equal(got, want) {
			t.Errorf("written %q, and read %q", want, got)
		}
	})
}
