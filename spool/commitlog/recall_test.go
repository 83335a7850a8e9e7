package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// TestRemains looks for records in every generation, and behind a restore.
func TestRemains(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		h := s.Host("a")
		for _, d := range commitlog.Dirs("log") {
			if err := s.Server().MkdirAll(d); err != nil {
				t.Fatal(err)
			}
		}
		type mark struct {
			seq   uint64
			token string
		}
		remains := func(m mark) error {
			l, _ := idsLog(h, commitlog.Tuning{Slots: 4, KeepFor: time.Nanosecond})
			if _, err := l.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			return l.Remains(t.Context(), m.seq, m.token)
		}
		var marks []mark
		l, _ := idsLog(h, commitlog.Tuning{Slots: 4, KeepFor: time.Nanosecond})
		for i := range 30 {
			if err := l.Commit(t.Context(), add(i)); err != nil {
				t.Fatal(err)
			}
			seq, token, ok := l.Newest(t.Context())
			if !ok || token == "" || i > 0 && seq <= marks[i-1].seq {
				t.Fatalf("newest is %d %s, %v", seq, token, ok)
			}
			marks = append(marks, mark{seq, token})
			for _, m := range marks {
				if err := remains(m); err != nil {
					t.Fatalf("after %d, record %d: %v", seq, m.seq, err)
				}
			}
		}
		last := marks[len(marks)-1]
		lost := []mark{{last.seq, strings.Repeat("a", netfs.TokenLen)}, {last.seq + 5, last.token}, {last.seq - 1, last.token}}
		for _, m := range lost {
			if err := remains(m); !errors.Is(err, commitlog.ErrWentBack) {
				t.Errorf("record %d %s of another past: %v", m.seq, m.token, err)
			}
		}
		l, _ = idsLog(h, commitlog.Tuning{})
		if _, err := l.Renew(t.Context(), commitlog.Renewal{Whole: true, Ahead: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		for _, m := range append(lost, marks...) {
			if err := remains(m); err != nil {
				t.Errorf("after a restore, record %d: %v", m.seq, err)
			}
		}
	})
}

// TestRemainsSimulated lets short processes of several computers commit, each
// looking for what the one before it knew. Nothing is lost, so nobody may miss
// anything, whatever caches and late requests do. (On SMB, seed 3, a client that
// had looked for a generation's directory too early took it for lost.)
func TestRemainsSimulated(t *testing.T) {
	simfs.Plan{Ops: 40_000, Full: 300_000, Run: runRemains, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{
			Seed: seed, Share: simfs.ShareFor(seed), Hosts: 3 + int(seed%2), Steps: 20, Rounds: 1,
			Faults: simfs.Faults{Pause: 0.03, PauseMax: time.Second},
		}
		if f := &c.Faults; seed%2 == 0 {
			f.Fail, f.Lost, f.Twice = 0.005, 0.01, 0.01
			f.Late, f.Echo, f.LateMax = 0.005, 0.005, lateMax
		}
		return c
	}}.Test(t)
}

func runRemains(t *testing.T, c simfs.Case) (ops int) {
	o := c.Options()
	out := &told{t: t, way: netfs.ViaSymlink, tuning: commitlog.Tuning{Slots: 4, KeepFor: lateMax + 20*time.Millisecond + o.Tick, Inline: 60}}
	if s, ok := simfs.ShareNamed(c.Share); ok {
		out.way = s.Way()
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		for _, d := range commitlog.Dirs("log") {
			if err := s.Server().MkdirAll(d); err != nil {
				t.Fatal(err)
			}
		}
		for i := range c.Hosts {
			h := s.Host(fmt.Sprint("h", i))
			s.Go(h, func(ctx context.Context, h *netfs.Host) { out.lives(ctx, h, c.Steps) })
			defer func() { ops += s.OpsOf(h) }()
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
	})
	return ops
}

// lives are processes of one computer, one after the other.
func (o *told) lives(ctx context.Context, h *netfs.Host, n int) {
	var seq uint64
	token := ""
	for life := range n {
		l, _ := o.log(h)
		_, err := l.Refresh(ctx)
		if err == nil && token != "" {
			err = l.Remains(ctx, seq, token)
		}
		for i := range 2 {
			if err == nil {
				err = l.Commit(ctx, func() ([]string, error) { return []string{fmt.Sprintf("id:%s.%d.%d", h.Tag, life, i)}, nil })
			}
		}
		if o.judge(h, err); errors.Is(err, commitlog.ErrWentBack) {
			o.t.Errorf("%s, which knew record %d: %v", h.Tag, seq, err)
		}
		if s, k, ok := l.Newest(ctx); ok && s > seq {
			seq, token = s, k
		}
		l.Close(ctx)
	}
}

// What repair gave up is no loss that a host is told of, also when the
// generation is cleared away that says so.
func TestRemainsAfterRepair(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	f.tuning = commitlog.Tuning{Slots: 8, KeepFor: time.Nanosecond}
	l, _ := f.log()
	f.commit(t, l, 12)
	seq, token, ok := l.Newest(t.Context())
	dirs := f.list("g.9.*")
	if !ok || len(dirs) != 1 {
		t.Fatalf("newest is %d %q, generations %q", seq, token, f.list("g.*"))
	}
	slot := filepath.Join(dirs[0], strconv.FormatUint(seq, 10))
	if err := errors.Join(os.Remove(slot), os.Symlink("damaged", slot)); err != nil {
		t.Fatal(err)
	}
	r, _ := f.log()
	if loss, err := r.Renew(t.Context(), commitlog.Renewal{}); err != nil || loss != commitlog.LostTail {
		t.Fatalf("renew: %v, %v", loss, err)
	}
	for range 20 {
		fresh, _ := f.log()
		if _, err := fresh.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := fresh.Remains(t.Context(), seq, token); err != nil {
			t.Fatalf("generations %q: %v", f.list("g.*"), err)
		}
		f.commit(t, fresh, 1)
		fresh.Close(t.Context())
	}
	if left := f.list("g.9.*"); len(left) != 0 {
		t.Errorf("%q was not cleared away: the test tests little", left)
	}
}
