package spool_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// counted returns what call asks of the server, without directory syncs,
// which only local disks need.
func counted(t *testing.T, s *spool.Spool, call func() error) (ops netfs.Counts, syncs int64) {
	t.Helper()
	before := s.Host.Ops.Read()
	if err := call(); err != nil {
		t.Fatal(err)
	}
	ops = s.Host.Ops.Read().Sub(before)
	syncs = ops[netfs.OpSync]
	ops[netfs.OpSync] = 0
	return ops, syncs
}

// The operations of a poll and of a change of flags are asserted by kind.
func TestOperationsByKind(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	s.Host.Profile.Grain = 5 * time.Millisecond
	calm(s.Host)
	b := inbox(t, s)
	for range 2000 {
		mustPut(t, b, "Subject: x\n\n")
	}
	m := open(t, b)
	rest := func() {
		t.Helper()
		for range 2 {
			if err := errors.Join(s.Host.Sleep(t.Context(), 2*s.Host.Profile.Grain), m.Refresh(t.Context())); err != nil {
				t.Fatal(err)
			}
		}
	}
	set := func(uids spool.UIDSet, kw string) func() error {
		return func() error {
			_, err := m.SetFlags(t.Context(), uids, spool.FlagChange{AddKeywords: []string{kw}})
			return err
		}
	}
	odd := make([]uint32, 1000)
	for i := range odd {
		odd[i] = uint32(2*i + 1)
	}
	rest()
	tests := []struct {
		name string
		call func() error
		want string
	}{
		{"unchanged poll", func() error { return m.Refresh(t.Context()) }, "getattr 3"},
		{"one message", set(spool.SetOf(7), "a"), "getattr 1 symlink 1"},
		{"2,000 messages", set(spool.UIDSet{{First: 1, Last: 2000}}, "b"), "getattr 1 symlink 1"},
		{"1,000 messages that make a long set", set(spool.SetOf(odd...), "c"), "open 1 write 1 close 1 getattr 1 symlink 1"},
	}
	for _, tt := range tests {
		ops, syncs := counted(t, s, tt.call)
		if ops.String() != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, ops, tt.want)
		}
		if poll := tt.name == "unchanged poll"; s.Host.Profile.DirSync && (syncs > 0) == poll {
			t.Errorf("%s: %d directory syncs", tt.name, syncs)
		}
		rest()
	}
}

// A process renames all files whose flags it changed, and of those that others
// left behind 200 at a time, by a rename each.
func TestProjectOperations(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	for range 450 {
		mustPut(t, b, "Subject: x\n\n")
	}
	left := open(t, b)
	if _, err := left.SetFlags(t.Context(), spool.UIDSet{{First: 1, Last: 250}}, spool.FlagChange{Add: spool.Seen}); err != nil {
		t.Fatal(err)
	}
	m := open(t, b)
	if _, err := m.SetFlags(t.Context(), spool.UIDSet{{First: 251, Last: 450}}, spool.FlagChange{Add: spool.Flagged}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{400, 50, 0} {
		if ops, _ := counted(t, s, func() error { return m.Project(t.Context()) }); ops[netfs.OpRename] != want || ops.Total() != want {
			t.Errorf("%s, want rename %d", ops, want)
		}
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	checkClean(t, b)
}

// A process that comes to rename files which the host that committed has renamed
// meanwhile asks for two of them, and leaves the rest; its own it renames.
func TestProjectBesideTheCommitter(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	for range 100 {
		mustPut(t, b, "Subject: x\n\n")
	}
	committer := open(t, b)
	if _, err := committer.SetFlags(t.Context(), spool.UIDSet{{First: 1, Last: 90}}, spool.FlagChange{Add: spool.Seen}); err != nil {
		t.Fatal(err)
	}
	m := open(t, b)
	if _, err := m.SetFlags(t.Context(), spool.UIDSet{{First: 91, Last: 100}}, spool.FlagChange{Add: spool.Flagged}); err != nil {
		t.Fatal(err)
	}
	project(t, committer)
	if ops, _ := counted(t, s, func() error { return m.Project(t.Context()) }); ops.String() != "rename 12" {
		t.Errorf("%s, want rename 12", ops)
	}
	checkClean(t, b)
}

func benchBox(b *testing.B, messages int) (*spool.Spool, *spool.Box) {
	b.Helper()
	s, _ := newSpool(b, spool.InitOptions{})
	box := inbox(b, s)
	text := "Subject: hello\nFrom: joe@example.org\n\n" + strings.Repeat("text\n", 400)
	for range messages {
		mustPut(b, box, text)
	}
	return s, box
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{2 << 10, 20 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dK", size>>10), func(b *testing.B) {
			s, box := benchBox(b, 0)
			text := strings.Repeat("0123456789abcde\n", size/16)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			before := s.Host.Ops.Read()
			for b.Loop() {
				mustPut(b, box, text)
			}
			b.ReportMetric(float64(s.Host.Ops.Read().Sub(before).Total())/float64(b.N), "serverops/op")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, n := range []int{1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, box := benchBox(b, n)
			open(b, box)
			b.ReportAllocs()
			for b.Loop() {
				if m := open(b, box); len(m.Messages()) != n {
					b.Fatalf("%d messages", len(m.Messages()))
				}
			}
		})
	}
}

func BenchmarkRefresh(b *testing.B) {
	_, box := benchBox(b, 1000)
	m := open(b, box)
	b.ReportAllocs()
	for b.Loop() {
		if err := m.Refresh(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFlag(b *testing.B) {
	for _, n := range []uint32{1, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			_, box := benchBox(b, int(n))
			m := open(b, box)
			set := spool.UIDSet{{First: 1, Last: n}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c := spool.FlagChange{Add: spool.Seen}
				if i%2 == 1 {
					c = spool.FlagChange{Remove: spool.Seen}
				}
				if _, err := m.SetFlags(b.Context(), set, c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
