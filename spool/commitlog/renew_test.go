package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// harm is what damage did to a log.
type harm struct {
	*told
	s     *simfs.Sim
	rng   *rand.Rand
	kinds map[string]int
	gaps  bool            // slots are removed: who stands before one may write into it
	lost  map[string]bool // ids of records that were destroyed at the tail
}

// newest returns the newest generation's directory and its slots in order.
func (d *harm) newest() (dir string, slots []uint64) {
	names, _ := d.s.Server().List("log")
	high := int64(-1)
	for _, n := range names {
		first, _, _ := strings.Cut(strings.TrimPrefix(n, "g."), ".")
		if v, err := strconv.ParseInt(first, 10, 64); strings.HasPrefix(n, "g.") && err == nil && v > high {
			high, dir = v, "log/"+n
		}
	}
	names, _ = d.s.Server().List(dir)
	for _, n := range names {
		if v, err := strconv.ParseUint(n, 10, 64); err == nil {
			slots = append(slots, v)
		}
	}
	slices.Sort(slots)
	return dir, slots
}

// strike damages something that a later slot or an older generation still has,
// or, with tail, the last slot.
func (d *harm) strike(tail bool) {
	dir, slots := d.newest()
	srv := d.s.Server()
	garble := func(b []byte) []byte { return append([]byte("x"), b...) }
	switch k := d.rng.IntN(4); {
	case tail && len(slots) > 1:
		name := fmt.Sprintf("%s/%d", dir, slots[len(slots)-1])
		text, err := srv.Readlink(name)
		if err != nil || strings.Contains(text, "rotate:") || strings.Contains(text, "void@2") {
			return
		}
		line, _, _ := strings.Cut(text, " | ")
		for _, w := range strings.Fields(line) {
			if id, ok := strings.CutPrefix(w, "id:"); ok {
				d.lost[id] = true
			}
		}
		if strings.Contains(line, "payload:") {
			return
		}
		if srv.Corrupt(name, func([]byte) []byte { return nil }) == nil {
			d.kinds["tail"]++
		}
	case k < 2 && len(slots) > 2:
		i := d.rng.IntN(len(slots) - 1)
		name := fmt.Sprintf("%s/%d", dir, slots[i])
		text, _ := srv.Readlink(name)
		line, _, _ := strings.Cut(text, " | ")
		after, _ := srv.Readlink(fmt.Sprintf("%s/%d", dir, slots[i+1]))
		if slots[i+1] != slots[i]+1 || !strings.Contains(after, " | "+line) {
			return
		}
		if !d.gaps && srv.Corrupt(name, garble) == nil {
			d.kinds["slot"]++
		} else if d.gaps && srv.Remove(name) == nil {
			d.kinds["gap"]++
		}
	case k == 2 && !strings.HasSuffix(dir, "g.0"):
		// What a repair has put into a base stands nowhere else.
		_, base, _ := strings.Cut(dir, "/g.")
		if !strings.Contains(srv.Dump(), "/end ") && srv.Corrupt("log/s/"+base, garble) == nil {
			d.kinds["base"]++
		}
	}
}

// tend looks for damage now and then and repairs it.
func (d *harm) tend(ctx context.Context, h *netfs.Host, rounds int) {
	for range rounds {
		_ = h.Sleep(ctx, time.Duration(d.rng.IntN(60))*time.Millisecond)
		whole := d.rng.IntN(8) == 0
		l, _ := idsLog(h, d.tuning)
		faults, err := l.Verify(ctx)
		wrong := slices.ContainsFunc(faults, func(f commitlog.Fault) bool { return !f.Litter })
		if err != nil || !wrong && !whole {
			continue
		}
		l, _ = idsLog(h, d.tuning)
		loss, err := l.Renew(ctx, commitlog.Renewal{Whole: whole})
		if err == nil {
			d.mu.Lock()
			d.kinds["renewed: "+loss.String()]++
			d.mu.Unlock()
		}
	}
}

// keepOn is work for a log that is damaged and repaired meanwhile.
func (o *told) keepOn(ctx context.Context, h *netfs.Host, steps int) {
	l, s := idsLog(h, o.tuning)
	for n := range steps {
		if ctx.Err() != nil {
			return
		}
		id := h.Tag + "." + strconv.Itoa(n)
		err := l.Commit(ctx, func() ([]string, error) { return []string{"id:" + id}, nil })
		o.mu.Lock()
		if err == nil {
			o.acked = append(o.acked, id)
		} else if ctx.Err() == nil && !errors.Is(err, netfs.ErrUncertain) {
			o.refused = append(o.refused, id)
		}
		o.mu.Unlock()
		if err != nil {
			_ = h.Sleep(ctx, 20*time.Millisecond)
			l, s = idsLog(h, o.tuning)
			_, err = l.Refresh(ctx)
		}
		if err == nil && !o.forgetful {
			o.saw(h.Tag, s.list)
		}
	}
}

// TestRenew damages a log while processes commit and others repair it. As long
// as what is damaged stands somewhere else, nobody notices but by opening the
// log again: no acknowledged commit is lost, and all see one history.
func TestRenew(t *testing.T) {
	seeds, first := uint64(120), uint64(1)
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		seeds = 1000
	}
	if v := os.Getenv("BOBBIN_SIM_SEED"); v != "" {
		first, _ = strconv.ParseUint(v, 10, 64)
		seeds = 1
	}
	kinds := map[string]int{}
	for seed := first; seed < first+seeds && !t.Failed(); seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { runRenew(t, seed, kinds) })
	}
	t.Logf("%v", kinds)
	if seeds > 1 && (kinds["slot"] == 0 || kinds["base"] == 0 || kinds["tail"] == 0 || kinds["renewed: nothing is lost"] == 0) {
		t.Errorf("the runs prove little: %v", kinds)
	}
}

func runRenew(t *testing.T, seed uint64, kinds map[string]int) {
	tail := seed%3 == 0
	faults := simfs.Faults{Pause: 0.05, PauseMax: 200 * time.Millisecond}
	tuning := commitlog.Tuning{Slots: 6 + int(seed%4)*4, KeepFor: 320 * time.Millisecond, Inline: 60}
	if seed%2 == 0 {
		faults.Crash, faults.Fail, faults.Lost, faults.Twice = 0.0005, 0.005, 0.01, 0.01
		faults.Late, faults.Echo, faults.LateMax = 0.005, 0.005, 150*time.Millisecond
	}
	o := simfs.Options{TraceLen: 4000, Seed: seed, Faults: faults, Tick: time.Nanosecond, HoldDirs: seed%4 == 1}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		for _, dir := range commitlog.Dirs("log") {
			if err := s.Server().MkdirAll(dir); err != nil {
				t.Fatal(err)
			}
		}
		d := &harm{told: &told{t: t, tuning: tuning, forgetful: tail || seed%6 == 1}, s: s, rng: rand.New(rand.NewPCG(seed, 7)), kinds: kinds, lost: map[string]bool{}, gaps: seed%6 == 1}
		for i := range 3 {
			s.Go(s.Host(fmt.Sprintf("h%d", i)), func(ctx context.Context, h *netfs.Host) { d.keepOn(ctx, h, 40) })
		}
		s.Go(s.Host("chaos"), func(ctx context.Context, h *netfs.Host) {
			for range 4 {
				_ = h.Sleep(ctx, time.Duration(50+d.rng.IntN(100))*time.Millisecond)
				d.strike(tail)
			}
		})
		for i := range 2 {
			s.Go(s.Host(fmt.Sprintf("fix%d", i)), func(ctx context.Context, h *netfs.Host) { d.tend(ctx, h, 12) })
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		s.SetFaults(simfs.Faults{})
		d.finish(t)
	})
}

// finish repairs what is left and wants the log whole and complete.
func (d *harm) finish(t *testing.T) {
	for try := 0; ; try++ {
		l, _ := idsLog(d.s.Host("check"), d.tuning)
		faults, err := l.Verify(t.Context())
		wrong := slices.IndexFunc(faults, func(f commitlog.Fault) bool { return !f.Litter })
		if err == nil && wrong < 0 {
			break
		}
		if try > 1 {
			t.Fatalf("still wrong after repair: %v, %v", faults, err)
		}
		l, _ = idsLog(d.s.Host("repair"), d.tuning)
		if _, err := l.Renew(t.Context(), commitlog.Renewal{}); err != nil {
			t.Fatal(err)
		}
	}
	if d.gaps {
		return
	}
	l, state := idsLog(d.s.Host("audit"), d.tuning)
	if _, err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, id := range state.list {
		if count[id]++; count[id] > 1 {
			t.Errorf("%s was committed twice", id)
		}
	}
	for _, id := range d.acked {
		if count[id] == 0 && !d.lost[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	for _, id := range d.refused {
		if count[id] > 0 {
			t.Errorf("%s was reported as not done and is there", id)
		}
	}
}
