package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// journal collects what the processes of a run asked for and were told.
type journal struct {
	mu    sync.Mutex
	start time.Time
	ops   []porcupine.Operation
	lists map[uint64]string // record -> what a view there showed
}

// done notes an operation that began at call. After an error that leaves the
// outcome open it goes on for ever: it may happen at any time, or never.
func (j *journal) done(client int, call time.Time, in histIn, out histOut) {
	end := int64(time.Since(j.start))
	if out.unknown {
		end = math.MaxInt64
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ops = append(j.ops, porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: int64(call.Sub(j.start)), Return: end,
	})
}

// sawAt checks that a view at record n shows the same on every host.
func (j *journal) sawAt(n uint64, list string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if was, ok := j.lists[n]; ok && was != list {
		return fmt.Errorf("after record %d one host shows %q and another %q", n, was, list)
	}
	j.lists[n] = list
	return nil
}

// scribe is one process of a history.
type scribe struct {
	t      *testing.T
	j      *journal
	rng    *rand.Rand
	h      *netfs.Host
	num, n int
	box    *spool.Box
	m      *spool.Mailbox
	record uint64
	known  []*spool.Message // when it listed last
}

func (w *scribe) run(ctx context.Context, steps int) {
	for range steps {
		if ctx.Err() != nil {
			return
		}
		if w.m == nil && w.open(ctx) != nil {
			w.m = nil
			_ = w.h.Sleep(ctx, 50*time.Millisecond)
			continue
		}
		w.step(ctx)
		w.look()
		_ = w.h.Sleep(ctx, time.Duration(w.rng.IntN(40))*time.Millisecond)
	}
}

func (w *scribe) open(ctx context.Context) (err error) {
	sp, err := spool.Open(ctx, w.h)
	if err == nil {
		w.box, err = sp.Box(ctx, "alice", spool.Inbox)
	}
	if err == nil {
		w.m, err = w.box.Open(ctx)
	}
	return err
}

func (w *scribe) step(ctx context.Context) {
	call := time.Now()
	switch k := w.rng.IntN(10); {
	case k < 2:
		w.deliver(ctx, call)
	case k < 3:
		w.append(ctx, call)
	case k < 6:
		w.list(ctx, call)
	case k < 8:
		set := w.some()
		c := spool.FlagChange{Add: spool.Flags(1 << w.rng.IntN(6))}
		if w.rng.IntN(2) == 0 {
			c = spool.FlagChange{Remove: c.Add}
		}
		done, err := w.m.SetFlags(ctx, set, c)
		w.j.done(w.num, call, histIn{op: "flags", set: set.String(), change: c}, outOf(ctx, done.String(), err))
	case k < 9:
		set := w.some()
		done, err := w.m.Expunge(ctx, set)
		w.j.done(w.num, call, histIn{op: "expunge", set: set.String()}, outOf(ctx, done.String(), err))
	default:
		_ = w.m.Project(ctx)
	}
}

func outOf(ctx context.Context, told string, err error) histOut {
	return histOut{
		told: told, unknown: err != nil && (ctx.Err() != nil || errors.Is(err, netfs.ErrUncertain)), refused: err != nil,
	}
}

// some picks up to two messages of those that this process listed.
func (w *scribe) some() spool.UIDSet {
	var uids []uint32
	for range 1 + w.rng.IntN(2) {
		if len(w.known) > 0 {
			uids = append(uids, w.known[w.rng.IntN(len(w.known))].UID)
		}
	}
	return spool.SetOf(uids...)
}

func (w *scribe) receive(ctx context.Context) (in *spool.Incoming, text string, err error) {
	w.n++
	text = fmt.Sprintf("%d-%d", w.num, w.n)
	if in, err = w.box.Receive(ctx); err != nil {
		return nil, text, err
	}
	_, err = io.WriteString(in, "Subject: "+text+"\n\n")
	if err = errors.Join(err, in.Finish(0, false)); err != nil {
		in.Abort(ctx)
	}
	return in, text, err
}

func (w *scribe) deliver(ctx context.Context, call time.Time) {
	in, _, err := w.receive(ctx)
	if err != nil {
		return // nothing was asked for
	}
	err = in.Publish(ctx)
	w.j.done(w.num, call, histIn{op: "deliver", name: in.Name()}, outOf(ctx, "", err))
}

func (w *scribe) append(ctx context.Context, call time.Time) {
	in, _, err := w.receive(ctx)
	if err != nil {
		return
	}
	uids, err := w.m.Append(ctx, spool.NewMessage{In: in, Flags: spool.Draft, Date: w.h.Wall()})
	told := ""
	name := ""
	if err == nil {
		told = strconv.FormatUint(uint64(uids[0]), 10)
		if msg, err := w.m.Message(uids[0]); err == nil {
			name = msg.Name
		}
	}
	if err == nil && name == "" {
		return // expunged at once by another host: its name is not known here
	}
	w.j.done(w.num, call, histIn{op: "append", name: name}, outOf(ctx, told, err))
}

// list is Refresh and what the view shows then.
func (w *scribe) list(ctx context.Context, call time.Time) {
	if w.m.Refresh(ctx) == nil {
		w.known = w.m.Messages()
		w.j.done(w.num, call, histIn{op: "list"}, histOut{told: listed(w.known)})
	}
}

// look checks what the view shows without being refreshed: it is the state
// after some record, and never an earlier one than before.
func (w *scribe) look() {
	n := w.m.ModSeq()
	if n < w.record {
		w.t.Errorf("%s: record %d after %d", w.h.Tag, n, w.record)
	}
	w.record = n
	if err := w.j.sawAt(n, listed(w.m.Messages())); err != nil {
		w.t.Errorf("%s: %v", w.h.Tag, err)
	}
}

// runHistory runs processes and returns their history.
func runHistory(t *testing.T, o simfs.Options, hosts, steps int) (j *journal, ops int) {
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		faults := o.Faults
		s.SetFaults(simfs.Faults{})
		makeAlice(t, s.Host("init"), "")
		s.SetFaults(faults)
		j = &journal{start: time.Now(), lists: map[uint64]string{}}
		var procs []*netfs.Host
		for i := range hosts {
			h := s.Host("h" + strconv.Itoa(i))
			procs = append(procs, h)
			w := &scribe{t: t, j: j, rng: rand.New(rand.NewPCG(o.Seed, uint64(i))), h: h, num: i}
			s.Go(h, func(ctx context.Context, _ *netfs.Host) { w.run(ctx, steps) })
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		for _, h := range procs {
			ops += s.OpsOf(h)
		}
	})
	return j, ops
}

// show writes a history for people, in the order of the calls.
func (j *journal) show() string {
	ops := slices.Clone(j.ops)
	slices.SortFunc(ops, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
	var b strings.Builder
	for _, op := range ops {
		end := "open"
		if op.Return != math.MaxInt64 {
			end = time.Duration(op.Return).String()
		}
		fmt.Fprintf(&b, "h%d %v to %s: %s\n", op.ClientId, time.Duration(op.Call), end, describe(op.Input, op.Output))
	}
	short := map[string]string{}
	return fileName.ReplaceAllStringFunc(b.String(), func(name string) string {
		if short[name] == "" {
			short[name] = "m" + strconv.Itoa(len(short)+1)
		}
		return short[name]
	})
}

var fileName = regexp.MustCompile(`\d+\.[a-z2-7]{26}[^ :\n]*`)

// checkHistory wants one order of all operations that explains every answer.
// BOBBIN_HISTORY_HTML names a file that shows a history which has none.
func checkHistory(t *testing.T, j *journal, model porcupine.Model) {
	t.Helper()
	res, info := porcupine.CheckOperationsVerbose(model, j.ops, time.Minute)
	if res == porcupine.Ok {
		return
	}
	t.Errorf("%v: no order of the operations explains the answers\n%s", res, j.show())
	if name := os.Getenv("BOBBIN_HISTORY_HTML"); name != "" {
		if err := porcupine.VisualizePath(model, info, name); err != nil {
			t.Error(err)
		}
	}
}

// TestHistories lets hosts deliver, append, list, flag and expunge on shares
// with faults, and looks for one order of all operations that explains what
// each of them was told.
func TestHistories(t *testing.T) {
	simfs.Plan{Ops: 30_000, Full: 400_000, Run: simulateHistory, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{
			Seed: seed, Share: simfs.ShareFor(seed), Hosts: 2 + int(seed/2%4), Steps: 12, Rounds: 1,
			Faults: simfs.Faults{
				Crash: 0.0003, Pause: 0.02, Fail: 0.002, Lost: 0.003, Twice: 0.003, Late: 0.002, Echo: 0.003, SplitList: 0.2,
			},
		}
		if seed%4 == 0 {
			c.Faults = simfs.Faults{Pause: 0.05} // nothing but races
		}
		return c
	}}.Test(t)
}

func simulateHistory(t *testing.T, c simfs.Case) (ops int) {
	j, ops := runHistory(t, c.Options(), c.Hosts, c.Steps)
	checkHistory(t, j, mailboxModel())
	if share, _ := simfs.ShareNamed(c.Share); !share.Profile.WeakLists {
		if err := j.fresh(); err != nil {
			t.Errorf("%v\n%s", err, j.show())
		}
	}
	if !slices.ContainsFunc(j.ops, func(op porcupine.Operation) bool { return !op.Output.(histOut).refused }) {
		t.Error("nobody was told anything: the history proves nothing")
	}
	return ops
}
