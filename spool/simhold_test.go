package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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

// folders are those between which messages are moved.
var folders = []string{spool.Inbox, "Archive"}

// moves is what the movers of one run did, were told and saw. Messages are
// known by their text.
type moves struct {
	mu       sync.Mutex
	told     map[string]*told
	batches  [][]string        // texts that were appended at once
	names    map[string]string // folder and UID -> name, as first seen
	sleeping bool              // processes sleep for days
	oneWay   bool              // messages are moved to Archive alone
}

// told is what is known of one text.
type told struct {
	acked, refused bool // its append
	date           time.Time
	keyword        string          // it began with
	keywords       map[string]bool // acknowledged
	expunged       bool            // somebody tried to expunge it
	gone           bool            // an expunge of it was acknowledged
	copies         int             // tries to copy it
	moved          bool            // somebody tried to move it
	doubtful       int             // moves of it that have not ended well
}

// mover is one process of a run.
type mover struct {
	t     *testing.T
	hist  *moves
	rng   *rand.Rand
	h     *netfs.Host
	id    string
	n     int
	boxes [2]*spool.Box
	m     [2]*spool.Mailbox
	text  map[string]string // name -> text
}

func (w *mover) run(ctx context.Context, steps int) {
	for range steps {
		if ctx.Err() != nil {
			return
		}
		if !w.connect(ctx) {
			_ = w.h.Sleep(ctx, 50*time.Millisecond)
			continue
		}
		if w.hist.sleeping && w.rng.IntN(10) == 0 {
			_ = w.h.Sleep(ctx, time.Duration(w.rng.IntN(50))*time.Hour)
		}
		err := w.step(ctx)
		if err != nil && ctx.Err() == nil && (errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, commitlog.ErrNewer) ||
			errors.Is(err, spool.ErrNoFolder)) {
			w.t.Errorf("%s: %v", w.id, err)
		}
		if errors.Is(err, syscall.ESTALE) {
			w.m = [2]*spool.Mailbox{}
		}
		w.look()
	}
}

func (w *mover) connect(ctx context.Context) bool {
	for i, folder := range folders {
		if w.m[i] != nil {
			continue
		}
		s, err := spool.Open(ctx, w.h)
		if err == nil {
			w.boxes[i], err = s.Box(ctx, "alice", folder)
		}
		if err == nil {
			w.m[i], err = w.boxes[i].Open(ctx)
		}
		if err != nil {
			return false
		}
	}
	return true
}

func (w *mover) step(ctx context.Context) error {
	from := w.rng.IntN(2)
	m := w.m[from]
	switch k := w.rng.IntN(12); {
	case k < 3:
		return w.append(ctx, from)
	case k < 4:
		w.m[from] = nil
		return nil
	case k < 6:
		return m.Refresh(ctx)
	case k < 7:
		return w.keyword(ctx, from)
	case k < 8:
		if w.rng.IntN(3) > 0 {
			return m.Project(ctx)
		}
		return w.expunge(ctx, from)
	case k < 9:
		return w.copy(ctx, from)
	case k < 11:
		return w.move(ctx, from)
	}
	return m.Project(ctx)
}

// append appends one to three messages to a folder.
func (w *mover) append(ctx context.Context, to int) error {
	var texts []string
	var msgs []spool.NewMessage
	for range 1 + w.rng.IntN(3) {
		w.n++
		text := fmt.Sprintf("Subject: %s-%d\n\n%s\n", w.id, w.n, strings.Repeat("x", w.rng.IntN(200)))
		in, err := w.boxes[to].Receive(ctx)
		if err == nil {
			_, err = io.WriteString(in, text)
			err = errors.Join(err, in.Finish(0, false))
		}
		if err != nil {
			for _, msg := range msgs {
				msg.In.Abort(ctx)
			}
			return err
		}
		date := time.Unix(1_000_000_000+int64(w.n), 0)
		kw := fmt.Sprintf("born-%s-%d", w.id, w.n)
		texts = append(texts, text)
		msgs = append(msgs, spool.NewMessage{In: in, Date: date, Keywords: []string{kw}, Flags: spool.Flags(w.rng.IntN(64))})
		w.hist.mu.Lock()
		w.hist.told[text] = &told{date: date, keyword: kw, keywords: map[string]bool{}}
		w.hist.mu.Unlock()
	}
	uids, err := w.m[to].Append(ctx, msgs...)
	if err == nil && len(uids) != len(msgs) {
		w.t.Errorf("%s: %d UIDs for %d messages", w.id, len(uids), len(msgs))
	}
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	w.hist.batches = append(w.hist.batches, texts)
	for _, text := range texts {
		w.hist.told[text].acked = err == nil
		w.hist.told[text].refused = err != nil && ctx.Err() == nil && !errors.Is(err, netfs.ErrUncertain)
	}
	return err
}

// look checks what is seen against what anybody saw before.
func (w *mover) look() {
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	for i, m := range w.m {
		last := uint32(0)
		if m == nil {
			continue
		}
		for _, msg := range m.Messages() {
			if msg.UID <= last {
				w.t.Errorf("%s: UID %d after %d", w.id, msg.UID, last)
			}
			last = msg.UID
			key := fmt.Sprint(i, " ", msg.UID)
			if was, ok := w.hist.names[key]; ok && was != msg.Name {
				w.t.Errorf("%s: UID %s is %s and was %s", w.id, key, msg.Name, was)
			}
			w.hist.names[key] = msg.Name
		}
	}
}

// some picks messages of a folder that this process can read.
func (w *mover) some(ctx context.Context, from int) (uids []uint32, texts []string) {
	m := w.m[from]
	for _, msg := range m.Messages() {
		if w.rng.IntN(4) > 0 || len(uids) > 2 {
			continue
		}
		text, ok := w.text[msg.Name]
		if !ok {
			f, _, err := m.OpenMessage(ctx, msg.UID)
			if errors.Is(err, spool.ErrMissing) {
				w.t.Errorf("%s: %v", w.id, err)
			}
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

// note changes what is known of texts.
func (w *mover) note(texts []string, f func(*told)) {
	w.hist.mu.Lock()
	defer w.hist.mu.Unlock()
	for _, text := range texts {
		if k := w.hist.told[text]; k != nil {
			f(k)
		} else {
			w.t.Errorf("%s: nobody wrote %.60q", w.id, text)
		}
	}
}

func (w *mover) keyword(ctx context.Context, from int) error {
	uids, texts := w.some(ctx, from)
	w.n++
	kw := fmt.Sprintf("%s-%d", w.id, w.n)
	c := spool.FlagChange{AddKeywords: []string{kw}, Add: spool.Flags(w.rng.IntN(64))}
	done, err := w.m[from].SetFlags(ctx, spool.SetOf(uids...), c)
	if err != nil {
		return err
	}
	for i, uid := range uids {
		if done.Contains(uid) {
			w.note(texts[i:i+1], func(k *told) { k.keywords[kw] = true })
		}
	}
	return nil
}

func (w *mover) expunge(ctx context.Context, from int) error {
	uids, texts := w.some(ctx, from)
	w.note(texts, func(k *told) { k.expunged = true })
	done, err := w.m[from].Expunge(ctx, spool.SetOf(uids...))
	if err != nil {
		return err
	}
	for i, uid := range uids {
		if done.Contains(uid) {
			w.note(texts[i:i+1], func(k *told) { k.gone = true })
		}
	}
	return nil
}

func (w *mover) copy(ctx context.Context, from int) error {
	uids, texts := w.some(ctx, from)
	w.note(texts, func(k *told) { k.copies++ })
	_, err := w.m[from].Copy(ctx, spool.SetOf(uids...), w.m[1-from])
	if err == nil && w.rng.IntN(2) == 0 {
		err = w.m[1-from].Project(ctx)
	}
	return err
}

func (w *mover) move(ctx context.Context, from int) error {
	if w.hist.oneWay {
		from = 0
	}
	uids, texts := w.some(ctx, from)
	w.note(texts, func(k *told) { k.moved, k.doubtful = true, k.doubtful+1 })
	_, err := w.m[from].Move(ctx, spool.SetOf(uids...), w.m[1-from])
	if err != nil {
		return err
	}
	w.note(texts, func(k *told) { k.doubtful-- })
	if w.rng.IntN(2) == 0 {
		err = w.m[1-from].Project(ctx)
	}
	return err
}

// simulateMoves is simulate for movers.
func simulateMoves(t *testing.T, c simfs.Case) (ops int) {
	hist := &moves{told: map[string]*told{}, names: map[string]string{}, oneWay: c.Seed%2 == 0, sleeping: c.Seed%3 == 0}
	o := c.Options()
	if c.Seed%5 == 0 {
		o = shortRecords(o)
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		s.SetFaults(simfs.Faults{})
		makeAlice(t, s.Host("init"), slotsOf(o, c.Seed))
		if err := s.Server().MkdirAll("users/alice/.Archive"); err != nil {
			t.Fatal(err)
		}
		s.SetFaults(c.Faults)
		next := 0
		var procs []*netfs.Host
		for range c.Rounds {
			last := procs
			procs = nil
			for range c.Hosts {
				next++
				h, id := newProcess(s, last, procs, next)
				w := &mover{
					t: t, hist: hist, h: h, id: id, text: map[string]string{},
					rng: rand.New(rand.NewPCG(c.Seed, uint64(next))),
				}
				procs = append(procs, h)
				s.Go(h, func(ctx context.Context, _ *netfs.Host) { w.run(ctx, c.Steps) })
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			for _, h := range procs {
				ops += s.OpsOf(h)
			}
		}
		s.SetFaults(simfs.Faults{})
		auditMoves(t, s, hist)
	})
	return ops
}

// TestSimulatedMoves runs processes that append, copy and move between two
// folders on faulty shares of every kind.
func TestSimulatedMoves(t *testing.T) {
	simfs.Plan{Ops: 100_000, Full: 1_000_000, Run: simulateMoves, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{
			Seed: seed, Share: simfs.ShareFor(seed), Hosts: 2 + int(seed/2%3), Steps: 30, Rounds: 3, Faults: allFaults,
		}
		if seed%4 == 1 {
			c.Faults = simfs.Faults{Pause: 0.05, SplitList: 0.5} // pure races
		}
		if seed%3 == 0 { // with sleep
			c.Faults.Pause, c.Faults.PauseMax = 0.01, 200*time.Hour
		}
		return c
	}}.Test(t)
}
