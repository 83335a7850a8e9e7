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

// judge accepts the errors that faults explain, and no other.
func (w *worker) judge(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
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

// simulate runs hosts processes of steps operations each, and one more for
// each that crashed, and returns the number of simulated operations.
func simulate(t *testing.T, o simfs.Options, hosts, steps int) (ops int) {
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		faults := o.Faults
		s.SetFaults(simfs.Faults{})
		makeAlice(t, s.Host("init"), slotsOf(o.Seed))
		s.SetFaults(faults)
		hist := newHistory()
		// The format counts on requests that are less late than KeepFor.
		hist.tuning = commitlog.Tuning{Slots: 3 + int(o.Seed%7), KeepFor: 2 * 150 * time.Millisecond, Inline: 100 << (o.Seed % 5)}
		next := 0
		for round := range 3 {
			var procs []*netfs.Host
			for range hosts {
				next++
				h := s.Host("h" + strconv.Itoa(next))
				w := &worker{
					t: t, hist: hist, h: h, id: h.Tag, text: map[string]string{},
					rng: rand.New(rand.NewPCG(o.Seed, uint64(next))),
				}
				procs = append(procs, h)
				run := w.run
				if next%hosts == 0 && o.Seed%3 == 0 {
					run = w.foreign
				}
				s.Go(h, func(ctx context.Context, _ *netfs.Host) { run(ctx, steps) })
			}
			if err := s.Run(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for _, h := range procs {
				ops += s.OpsOf(h)
			}
		}
		s.SetFaults(simfs.Faults{})
		audit(t, s, hist)
		if len(hist.acked) == 0 {
			t.Error("nothing was delivered: the run proves nothing")
		}
	})
	return ops
}

// slotsOf lets some seeds use the slower ways.
func slotsOf(seed uint64) string {
	switch seed % 7 {
	case 2:
		return netfs.ViaLink.String()
	case 4, 6:
		return netfs.ViaDir.String()
	}
	return netfs.ViaSymlink.String()
}

// makeAlice makes a spool with one user.
func makeAlice(t testing.TB, h *netfs.Host, slots string) {
	t.Helper()
	s, err := spool.Init(t.Context(), h, spool.InitOptions{Slots: slots})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Add(t.Context(), "alice", nil); err != nil {
		t.Fatal(err)
	}
}

var allFaults = simfs.Faults{
	Crash: 0.0005, Pause: 0.01, Fail: 0.01, Lost: 0.01, Twice: 0.01, Late: 0.005, Echo: 0.005,
	Full: 0.002, WriteErr: 0.005, WriteBack: 0.1, Stale: 0.1, SplitList: 0.2,
}

// TestSimulation runs random processes on a faulty share until enough
// operations were simulated. A failing seed is named; run it alone with
// BOBBIN_SIM_SEED.
func TestSimulation(t *testing.T) {
	target := 100_000
	if full() {
		target = 1_000_000
	}
	first := uint64(1)
	if v := os.Getenv("BOBBIN_SIM_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, target = seed, 1
	}
	total := 0
	for seed := first; total < target && !t.Failed(); seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			o := simfs.Options{TraceLen: 100000, Seed: seed, Faults: allFaults, WallSkew: time.Hour, HoldDirs: true}
			if seed%4 == 0 {
				o.Faults = simfs.Faults{Pause: 0.05} // many hosts, no faults: pure races
			}
			hosts, steps := 2+int(seed%4), 40
			if seed%3 == 0 {
				steps = 150 // one of them a foreign program
				o.Faults.SplitList = 0.7
			}
			if seed%5 == 0 {
				o.Profile = simfs.NFS4()
				o.Profile.RecordMax = 500 // payloads all the time
			}
			total += simulate(t, o, hosts, steps)
		})
	}
	t.Logf("%d simulated operations", total)
}
