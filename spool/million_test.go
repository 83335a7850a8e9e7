package spool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// manyMessages is how large the mailbox of the benchmarks is:
// BOBBIN_BENCH_MESSAGES, or 10,000.
func manyMessages(b testing.TB) int {
	n := 10_000
	if v := os.Getenv("BOBBIN_BENCH_MESSAGES"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			b.Fatal(err)
		}
	}
	return n
}

// fillInbox puts n small messages into alice's cur, as files of Bobbin's form,
// and lets a process give them UIDs and write the state down. The directory
// that BOBBIN_BENCH_DIR names is kept and used again: a million files take
// minutes.
func fillInbox(b testing.TB, n int) (dir string) {
	b.Helper()
	dir = b.TempDir()
	if kept := os.Getenv("BOBBIN_BENCH_DIR"); kept != "" {
		dir = filepath.Join(kept, strconv.Itoa(n))
		if _, err := os.Stat(filepath.Join(dir, "bobbin.toml")); err == nil {
			return dir
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			b.Fatal(err)
		}
	}
	h, err := netfs.OpenHost(dir)
	if err != nil {
		b.Fatal(err)
	}
	makeAlice(b, h, "")
	for i := range n {
		token, err := h.Token()
		if err != nil {
			b.Fatal(err)
		}
		name := fmt.Sprintf("%d.%s.bench,S=2,W=3:2,S", 1_700_000_000+i, token)
		if err := os.WriteFile(filepath.Join(dir, "users/alice/cur", name), []byte("\n\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	m, _ := openAlice(b, dir)
	for i := range 40 {
		flagOne(b, m, uint32(i+1))
	}
	m.Close(b.Context())
	return dir
}

// openAlice opens the mailbox as a new process does.
func openAlice(b testing.TB, dir string) (*spool.Mailbox, *netfs.Host) {
	b.Helper()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		b.Fatal(err)
	}
	s, err := spool.Open(b.Context(), h)
	if err != nil {
		b.Fatal(err)
	}
	box, err := s.Box(b.Context(), "alice", spool.Inbox)
	if err != nil {
		b.Fatal(err)
	}
	m, err := box.Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return m, h
}

func flagOne(b testing.TB, m *spool.Mailbox, uid uint32) {
	b.Helper()
	if _, err := m.SetFlags(b.Context(), spool.SetOf(uid), spool.FlagChange{AddKeywords: []string{"k"}}); err != nil {
		b.Fatal(err)
	}
	if _, err := m.SetFlags(b.Context(), spool.SetOf(uid), spool.FlagChange{RemoveKeywords: []string{"k"}}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkLarge opens and changes a large mailbox: BOBBIN_BENCH_MESSAGES.
func BenchmarkLarge(b *testing.B) {
	n := manyMessages(b)
	dir := fillInbox(b, n)
	b.Run("open", func(b *testing.B) {
		var ops int64
		for b.Loop() {
			m, h := openAlice(b, dir)
			if got := len(m.Messages()); got != n {
				b.Fatalf("%d messages, want %d", got, n)
			}
			ops = h.Ops.Read().Total()
		}
		b.ReportMetric(float64(ops), "server-ops/op")
	})
	b.Run("memory", func(b *testing.B) {
		before := heap()
		m, _ := openAlice(b, dir)
		used := heap() - before
		for b.Loop() {
			runtime.KeepAlive(m)
		}
		b.ReportMetric(float64(used)/1e6, "MB-held")
		b.ReportMetric(float64(used)/float64(n), "B/message")
	})
	b.Run("commit", func(b *testing.B) {
		m, h := openAlice(b, dir)
		before, known := h.Ops.Read(), baseBytes(b, dir)
		inodes, size := logSize(b, dir)
		i, start := 0, time.Now()
		for b.Loop() {
			flagOne(b, m, uint32(i%n+1))
			i++
		}
		commits := float64(2 * i)
		ops := float64(h.Ops.Read().Sub(before).Total()) / commits
		b.ReportMetric(float64(time.Since(start).Microseconds())/commits, "us/commit")
		b.ReportMetric(float64(baseBytes(b, dir)-known)/commits, "base-bytes/commit")
		b.ReportMetric(ops, "server-ops/commit")
		nowInodes, nowSize := logSize(b, dir)
		b.ReportMetric(1000*float64(nowInodes-inodes)/commits, "inodes/1000-commits")
		b.ReportMetric(1000*float64(nowSize-size)/commits/1e6, "MB/1000-commits")
		b.ReportMetric(ops-operationsOf(h), "compaction-ops/commit")
	})
}

// operationsOf is what a commit costs without generations: a symlink, a stat
// of the one before, and on local disks a sync of the directory.
func operationsOf(h *netfs.Host) float64 {
	if h.Profile.DirSync {
		return 3
	}
	return 2
}

// coldLimits are the most operations that a new process may need to open a
// mailbox in which nothing foreign happened, and to list it, by messages.
var coldLimits = []struct {
	messages   int
	open, list int64
}{{10_000, 40, 60}, {100_000, 300, 500}}

// A mailbox is opened and listed with few operations, however large it is.
func TestColdOperations(t *testing.T) {
	for _, limit := range coldLimits {
		t.Run(strconv.Itoa(limit.messages), func(t *testing.T) {
			if limit.messages > 10_000 && !full() {
				t.Skip("makes many files: set BOBBIN_TEST_FULL=1")
			}
			dir := fillInbox(t, limit.messages)
			m, _ := openAlice(t, dir)
			for m.Summarize(t.Context(), 1000) > 0 {
			}
			m.Close(t.Context())

			m, h := openAlice(t, dir)
			ops := h.Ops.Read()
			t.Logf("open: %s", ops)
			if n := ops.Total(); n > limit.open || len(m.Messages()) != limit.messages {
				t.Errorf("open took %d operations, want at most %d (%s)", n, limit.open, ops)
			}
			listed := 0
			for _, err := range m.Summaries(t.Context(), spool.AllUIDs(), spool.Columns) {
				if err != nil {
					t.Fatal(err)
				}
				listed++
			}
			ops = h.Ops.Read().Sub(ops)
			t.Logf("list: %s", ops)
			if n := ops.Total(); n > limit.list || listed != limit.messages {
				t.Errorf("%d messages are listed with %d operations, want at most %d (%s)", listed, n, limit.list, ops)
			}
			// A mailbox that is in memory is looked at again when its stamps
			// have stood still, and then followed.
			if err := errors.Join(h.Sleep(t.Context(), 2*h.Profile.Grain), m.Refresh(t.Context())); err != nil {
				t.Fatal(err)
			}
			other, _ := openAlice(t, dir)
			flagOne(t, other, 1)
			before := h.Ops.Read()
			if err := m.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			ops = h.Ops.Read().Sub(before)
			ops[netfs.OpSync] = 0 // on local disks, of the directory in which something new was read
			if ops.Total() > 10 || m.ModSeq() != other.ModSeq() {
				t.Errorf("to follow another process took %s, want at most 10 operations", ops)
			}
		})
	}
}

// logSize counts what a log has on disk, and its bytes: the length of link
// targets and files.
func logSize(b testing.TB, dir string) (inodes, size int64) {
	err := filepath.WalkDir(filepath.Join(dir, "users/alice/bobbin"), func(_ string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := d.Info()
		if err == nil && !d.IsDir() {
			size += i.Size()
		}
		inodes++
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	return inodes, size
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}

// baseBytes is the size of all bases and parts; none is removed within a day.
func baseBytes(b testing.TB, dir string) (sum int64) {
	names, err := filepath.Glob(filepath.Join(dir, "users/alice/bobbin/s/*"))
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range names {
		i, err := os.Stat(n)
		if err != nil {
			b.Fatal(err)
		}
		sum += i.Size()
	}
	return sum
}
