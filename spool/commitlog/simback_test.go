package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// lossy is what the processes saw of a log whose server loses what it had
// acknowledged.
type lossy struct {
	t     *testing.T
	s     *simfs.Sim
	mu    sync.Mutex
	ended []*follower
}

// follower is one process with one view for life.
type follower struct {
	o     *lossy
	h     *netfs.Host
	log   *commitlog.Log
	state *ids
	last  []string       // what the view told last
	acked map[string]int // id -> losses before the commit began
	err   error          // why it stopped
}

// told checks that a view which says nothing of a loss goes on from what it
// told before.
func (f *follower) told() {
	if n := len(f.last); n > len(f.state.list) || !slices.Equal(f.state.list[:n], f.last) {
		f.o.t.Errorf("%s told\n%v\nand tells, as if nothing had happened,\n%v", f.h.Tag, f.last, f.state.list)
	}
	f.last = slices.Clone(f.state.list)
}

// noticed tells whether err is the log's word that something was lost.
func noticed(err error) bool {
	return errors.Is(err, commitlog.ErrWentBack) || errors.Is(err, commitlog.ErrCorrupt)
}

func (f *follower) work(ctx context.Context, steps int) {
	for n := range steps {
		id, losses := f.h.Tag+"."+strconv.Itoa(n), f.o.s.Disasters()
		err := f.log.Commit(ctx, func() ([]string, error) { return []string{"id:" + id}, nil })
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			f.acked[id] = losses
			f.told()
		}
		if n%3 == 0 && err == nil {
			if _, err = f.log.Refresh(ctx); err == nil {
				f.told()
			}
		}
		if f.err = err; noticed(err) {
			return
		}
	}
}

// rest lets a view come to its end on a share that loses nothing any more.
func (f *follower) rest(ctx context.Context) {
	for n := range 20 {
		_ = f.h.Sleep(ctx, 2*time.Second)
		if n == 10 { // a directory that went back within a tick has the stamp it had: nothing shows before a change
			f.err = f.log.Commit(ctx, func() ([]string, error) { return []string{"id:" + f.h.Tag + ".end"}, nil })
			if noticed(f.err) {
				break
			}
		}
		if _, f.err = f.log.Refresh(ctx); ctx.Err() != nil || noticed(f.err) {
			break
		}
	}
	if ctx.Err() == nil && f.err == nil {
		f.told()
	}
	f.o.mu.Lock()
	defer f.o.mu.Unlock()
	f.o.ended = append(f.o.ended, f)
}

// TestWentBack lets the server forget changes that it had acknowledged, again
// and again: every view notices or has lost nothing, no two that noticed
// nothing differ, and what was acknowledged after the last loss stays.
func TestWentBack(t *testing.T) {
	noticed := 0
	plan := simfs.Plan{Ops: 100_000, Full: 1_000_000, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{Seed: seed, Share: simfs.ShareFor(seed), Hosts: 2 + int(seed%3), Steps: 30, Rounds: 1}
		c.Faults = simfs.Faults{Pause: 0.02, PauseMax: time.Second, Forget: 0.002, ForgetMax: 4 << (seed % 4)}
		if seed%2 == 0 {
			c.Faults.Fail, c.Faults.Lost, c.Faults.Twice = 0.005, 0.01, 0.01
		}
		return c
	}}
	plan.Run = func(t *testing.T, c simfs.Case) int {
		ops, dead := runLossy(t, c)
		noticed += dead
		return ops
	}
	// A view that had read nothing after the rotation it followed lost that.
	t.Run("nothing_after_a_rotation", func(t *testing.T) { runLossy(t, plan.Case(491)) })
	if plan.Test(t); noticed == 0 && !t.Failed() {
		t.Error("nobody noticed anything: the test tests little")
	}
	t.Logf("%d views noticed a loss", noticed)
}

// A view that came to a generation by a listing and read nothing of it notices
// that the server has lost the whole of it, also after two more were begun.
func TestGenerationLost(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		tuning := commitlog.Tuning{Slots: 4, KeepFor: time.Hour}
		commit := func(name string, n int) {
			t.Helper()
			l, _ := idsLog(s.Host(name), tuning)
			for i := range n {
				if err := l.Commit(t.Context(), func() ([]string, error) { return []string{fmt.Sprintf("id:%s.%d", name, i)}, nil }); err != nil {
					t.Fatal(err)
				}
			}
		}
		commit("a", 7) // the second generation has been begun, the third is due
		shot := s.Server().Snapshot()
		commit("b", 1)
		view, state := idsLog(s.Host("view"), tuning)
		if _, err := view.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		told := slices.Clone(state.list)
		s.Server().Restore(shot)
		commit("c", 20)
		if _, err := view.Refresh(t.Context()); !errors.Is(err, commitlog.ErrWentBack) {
			t.Errorf("refresh: %v, want ErrWentBack; it told %v and tells %v", err, told, state.list)
		}
	})
}

func runLossy(t *testing.T, c simfs.Case) (ops, noticedBy int) {
	o := &lossy{t: t}
	conf := &told{way: netfs.ViaSymlink, tuning: commitlog.Tuning{Slots: 32, KeepFor: time.Hour, Inline: 60}}
	if s, ok := simfs.ShareNamed(c.Share); ok {
		conf.way = s.Way()
	}
	simfs.Run(t, c.Options(), func(t *testing.T, s *simfs.Sim) {
		o.t, o.s = t, s
		for _, d := range commitlog.Dirs("log") {
			if err := s.Server().MkdirAll(d); err != nil {
				t.Fatal(err)
			}
		}
		s.SetFaults(c.Faults)
		start := make(chan struct{})
		busy := make(chan int, 1)
		busy <- c.Hosts
		for i := range c.Hosts {
			h := s.Host(fmt.Sprint("h", i))
			f := &follower{o: o, h: h, acked: map[string]int{}}
			f.log, f.state = conf.log(h)
			s.Go(h, func(ctx context.Context, _ *netfs.Host) {
				f.work(ctx, c.Steps)
				n := <-busy - 1
				if busy <- n; n == 0 {
					s.SetFaults(simfs.Faults{})
					close(start)
				}
				<-start
				f.rest(ctx)
			})
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		noticedBy = o.compare(s.Disasters())
		for _, f := range o.ended {
			ops += s.OpsOf(f.h)
		}
	})
	return ops, noticedBy
}

// compare looks at the views that noticed nothing.
func (o *lossy) compare(losses int) (noticedBy int) {
	var one *follower
	for _, f := range o.ended {
		if f.err != nil { // also a base that cannot be read any more
			noticedBy++
			continue
		}
		if one == nil {
			one = f
		}
		n := min(len(f.last), len(one.last)) // who was slow saw more
		if !slices.Equal(f.last[:n], one.last[:n]) {
			o.t.Errorf("two views of one log differ:\n%s %v\n%s %v", f.h.Tag, f.last, one.h.Tag, one.last)
		}
		if len(f.last) > n {
			one = f
		}
	}
	for _, f := range o.ended {
		for id, n := range f.acked {
			if n == losses && one != nil && !slices.Contains(one.last, id) {
				o.t.Errorf("%s was acknowledged to %s after the last loss and is lost", id, f.h.Tag)
			}
		}
	}
	if losses == 0 && noticedBy > 0 {
		o.t.Errorf("%d views noticed what did not happen", noticedBy)
	}
	return noticedBy
}
