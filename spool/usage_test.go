package spool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

var errFull = errors.New("full")

// atMost admits one message more if there are fewer than n in all folders.
func atMost(n int64) func([]spool.FolderUsage) error {
	return func(list []spool.FolderUsage) error {
		var have int64
		for _, f := range list {
			have += f.Messages
		}
		if have >= n {
			return errFull
		}
		return nil
	}
}

func stateOf(t *testing.T, s *spool.Spool) *spool.UserState {
	t.Helper()
	u, err := s.UserState(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = u.Close(t.Context()) })
	return u
}

func wantUsage(t *testing.T, u *spool.UserState, want ...spool.FolderUsage) {
	t.Helper()
	if err := u.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := u.Usage(); !slices.Equal(got, want) {
		t.Errorf("usage %v, want %v", got, want)
	}
}

// What is delivered counts before anybody reads it, what is read counts once, what
// is expunged no longer, and a folder takes its figures along.
func TestUsage(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "Lists")
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	u, other := stateOf(t, s), stateOf(t, s)
	b := inbox(t, s)
	lists, err := s.Box(t.Context(), "alice", "lists")
	if err != nil {
		lists, err = s.Box(t.Context(), "alice", "Lists")
	}
	do(err)
	defer lists.Close()
	take := func(b *spool.Box) {
		t.Helper()
		in := receive(t, b, "0123456789")
		do(u.Take(t.Context(), in, atMost(3)))
		do(in.Publish(t.Context()))
	}
	take(b)
	take(lists)
	wantUsage(t, other, spool.FolderUsage{Folder: "INBOX", Messages: 1, Bytes: 10, Pending: 1}, spool.FolderUsage{Folder: "Lists", Messages: 1, Bytes: 10, Pending: 1})

	given := receive(t, b, "x")
	do(u.Take(t.Context(), given, atMost(3)))
	refused := receive(t, b, "x")
	wantErr(t, "a fourth message", u.Take(t.Context(), refused, atMost(3)), errFull)
	do(u.GiveBack(t.Context(), given))
	given.Abort(t.Context())
	refused.Abort(t.Context())

	m := open(t, b)
	do(other.Count(t.Context(), m))
	wantUsage(t, u, spool.FolderUsage{Folder: "INBOX", Messages: 1, Bytes: 10}, spool.FolderUsage{Folder: "Lists", Messages: 1, Bytes: 10, Pending: 1})
	// To count again changes nothing.
	before := s.Host.Ops.Read()
	do(other.Count(t.Context(), m))
	if n := s.Host.Ops.Read().Sub(before)[netfs.OpSymlink]; n != 0 {
		t.Errorf("%d records", n)
	}
	_, err = m.Expunge(t.Context(), spool.SetOf(1))
	do(err)
	do(u.Count(t.Context(), m))
	project(t, m)
	do(s.RenameFolder(t.Context(), "alice", "Lists", "News"))
	wantUsage(t, other, spool.FolderUsage{Folder: "INBOX"}, spool.FolderUsage{Folder: "News", Messages: 1, Bytes: 10, Pending: 1})
	do(u.Recount(t.Context()))
	wantUsage(t, other, spool.FolderUsage{Folder: "INBOX"}, spool.FolderUsage{Folder: "News", Messages: 1, Bytes: 10})
	do(s.DeleteFolder(t.Context(), "alice", "News"))
	wantUsage(t, other, spool.FolderUsage{Folder: "INBOX"})
	checkUser(t, s)
}

// A delivery that counts costs a symlink and a getattr more, for a process that has
// the user's log, and nothing else but a directory sync on a local disk.
func TestTakeOperations(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	u, b := stateOf(t, s), inbox(t, s)
	deliver := func() {
		in := receive(t, b, "x")
		if err := errors.Join(u.Take(t.Context(), in, atMost(100)), in.Publish(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	deliver()
	const messages = 10
	before := s.Host.Ops.Read()
	for range messages {
		mustPut(t, b, "x")
	}
	plain := s.Host.Ops.Read().Sub(before)
	before = s.Host.Ops.Read()
	for range messages {
		deliver()
	}
	got := s.Host.Ops.Read().Sub(before).Sub(plain)
	var want netfs.Counts
	want[netfs.OpSymlink], want[netfs.OpGetattr] = messages, messages
	if s.Host.Profile.DirSync {
		want[netfs.OpSync] = messages
	}
	if got != want {
		t.Errorf("%d deliveries cost %s more, want %s", messages, got, want)
	}
}

// Messages that two goroutines of one process deliver at once share a record, and
// each counts for the other.
func TestTakeShared(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	u, b := stateOf(t, s), inbox(t, s)
	const tries, limit = 24, 7
	ended := make(chan error, tries)
	for range tries {
		in := receive(t, b, "x")
		go func() { ended <- u.Take(t.Context(), in, atMost(limit)) }()
	}
	taken := 0
	for range tries {
		switch err := <-ended; {
		case err == nil:
			taken++
		case !errors.Is(err, errFull):
			t.Error(err)
		}
	}
	if taken != limit {
		t.Errorf("%d messages were admitted, want %d", taken, limit)
	}
}

// quotaRace is a process that delivers under a limit, expunges and counts.
type quotaRace struct {
	t     *testing.T
	rng   *rand.Rand
	h     *netfs.Host
	s     *spool.Spool
	u     *spool.UserState
	n     int
	limit int64
}

func (w *quotaRace) run(ctx context.Context, steps int) {
	for range steps {
		if ctx.Err() != nil {
			return
		}
		err := w.step(ctx)
		if errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, commitlog.ErrNewer) {
			w.t.Errorf("%s: %v", w.h.Tag, err)
		}
		if err != nil && !errors.Is(err, errFull) {
			w.u = nil
		}
	}
}

func (w *quotaRace) step(ctx context.Context) (err error) {
	if w.s == nil {
		if w.s, err = spool.Open(ctx, w.h); err != nil {
			return err
		}
	}
	if w.u == nil {
		if w.u, err = w.s.UserState(ctx, "alice"); err != nil {
			return err
		}
	}
	b, err := w.s.Box(ctx, "alice", []string{spool.Inbox, "A"}[w.rng.IntN(2)])
	if err != nil {
		return err
	}
	defer b.Close()
	if w.rng.IntN(5) < 3 {
		return w.deliver(ctx, b)
	}
	m, err := b.Open(ctx)
	if err != nil {
		return err
	}
	if msgs := m.Messages(); len(msgs) > 0 && w.rng.IntN(2) == 0 {
		_, err = m.Expunge(ctx, spool.SetOf(msgs[w.rng.IntN(len(msgs))].UID))
	}
	err = errors.Join(err, m.Project(ctx))
	if w.rng.IntN(4) > 0 {
		err = errors.Join(err, w.u.Count(ctx, m))
	}
	m.Close(ctx)
	return err
}

func (w *quotaRace) deliver(ctx context.Context, b *spool.Box) error {
	in, err := b.Receive(ctx)
	if err != nil {
		return err
	}
	w.n++
	_, err = fmt.Fprintf(in, "%s %d %s", w.h.Tag, w.n, "xxxxxxxxxx"[w.rng.IntN(10):])
	if err == nil {
		err = in.Finish(0, false)
	}
	if err == nil {
		err = w.u.Take(ctx, in, atMost(w.limit))
	}
	if errors.Is(err, errFull) {
		if err = w.u.Recount(ctx); err == nil {
			err = w.u.Take(ctx, in, atMost(w.limit))
		}
	}
	if err == nil {
		err = in.Publish(ctx)
	}
	if err != nil && !errors.Is(err, netfs.ErrUncertain) {
		in.Abort(ctx)
		_ = w.u.GiveBack(ctx, in)
	}
	return err
}

// Hosts deliver under a limit, expunge and count at once, with faults: the limit
// holds, and when every folder was counted once, by anybody, the figures are
// those of the folders.
func TestSimulatedUsage(t *testing.T) {
	filled := 0
	plan := simfs.Plan{Ops: 60_000, Full: 800_000, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{Seed: seed, Share: simfs.ShareFor(seed), Hosts: 2 + int(seed%3), Steps: 25, Rounds: 1, Faults: allFaults}
		if seed%3 == 0 {
			c.Faults = simfs.Faults{Pause: 0.05}
		}
		return c
	}}
	plan.Run = func(t *testing.T, c simfs.Case) (ops int) {
		simfs.Run(t, c.Options(), func(t *testing.T, s *simfs.Sim) { ops = usageRace(t, s, c, &filled) })
		return ops
	}
	plan.Test(t)
	if filled == 0 && !t.Failed() {
		t.Error("the limit was never reached: the runs prove nothing")
	}
}

func usageRace(t *testing.T, s *simfs.Sim, c simfs.Case, filled *int) (ops int) {
	s.SetFaults(simfs.Faults{})
	makeAlice(t, s.Host("init"), slotsOf(c.Options(), c.Seed))
	first, err := spool.Open(t.Context(), s.Host("make"))
	if err == nil {
		err = first.CreateFolder(t.Context(), "alice", "A")
	}
	if err != nil {
		t.Fatal(err)
	}
	s.SetFaults(c.Faults)
	const limit = 6
	var hosts []*netfs.Host
	for i := range c.Hosts {
		h := s.Host("h" + strconv.Itoa(i))
		hosts = append(hosts, h)
		w := &quotaRace{t: t, h: h, rng: rand.New(rand.NewPCG(c.Seed, uint64(i))), limit: limit}
		s.Go(h, func(ctx context.Context, _ *netfs.Host) { w.run(ctx, c.Steps) })
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		ops += s.OpsOf(h)
	}
	s.SetFaults(simfs.Faults{})
	auditUsage(t, s, limit, filled)
	return ops
}

// auditUsage counts each folder when nothing is under way any more.
func auditUsage(t *testing.T, s *simfs.Sim, limit int, filled *int) {
	t.Helper()
	h := s.Host("audit")
	if err := h.Sleep(t.Context(), 72*time.Hour); err != nil {
		t.Fatal(err)
	}
	sp, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	u, err := sp.UserState(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	var want []spool.FolderUsage
	total := 0
	for _, folder := range []string{"A", spool.Inbox} {
		b, err := sp.Box(t.Context(), "alice", folder)
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, b)
		if err := u.Count(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		is := spool.FolderUsage{Folder: folder}
		for _, msg := range m.Messages() {
			is.Messages++
			is.Bytes += int64(len(read(t, m, msg.UID)))
		}
		total += int(is.Messages)
		want = append(want, is)
		m.Close(t.Context())
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := u.Usage(); !slices.Equal(got, want) {
		t.Errorf("usage %v, want %v", got, want)
	}
	if total > limit {
		t.Errorf("%d messages, and the limit is %d", total, limit)
	}
	if total == limit {
		*filled++
	}
	checkUserRight(t, sp)
	if err := u.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Two deliveries that come at once do not both take the last room: the one
// that is second asks again.
func TestTakeAsksAgain(t *testing.T) {
	plain, _ := newSpool(t, spool.InitOptions{})
	other := stateOf(t, plain)
	b := inbox(t, plain)
	if err := other.Take(t.Context(), receive(t, b, "1"), atMost(2)); err != nil {
		t.Fatal(err)
	}
	s := atSlot(t, plain, 1, func() error { return other.Take(t.Context(), receive(t, b, "2"), atMost(2)) })
	wantErr(t, "a third message", stateOf(t, s).Take(t.Context(), receive(t, inbox(t, s), "3"), atMost(2)), errFull)
	wantUsage(t, other, spool.FolderUsage{Folder: "INBOX", Messages: 2, Bytes: 2, Pending: 2})
}

// A message that comes late is looked for before it is taken for one that never
// comes.
func TestLateMessageIsCounted(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	u, b := stateOf(t, s), inbox(t, s)
	m := open(t, b)
	in := receive(t, b, "0123456789")
	if err := errors.Join(u.Take(t.Context(), in, atMost(1)), in.Publish(t.Context())); err != nil {
		t.Fatal(err)
	}
	wall := s.Host.Wall
	s.Host.Wall = func() time.Time { return wall().Add(37 * time.Hour) }
	if err := u.Count(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	wantUsage(t, u, spool.FolderUsage{Folder: "INBOX", Messages: 1, Bytes: 10})
}
