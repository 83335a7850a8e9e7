package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
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

// raceNames are the folders that hosts make, rename and delete at once.
var raceNames = []string{"A", "A/x", "Bü", "Bü/x"}

// folderRace is what the processes of one run were told.
type folderRace struct {
	mu      sync.Mutex
	acked   map[string]bool // texts whose delivery was acknowledged
	refused map[string]bool // texts whose delivery was reported as not done
	moved   map[string]bool // texts that somebody tried to move
	done    map[string]int  // changes of folders that were acknowledged
}

// racer is one process of a run.
type racer struct {
	t    *testing.T
	hist *folderRace
	rng  *rand.Rand
	h    *netfs.Host
	s    *spool.Spool
	n    int
	kept map[string]*spool.Box // left open across what others do
}

func (w *racer) name() string { return raceNames[w.rng.IntN(len(raceNames))] }

func (w *racer) run(ctx context.Context, steps int) {
	for range steps {
		if ctx.Err() != nil {
			return
		}
		err := w.step(ctx)
		if errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, commitlog.ErrNewer) || errors.Is(err, spool.ErrNoUser) {
			w.t.Errorf("%s: %v", w.h.Tag, err)
		}
	}
}

func (w *racer) step(ctx context.Context) (err error) {
	if w.s == nil {
		w.s, err = spool.Open(ctx, w.h)
		return err
	}
	change := ""
	switch k := w.rng.IntN(12); {
	case k < 2:
		change, err = "create", w.s.CreateFolder(ctx, "alice", w.name())
	case k < 4:
		change, err = "delete", w.s.DeleteFolder(ctx, "alice", w.name())
	case k < 6:
		change, err = "rename", w.s.RenameFolder(ctx, "alice", w.name(), w.name())
	case k < 10:
		return w.deliver(ctx, w.name())
	case k < 11:
		return w.move(ctx)
	default:
		_, err = w.s.Folders(ctx, "alice")
	}
	if err == nil {
		w.hist.mu.Lock()
		w.hist.done[change]++
		w.hist.mu.Unlock()
	}
	return err
}

// box finds a folder, or takes one that was found before.
func (w *racer) box(ctx context.Context, name string) (*spool.Box, error) {
	if b := w.kept[name]; b != nil && w.rng.IntN(3) > 0 {
		return b, nil
	}
	b, err := w.s.Box(ctx, "alice", name)
	if err == nil {
		w.kept[name] = b
	}
	return b, err
}

func (w *racer) deliver(ctx context.Context, name string) error {
	b, err := w.box(ctx, name)
	if err != nil {
		return err
	}
	w.n++
	text := fmt.Sprintf("Subject: %s-%d\n\n", w.h.Tag, w.n)
	in, err := b.Receive(ctx)
	if err == nil {
		_, err = io.WriteString(in, text)
		if err == nil {
			err = in.Finish(0, false)
		}
		if err == nil {
			_ = w.h.Sleep(ctx, time.Duration(w.rng.IntN(20))*time.Millisecond)
			err = in.Publish(ctx)
		}
		if err != nil && !errors.Is(err, netfs.ErrUncertain) {
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
	return err
}

// move moves all of a folder to another or to INBOX.
func (w *racer) move(ctx context.Context) error {
	from, err := w.box(ctx, w.name())
	if err != nil {
		return err
	}
	to, err := w.box(ctx, append(raceNames, spool.Inbox)[w.rng.IntN(len(raceNames)+1)])
	if err != nil {
		return err
	}
	source, err := from.Open(ctx)
	if err != nil {
		return err
	}
	target, err := to.Open(ctx)
	if err != nil {
		return err
	}
	for _, msg := range source.Messages() {
		f, _, err := source.OpenMessage(ctx, msg.UID)
		if err != nil {
			return err
		}
		b, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		w.hist.mu.Lock()
		w.hist.moved[string(b)] = true
		w.hist.mu.Unlock()
	}
	_, err = source.Move(ctx, spool.AllUIDs(), target)
	return errors.Join(err, target.Project(ctx), source.Project(ctx))
}

// Hosts make, rename and delete the same folders, deliver to them and move mail
// out of them, with faults and without, on shares of every kind: what was
// acknowledged is in a folder, in INBOX or in the trash, once; no mailbox is in
// two places.
func TestFolderRaces(t *testing.T) {
	done := map[string]int{}
	plan := simfs.Plan{Ops: 130_000, Full: 2_500_000, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{
			Seed: seed, Share: simfs.ShareFor(seed), Hosts: 2 + int(seed%2), Steps: 40, Rounds: 1, Faults: allFaults,
		}
		if seed%3 == 0 {
			c.Faults = simfs.Faults{Pause: 0.05} // races alone
		}
		return c
	}}
	plan.Run = func(t *testing.T, c simfs.Case) (ops int) {
		o := c.Options()
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) { ops = folderRaces(t, s, c, done) })
		return ops
	}
	plan.Test(t)
	for _, change := range []string{"create", "delete", "rename"} {
		if done[change] == 0 && !t.Failed() {
			t.Errorf("no %s was acknowledged: the runs prove nothing", change)
		}
	}
}

func folderRaces(t *testing.T, s *simfs.Sim, c simfs.Case, done map[string]int) (ops int) {
	s.SetFaults(simfs.Faults{})
	makeAlice(t, s.Host("init"), slotsOf(c.Options(), c.Seed))
	s.SetFaults(c.Faults)
	hist := &folderRace{acked: map[string]bool{}, refused: map[string]bool{}, moved: map[string]bool{}, done: done}
	var hosts []*netfs.Host
	for i := range c.Hosts {
		h := s.Host("h" + strconv.Itoa(i))
		hosts = append(hosts, h)
		w := &racer{t: t, hist: hist, h: h, rng: rand.New(rand.NewPCG(c.Seed, uint64(i))), kept: map[string]*spool.Box{}}
		s.Go(h, func(ctx context.Context, _ *netfs.Host) { w.run(ctx, c.Steps) })
	}
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts {
		ops += s.OpsOf(h)
	}
	s.SetFaults(simfs.Faults{})
	if c.Faults.Crash == 0 {
		noStrangers(t, s, hist)
	}
	auditFolders(t, s, hist)
	return ops
}

// auditFolders looks for all texts and mailboxes, lets a week go by, and looks
// again.
func auditFolders(t *testing.T, s *simfs.Sim, hist *folderRace) {
	t.Helper()
	h := s.Host("audit")
	sp, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := liveTexts(t, sp); err != nil { // completes deletions
		t.Fatal(err)
	}
	live, err := liveTexts(t, sp)
	if err != nil {
		t.Fatal(err)
	}
	trash := trashTexts(t, s)
	for text := range hist.acked {
		n := live[text] + trash[text]
		if n == 0 && !hist.moved[text] || live[text] > 1 && !hist.moved[text] {
			t.Errorf("acknowledged and %d times live, %d in the trash: %q", live[text], trash[text], text)
		}
		if n == 0 {
			t.Errorf("lost: %q", text)
		}
	}
	for text := range hist.refused {
		if live[text] > 0 {
			t.Errorf("reported as not delivered, and there: %q", text)
		}
	}
	noTwins(t, s)
	checkUserRight(t, sp)
	for range 12 {
		if err := h.Sleep(t.Context(), 8*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := sp.CreateFolder(t.Context(), "alice", "sweep"); err != nil {
			t.Fatal(err)
		}
		if err := sp.DeleteFolder(t.Context(), "alice", "sweep"); err != nil {
			t.Fatal(err)
		}
	}
	if names, err := s.Server().List("users/alice/bobbin-trash"); err != nil || len(names) != 1 {
		t.Errorf("the trash still has %q, %v\n%s", names, err, s.Server().Dump())
	}
	after, err := liveTexts(t, sp)
	if err != nil {
		t.Fatal(err)
	}
	for text, n := range live {
		if after[text] < n {
			t.Errorf("lost with the trash: %q", text)
		}
	}
	checkUserRight(t, sp)
}

// liveTexts counts the messages of all of alice's folders by their text.
func liveTexts(t *testing.T, s *spool.Spool) (map[string]int, error) {
	list, err := s.Folders(t.Context(), "alice")
	if err != nil {
		return nil, err
	}
	texts, names := map[string]int{}, map[string]bool{}
	for _, f := range list {
		if names[f.Name] {
			t.Errorf("folder %s is listed twice", f.Name)
		}
		names[f.Name] = true
		b, err := s.Box(t.Context(), "alice", f.Name)
		if err != nil {
			return nil, err
		}
		m, err := b.Open(t.Context())
		if errors.Is(err, spool.ErrNoFolder) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, msg := range m.Messages() {
			texts[read(t, m, msg.UID)]++
		}
		project(t, m)
		m.Close(t.Context())
		if err := b.Close(); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// trashTexts counts the message files in the trash.
func trashTexts(t *testing.T, s *simfs.Sim) map[string]int {
	t.Helper()
	texts := map[string]int{}
	h := s.Host("trash")
	for _, box := range trashed(s) {
		for _, dir := range []string{"new", "cur", "bobbin/hold", "bobbin/x"} {
			names, _ := s.Server().List(box + "/" + dir)
			for _, n := range names {
				b, err := netfs.ReadFile(t.Context(), h.Share, box+"/"+dir+"/"+n, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				texts[string(b)]++
			}
		}
	}
	return texts
}

func trashed(s *simfs.Sim) (boxes []string) {
	const trash = "users/alice/bobbin-trash"
	nests, _ := s.Server().List(trash)
	for _, n := range nests {
		if names, _ := s.Server().List(trash + "/" + n); slices.Contains(names, "folder") {
			boxes = append(boxes, trash+"/"+n+"/folder")
		}
	}
	return boxes
}

// noStrangers wants nothing in the trash that its log does not know: who
// delivers is told, or the message is in INBOX, unless somebody crashed.
func noStrangers(t *testing.T, s *simfs.Sim, hist *folderRace) {
	t.Helper()
	h := s.Host("strange")
	way := wayOf(t, h)
	for _, box := range trashed(s) {
		log := ""
		gens, _ := s.Server().List(box + "/bobbin")
		for _, g := range gens {
			slots, _ := s.Server().List(box + "/bobbin/" + g)
			for _, n := range slots {
				text, _ := way.Get(t.Context(), h.Share, box+"/bobbin/"+g+"/"+n)
				log += text
			}
		}
		for _, dir := range []string{"new", "cur"} {
			names, _ := s.Server().List(box + "/" + dir)
			for _, n := range names {
				base, _, _ := cutFlags(n)
				b, err := netfs.ReadFile(t.Context(), h.Share, box+"/"+dir+"/"+n, 1<<20)
				if err == nil && hist.acked[string(b)] && !strings.Contains(log, base) {
					t.Errorf("delivered into the trash: %q", b)
				}
			}
		}
	}
}

func wayOf(t *testing.T, h *netfs.Host) netfs.Way {
	t.Helper()
	sp, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	way, err := netfs.ParseWay(sp.Marker.Slots)
	if err != nil {
		t.Fatal(err)
	}
	return way
}

// noTwins wants no mailbox in two places.
func noTwins(t *testing.T, s *simfs.Sim) {
	t.Helper()
	h := s.Host("twins")
	way := wayOf(t, h)
	boxes := trashed(s)
	names, err := s.Server().List("users/alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, ".") {
			boxes = append(boxes, "users/alice/"+n)
		}
	}
	seen := map[string]string{}
	for _, b := range boxes {
		text, err := way.Get(t.Context(), h.Share, b+"/bobbin/g.0/1")
		if err != nil {
			continue // begun and given up
		}
		if other := seen[text]; other != "" {
			t.Errorf("%s and %s are one mailbox", b, other)
		}
		seen[text] = b
	}
}

// checkUserRight wants nothing wrong; delays may be.
func checkUserRight(t *testing.T, s *spool.Spool) {
	t.Helper()
	found, _, err := s.CheckUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Wrong {
			t.Errorf("check: %s", f)
		}
	}
}
