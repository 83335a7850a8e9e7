package spool

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

func TestWords(t *testing.T) {
	for op, want := range map[string]string{
		"genesis:7":                      "mailbox made, UIDVALIDITY 7",
		"assign:3:FS:1700000000:9:a%3Ab": "UID 3 is a:b, 9 bytes of 2023-11-14T22:13:20Z, flagged and seen",
		"flags:1-5,9:+S-FT":              "set seen, cleared flagged and deleted on 1-5,9",
		"keyword:2:-work":                "removed keyword work on 2",
		"expunge:4":                      "expunged 4",
		"drop:a":                         "the held file a will not become a message",
		"rotate@2:x":                     "rotate@2:x",
	} {
		if got := Words(op); got != want {
			t.Errorf("%s: %q, want %q", op, got, want)
		}
	}
}

func TestParseOpRefuses(t *testing.T) {
	for _, op := range []string{
		"", "genesis", "genesis:0", "genesis:07", "genesis:4294967296", "assign:1:-:0:0", "assign:1:SF:0:0:a", "assign:1:X:0:0:a",
		"assign:1:-:0:-1:a", "assign:1:-:0:0:", "assign:1:-:0:0:.a", "assign:1:-:0:0:a%2Fb", "assign:1:-:0:0:a%00b", "assign:1:-:x:0:a",
		"flags:5-1:+S", "flags:1,2:+S", "flags:1-*:+S", "flags::+S", "flags:1:S", "flags:1:+", "flags:1:+S-S", "flags:1:+X",
		"keyword:1:work", "keyword:1:+", "keyword:0:+a", "expunge:", "expunge:1:2", "drop:", "drop:.a", "drop:a%2Fb", "nonsense:1", "rotate@x:1",
	} {
		if _, err := parseOp(op); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("%q: %v, want ErrCorrupt", op, err)
		}
	}
	var optional *optionalError
	if _, err := parseOp("rotate@2:x"); !errors.Is(err, commitlog.ErrNewer) || errors.As(err, &optional) {
		t.Errorf("an operation of level 2: %v", err)
	}
	if _, err := parseOp("hint@3?:x"); !errors.Is(err, commitlog.ErrNewer) || !errors.As(err, &optional) {
		t.Errorf("an optional operation: %v", err)
	}
}

// An optional operation that is not known lets reading go on and stops writing.
func TestOptionalOperation(t *testing.T) {
	s := newState(":")
	if err := s.apply(&commitlog.Record{Seq: 1, Ops: []string{"genesis:1", "hint@3?:x", "assign:1:-:0:0:a"}}); err != nil {
		t.Fatal(err)
	}
	if len(s.msgs) != 1 || !errors.Is(s.newer, commitlog.ErrNewer) {
		t.Errorf("%d messages, newer %v", len(s.msgs), s.newer)
	}
	if err := s.apply(&commitlog.Record{Seq: 2, Ops: []string{"assign:2:-:0:0:b", "rotate@2:x"}}); !errors.Is(err, commitlog.ErrNewer) {
		t.Errorf("an operation that must be known: %v", err)
	}
	if len(s.msgs) != 1 {
		t.Error("a record was applied in part")
	}
}

// Of two counts of one mailbox the one that read further is right, whichever
// comes last.
func TestUsageOfAnOlderRecord(t *testing.T) {
	s := newUserState()
	ops := []string{"usage:A:1:5:1:10", "usage:A:1:4:2:20", "usage:A:1:5:3:30"}
	if err := s.apply(ops); err != nil || s.counted["A"] != (counted{1, 5, 1, 10}) {
		t.Errorf("%+v, %v", s.counted["A"], err)
	}
	if err := s.apply([]string{"usage:A:2:1:4:40"}); err != nil || s.counted["A"] != (counted{2, 1, 4, 40}) {
		t.Errorf("of another mailbox: %+v, %v", s.counted["A"], err)
	}
}

func TestStateRefuses(t *testing.T) {
	for _, ops := range [][]string{
		{"genesis:2"}, {"assign:1:-:0:0:b"}, {"assign:2:-:0:0:a"}, {"assign:2:-:0:0:gone"}, {"assign:4:-:0:0:c", "assign:4:-:0:0:d"},
		{"assign:4:-:0:0:c", "assign:5:-:0:0:c"}, {"assign:4294967295:-:0:0:z"}, {"assign:4:-:0:0:dropped"}, {"drop:c", "assign:4:-:0:0:c"},
	} {
		s := newState(":")
		if err := s.apply(&commitlog.Record{Seq: 1, Ops: []string{"genesis:1", "assign:1:-:0:0:a", "assign:3:-:0:0:gone", "expunge:3", "drop:dropped", "drop:a"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.apply(&commitlog.Record{Seq: 2, Ops: ops}); !errors.Is(err, commitlog.ErrCorrupt) {
			t.Errorf("%q: %v, want ErrCorrupt", ops, err)
		}
	}
	if err := newState(":").apply(&commitlog.Record{Seq: 1, Ops: []string{"assign:1:-:0:0:a"}}); !errors.Is(err, commitlog.ErrCorrupt) {
		t.Errorf("a log without genesis: %v", err)
	}
}

func FuzzParseOp(f *testing.F) {
	f.Add("assign:3:FS:1700000000:9:a%3Ab")
	f.Add("flags:1-5,9:+S-FT")
	f.Add("keyword:2:-work")
	f.Add("drop:a%3Ab")
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOp(s)
		if err != nil {
			return
		}
		if again := o.String(); again != s {
			t.Errorf("%q is written again as %q", s, again)
		}
	})
}

func FuzzUIDSet(f *testing.F) {
	f.Add("1,4-7,10-*", uint32(5))
	f.Add("4294967295,1:4294967294", uint32(1))
	f.Fuzz(func(t *testing.T, s string, uid uint32) {
		set, err := ParseUIDSet(s)
		if err != nil {
			return
		}
		again, err := ParseUIDSet(set.String())
		if err != nil || !slices.Equal(set, again) {
			t.Fatalf("%q is %v and comes back as %v, %v", s, set, again, err)
		}
		in := slices.ContainsFunc(set, func(r UIDRange) bool { return r.First <= uid && uid <= r.Last })
		if set.Contains(uid) != in {
			t.Errorf("%v contains %d: %v", set, uid, !in)
		}
	})
}

func TestNames(t *testing.T) {
	for file, want := range map[string][2]string{
		"1.a.h,S=3:2,FS": {"1.a.h,S=3", "FS"}, "1.a.h;2,": {"1.a.h", ""}, "plain": {"plain", ""}, "a!2,S": {"a", "S"},
		"a:2,Sab": {"a", "Sab"}, "a:2,:2,S": {"a:2,", "S"}, "a:2,;2,S": {"a:2,", "S"}, "a;2,:2,!2,F": {"a;2,:2,", "F"},
	} {
		base, letters, ok := splitName(file)
		if !ok || base != want[0] || letters != want[1] {
			t.Errorf("%s: %q %q %v", file, base, letters, ok)
		}
	}
	for _, file := range []string{"", ".x", ".nfs0001"} {
		if _, _, ok := splitName(file); ok {
			t.Errorf("%q was taken for a message", file)
		}
	}
	if when, ok := timeInName("1700000000.x"); !ok || !when.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("time %v", when)
	}
}

func TestCleanUser(t *testing.T) {
	for in, want := range map[string]string{"alice": "alice", "Alice": "alice", "a.b+c@example.org": "a.b+c@example.org", "9": "9"} {
		if got, err := CleanUser(in); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
	for _, in := range []string{
		"", ".", "..", "a/b", "../a", "/a", "a\x00", "a\nb", "a b", ".a", "-a", "a..b", "a.", "ä", "a:b", "con", "NUL.txt", "com1",
		strings.Repeat("a", 65), "a\x1b[0m", "a\\b",
	} {
		if got, err := CleanUser(in); !errors.Is(err, ErrBadName) {
			t.Errorf("%q was taken as %q, %v", in, got, err)
		}
	}
}

func TestParseFlagChange(t *testing.T) {
	c, err := ParseFlagChange("+seen,-Flagged,+kw:work,-kw:$Junk")
	if err != nil || c.Add != Seen || c.Remove != Flagged || !slices.Equal(c.AddKeywords, []string{"work"}) || !slices.Equal(c.RemoveKeywords, []string{"$Junk"}) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", "seen", "+", "+nope", "+seen,-seen", "+kw:", "+kw:a b", "+kw:a,-kw:a", "+seen,,", "+kw:ä", "+kw:a\x00"} {
		if c, err := ParseFlagChange(bad); err == nil {
			t.Errorf("%q was taken as %+v", bad, c)
		}
	}
}

// The log set R, showed it in the name and cleared it; another program then
// changed F in the name, which was behind. R must stay cleared.
func TestMergeWithStaleName(t *testing.T) {
	const f, p, r, s = Flagged, Passed, Answered, Seen
	m := Message{Flags: f | p | s}
	for _, was := range []Flags{f, f | r, f | p | r | s, f | p | s} {
		m.past = m.past.with(was)
	}
	n := m.merge(p | r | s)
	if n.Flags != p|s {
		t.Errorf("flags %v, want %v", n.Flags.Words(), (p | s).Words())
	}
	if n.foreign(p|r|s) || n.foreign(p|s) || !n.foreign(f) {
		t.Errorf("known states %b", n.past)
	}
}

func TestWritable(t *testing.T) {
	for _, c := range []FlagChange{
		{AddKeywords: []string{""}}, {Add: Seen, Remove: Seen}, {Add: 1 << 7},
	} {
		if err := writable(flagOps(SetOf(1), c)); !errors.Is(err, ErrBadName) {
			t.Errorf("%+v would be written: %v", c, err)
		}
	}
	if err := writable(flagOps(SetOf(1, 2), FlagChange{Add: Seen, RemoveKeywords: []string{"a b"}})); err != nil {
		t.Error(err)
	}
}

func TestResolve(t *testing.T) {
	for text, want := range map[string]string{"*": "7", "3,*": "3,7", "12-*": "12-*", "7,*": "7", "1-*": "1-*"} {
		set, err := ParseUIDSet(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := set.Resolve(7).String(); got != want {
			t.Errorf("%s resolves to %s, want %s", text, got, want)
		}
		if set.String() != text {
			t.Errorf("%s is written as %s", text, set)
		}
	}
}
