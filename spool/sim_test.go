package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// full tells whether the long tests run too.
func full() bool { return os.Getenv("BOBBIN_TEST_FULL") != "" }

// history is what the processes of one run were told, and what they saw.
type history struct {
	mu       sync.Mutex
	acked    map[string]bool        // texts whose delivery was acknowledged
	refused  map[string]bool        // texts whose delivery was reported as not done
	expunged map[string]bool        // texts that somebody tried to expunge
	gone     map[string]bool        // texts whose expunge was acknowledged
	keywords map[string]string      // acknowledged keyword -> text
	uids     map[uint32]string      // UID -> name, as first seen
	flags    map[string]spool.Flags // text -> flags acknowledged as set
	answered map[string]bool        // text -> \Answered as its only writer was told last
	tuning   commitlog.Tuning
}

func newHistory() *history {
	return &history{
		acked: map[string]bool{}, refused: map[string]bool{}, expunged: map[string]bool{},
		gone: map[string]bool{}, keywords: map[string]string{}, uids: map[uint32]string{},
		flags: map[string]spool.Flags{}, answered: map[string]bool{},
	}
}

// worker is one process of a run.
type worker struct {
	t    *testing.T
	hist *history
	rng  *rand.Rand
	h    *netfs.Host
	id   string
	n    int
	box  *spool.Box
	m    *spool.Mailbox
	text map[string]string // name -> text, for what this worker has read
}

// run does steps random operations on alice's mailbox.
func (w *worker) run(ctx context.Context, steps int) {
	for range steps {
		if ctx.Err() != nil {
			return
		}
		if w.box == nil && !w.connect(ctx) {
			_ = w.h.Sleep(ctx, 50*time.Millisecond)
			continue
		}
		var err error
		switch k := w.rng.IntN(10); {
		case k < 4:
			w.deliver(ctx)
		case k < 5:
			err = w.reopen(ctx)
		case k < 6:
			if w.m != nil {
				err = w.m.Refresh(ctx)
			}
		case k < 7:
			err = w.keyword(ctx)
		case k < 8:
			err = w.toggle(ctx)
		case k < 9:
			err = w.expunge(ctx)
		default:
			if w.m != nil {
				err = w.m.Project(ctx)
			}
		}
		w.judge(ctx, err)
		w.look()
	}
}

// judge accepts the errors that faults explain, and no other. When the server
// does not know the mailbox's directory any more, it is opened anew.
func (w *worker) judge(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	if errors.Is(err, syscall.ESTALE) {
		w.box, w.m = nil, nil
	}
	if errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, commitlog.ErrNewer) || errors.Is(err, spool.ErrNoUser) {
		w.t.Errorf("%s: %v", w.id, err)
	}
}

func (w *worker) connect(ctx context.Context) bool {
	s, err := spool.Open(ctx, w.h)
	if err == nil {
		s.Tuning = w.hist.tuning
		w.box, err = s.Box(ctx, "alice", spool.Inbox)
	}
	w.judge(ctx, err)
	return err == nil
}

func (w *worker) reopen(ctx context.Context) error {
	m, err := w.box.Open(ctx)
	if err == nil {
		w.m = m
	}
	return err
}

func (w *worker) deliver(ctx context.Context) {
	w.n++
	text := fmt.Sprintf("Subject: %s-%d\n\n%s\n", w.id, w.n, strings.Repeat("x", w.rng.IntN(200)))
	in, err := w.box.Receive(ctx)
	if err == nil {
		_, err = io.WriteString(in, text)
		if err == nil {
			err = in.Finish(0, false)
		}
		if err == nil {
			err = in.Publish(ctx)
		}
		if err != nil {
			in.Abort(ctx)
		}
	}
	w.judge(ctx, err)
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	switch {
	case err == nil:
		w.hist.acked[text] = true
	case ctx.Err() == nil && !errors.Is(err, netfs.ErrUncertain):
		w.hist.refused[text] = true
	}
}

// look checks what is seen against what anybody saw before.
func (w *worker) look() {
	if w.m == nil {
		return
	}
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	last := uint32(0)
	for _, msg := range w.m.Messages() {
		if msg.UID <= last {
			w.t.Errorf("%s: UID %d after %d", w.id, msg.UID, last)
		}
		last = msg.UID
		if was, ok := w.hist.uids[msg.UID]; ok && was != msg.Name {
			w.t.Errorf("%s: UID %d is %s and was %s", w.id, msg.UID, msg.Name, was)
		}
		w.hist.uids[msg.UID] = msg.Name
	}
}

// some picks messages that this worker can read, with their texts.
func (w *worker) some(ctx context.Context) (uids []uint32, texts []string) {
	if w.m == nil {
		return nil, nil
	}
	for _, msg := range w.m.Messages() {
		if w.rng.IntN(4) > 0 || len(uids) > 3 {
			continue
		}
		text, ok := w.text[msg.Name]
		if !ok {
			f, _, err := w.m.OpenMessage(ctx, msg.UID)
			if err != nil {
				continue
			}
			b, err := io.ReadAll(f)
			if errors.Join(err, f.Close()) != nil || int64(len(b)) != msg.Size {
				continue
			}
			text = string(b)
			w.text[msg.Name] = text
		}
		uids, texts = append(uids, msg.UID), append(texts, text)
	}
	return uids, texts
}

// keyword gives each message picked a keyword that nobody else gives.
func (w *worker) keyword(ctx context.Context) error {
	uids, texts := w.some(ctx)
	if len(uids) == 0 {
		return nil
	}
	w.n++
	kw := fmt.Sprintf("%s-%d", w.id, w.n)
	c := spool.FlagChange{AddKeywords: []string{kw}, Add: spool.Flags(w.rng.IntN(64)) &^ (spool.Flagged | spool.Answered)}
	done, err := w.m.SetFlags(ctx, spool.SetOf(uids...), c)
	if err != nil {
		return err
	}
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	for i, uid := range uids {
		if done.Contains(uid) {
			w.hist.keywords[kw+" "+strconv.Itoa(i)] = texts[i]
			w.hist.flags[texts[i]] |= c.Add
		}
	}
	return nil
}

// toggle sets or clears \Answered on messages that this worker delivered.
// Nobody else touches it, so the last that was acknowledged must hold.
func (w *worker) toggle(ctx context.Context) error {
	uids, texts := w.some(ctx)
	for i, text := range texts {
		if !strings.HasPrefix(text, "Subject: "+w.id+"-") {
			continue
		}
		w.hist.mu.Lock()
		was := w.hist.answered[text]
		delete(w.hist.answered, text)
		w.hist.mu.Unlock()
		c := spool.FlagChange{Add: spool.Answered}
		if was {
			c = spool.FlagChange{Remove: spool.Answered}
		}
		done, err := w.m.SetFlags(ctx, spool.SetOf(uids[i]), c)
		if err != nil {
			return err // from here on nobody knows; it is no longer looked at
		}
		if done.Contains(uids[i]) {
			w.hist.mu.Lock()
			w.hist.answered[text] = !was
			w.hist.mu.Unlock()
		}
		if w.rng.IntN(2) == 0 {
			return w.m.Project(ctx)
		}
	}
	return nil
}

func (w *worker) expunge(ctx context.Context) error {
	uids, texts := w.some(ctx)
	if len(uids) == 0 {
		return nil
	}
	w.hist.mu.Lock()
	for _, text := range texts {
		w.hist.expunged[text] = true
	}
	w.hist.mu.Unlock()
	done, err := w.m.Expunge(ctx, spool.SetOf(uids...))
	if err != nil {
		return err
	}
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	for i, uid := range uids {
		if done.Contains(uid) {
			w.hist.gone[texts[i]] = true
		}
	}
	return nil
}

// simulate runs the hosts of a case, one of them perhaps a program that knows
// nothing of the log, and returns the number of simulated operations.
func simulate(t *testing.T, c simfs.Case) (ops int) {
	o := c.Options()
	if c.Seed%5 == 0 {
		o = shortRecords(o) // payloads all the time
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		s.SetFaults(simfs.Faults{})
		initSpool(t, s.Host("init"), spool.InitOptions{
			Slots:      slotsOf(o, c.Seed),
			ForeignOff: c.Seed%3 == 1 && c.Seed%2 == 0, // where there is no foreign program
			ProjectOff: c.Seed%5 == 3,
		})
		s.SetFaults(c.Faults)
		hist := newHistory()
		// The format counts on requests that are less late than KeepFor.
		keep := 2*150*time.Millisecond + o.Tick
		hist.tuning = commitlog.Tuning{Slots: 3 + int(c.Seed%7), KeepFor: keep, Inline: 100 << (c.Seed % 5)}
		next := 0
		var end *settling
		var procs []*netfs.Host
		for round := range c.Rounds {
			last := procs
			procs = nil
			end = newSettling(c.Hosts)
			for range c.Hosts {
				next++
				h, id := newProcess(s, last, procs, next)
				w := &worker{
					t: t, hist: hist, h: h, id: id, text: map[string]string{},
					rng: rand.New(rand.NewPCG(c.Seed, uint64(next))),
				}
				procs = append(procs, h)
				run := w.run
				if next%c.Hosts == 0 && c.Seed%3 == 0 {
					run = w.foreign
				}
				s.Go(h, func(ctx context.Context, _ *netfs.Host) {
					run(ctx, c.Steps)
					w.settle(ctx, end, c.Seed%3 == 0)
				})
			}
			if err := s.Run(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for _, h := range procs {
				ops += s.OpsOf(h)
			}
		}
		s.SetFaults(simfs.Faults{})
		end.agree(t, audit(t, s, hist))
	})
	return ops
}

// newProcess makes a host, a second process of the one before, or a clone of
// one of the last round. The id is its own, which a clone's tag is not.
func newProcess(s *simfs.Sim, last, before []*netfs.Host, n int) (h *netfs.Host, id string) {
	id = "h" + strconv.Itoa(n)
	switch {
	case n%5 == 0 && len(last) > 0:
		return s.Clone(last[n%len(last)]), id
	case n%4 == 0 && len(before) > 0:
		return s.Process(before[len(before)-1], id), id
	}
	return s.Host(id), id
}

func shortRecords(o simfs.Options) simfs.Options {
	if o.Profile.Kind == "" {
		o.Profile = simfs.NFS4()
	}
	o.Profile.RecordMax = 500
	return o
}

// slotsOf lets some seeds use the slower ways, where the share has them, and
// the others what bobbin init chooses.
func slotsOf(o simfs.Options, seed uint64) string {
	switch links := o.Able.NoLinks == 0; {
	case seed%7 == 2 && links:
		return netfs.ViaLink.String()
	case seed%7 == 4 || seed%7 == 6:
		return netfs.ViaDir.String()
	}
	return ""
}

// makeAlice makes a spool with one user.
func makeAlice(t testing.TB, h *netfs.Host, slots string) {
	t.Helper()
	s, err := spool.Init(t.Context(), h, spool.InitOptions{Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	addAlice(t, s)
}

var allFaults = simfs.Faults{
	Crash: 0.0005, Pause: 0.01, Fail: 0.01, Lost: 0.01, Twice: 0.01, Late: 0.005, Echo: 0.005,
	Full: 0.002, WriteErr: 0.005, WriteBack: 0.1, Stale: 0.1, SplitList: 0.2, PowerLoss: 0.0001,
	Resent: 0.01, MissList: 0.05, OldList: 0.05, TwiceList: 0.05, Suspend: 0.0002, Jump: 0.0005,
	StaleDir: 0.0005,
}

// TestSimulation runs random processes on faulty shares of every kind.
func TestSimulation(t *testing.T) {
	simfs.Plan{Ops: 150_000, Full: 1_000_000, Run: simulate, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{
			Seed: seed, Share: simfs.ShareFor(seed), Hosts: 2 + int(seed/2%4), Steps: 25, Rounds: 2, Faults: allFaults,
		}
		if seed%4 == 0 {
			c.Faults = simfs.Faults{Pause: 0.05} // many hosts, no faults: pure races
		}
		if seed%3 == 0 {
			c.Steps = 70 // one of them a foreign program
			c.Faults.SplitList = 0.7
		}
		return c
	}}.Test(t)
}
