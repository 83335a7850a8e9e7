package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// promises is what Puts said, by slot.
type promises struct {
	mu      sync.Mutex
	won     map[string]string   // acknowledged
	first   map[string]string   // told to a loser
	undone  map[string][]string // reported as not done
	tried   map[string]bool     // all records, "slot record"
	unknown int
}

func (p *promises) note(t *testing.T, slot, data, got string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, simfs.ErrDead):
	case errors.Is(err, netfs.ErrUncertain):
		p.unknown++
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v says more than is known", slot, err)
		}
	case err == nil:
		if p.won[slot] != "" {
			t.Errorf("%s was won twice", slot)
		}
		p.won[slot] = data
	case errors.Is(err, fs.ErrExist):
		if p.first[slot] != "" && p.first[slot] != got {
			t.Errorf("%s held %q and %q", slot, p.first[slot], got)
		}
		p.first[slot] = got
		p.undone[slot] = append(p.undone[slot], data)
	default:
		p.undone[slot] = append(p.undone[slot], data)
	}
}

// check compares the promises with what the server has when nothing is under
// way any more. Slots are names without a leading dot.
func (p *promises) check(t *testing.T, way netfs.Way, h *netfs.Host) (filled int) {
	ctx := context.Background()
	names, err := h.Share.ReadDir(ctx, ".")
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]string{}
	for _, slot := range names {
		if slot[0] == '.' {
			continue
		}
		data, err := way.Get(ctx, h.Share, slot)
		if err != nil || !p.tried[slot+" "+data] {
			t.Errorf("%s holds %.40q, which nobody put (%v)", slot, data, err)
		}
		has[slot] = data
	}
	for slot, data := range p.won {
		if has[slot] != data {
			t.Errorf("%s holds %q, acknowledged was %q", slot, has[slot], data)
		}
	}
	for slot, data := range p.first {
		if has[slot] != data {
			t.Errorf("%s holds %q, a loser was shown %q", slot, has[slot], data)
		}
	}
	for slot, list := range p.undone {
		for _, data := range list {
			if has[slot] == data {
				t.Errorf("%s holds %q, which was reported as not done", slot, data)
			}
		}
	}
	return len(has)
}

// putRun lets hosts race for slots, under all faults, and some give up early.
func putRun(t *testing.T, seed uint64, way netfs.Way) (filled, unknown int) {
	f := someFaults
	f.Crash = 0.005
	if seed%5 == 0 {
		f.Echo, f.Late, f.Lost = 0.15, 0.15, 0.1
	}
	o := simfs.Options{Seed: seed, Faults: f, HoldDirs: seed%2 == 0}
	if seed%4 < 2 {
		o.Profile = netfs.ProfileFor("local", nil)
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		p := &promises{won: map[string]string{}, first: map[string]string{}, undone: map[string][]string{}, tried: map[string]bool{}}
		for i := range 3 {
			s.Go(s.Host(fmt.Sprint("h", i)), func(ctx context.Context, h *netfs.Host) {
				for n := range 4 {
					if i == 2 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, 30*time.Millisecond<<n)
						defer cancel()
					}
					slot := strconv.Itoa(n)
					data, err := h.Token()
					if err != nil {
						t.Error(err)
					}
					p.mu.Lock()
					p.tried[slot+" "+data] = true
					p.mu.Unlock()
					got, err := way.Put(ctx, h, h.Share, slot, data)
					p.note(t, slot, data, got, err)
				}
			})
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		filled, unknown = p.check(t, way, s.Host("check")), p.unknown
	})
	return filled, unknown
}

// Of all Puts on one slot one wins; what was acknowledged or shown to a loser
// stays; what was reported as not done never appears; and no slot is anything
// but a whole record, whatever is lost, late or doubled. BOBBIN_TEST_FULL runs
// more seeds.
func TestPutPromises(t *testing.T) {
	seeds := uint64(500)
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		seeds = 20000
	}
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		first, last := uint64(0), seeds
		if way == netfs.ViaDir {
			last = 2 * seeds
		}
		filled, unknown := 0, 0
		for seed := first; seed < last && !t.Failed(); seed++ {
			f, u := putRun(t, seed, way)
			filled, unknown = filled+f, unknown+u
		}
		t.Logf("%s: %d slots in %d runs, %d outcomes unknown", way, filled, last, unknown)
		if uint64(filled) < 2*last || unknown == 0 {
			t.Errorf("%s: %d slots in %d runs, %d outcomes unknown: the test tests nothing", way, filled, last, unknown)
		}
	}
}

// A crash and an error at each operation of a Put, which is carried out, or
// not, or later, leave a whole record or none, and nothing else but names with
// a dot. Another host goes on from there.
func TestPutBreakOff(t *testing.T) {
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
		for k, hit := 0, true; hit; k++ {
			for seed := range uint64(8) {
				for _, at := range []simfs.At{{}, {Applied: true}, {Late: true}} {
					at.Host, at.Op = "a", k
					hit = breakOff(t, way, seed, at)
				}
			}
		}
	}
}

// breakOff puts with a fault, giving up at the first error, and tells whether
// the Put had as many operations.
func breakOff(t *testing.T, way netfs.Way, seed uint64, at simfs.At) (hit bool) {
	name := fmt.Sprintf("%s, seed %d, %+v", way, seed, at)
	o := simfs.Options{Seed: seed, Profile: netfs.ProfileFor("local", nil), CrashAt: &at}
	if seed%2 == 0 {
		o.CrashAt, o.FailAt = nil, &at
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		a, b := s.Host("a"), s.Host("b")
		ctx := context.Background()
		var put error
		s.Go(a, func(ctx context.Context, h *netfs.Host) {
			ctx, cancel := context.WithCancel(ctx)
			h.Sleep = func(context.Context, time.Duration) error {
				cancel()
				return context.Canceled
			}
			_, put = way.Put(ctx, h, h.Share, "1", "from a")
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		hit = s.OpsOf(a) > at.Op
		text, none := way.Get(ctx, b.Share, "1")
		if none == nil && text != "from a" || none != nil && !errors.Is(none, fs.ErrNotExist) {
			t.Errorf("%s: the slot holds %q (%v)", name, text, none)
		}
		unknown := errors.Is(put, simfs.ErrDead) || errors.Is(put, netfs.ErrUncertain)
		if put == nil && none != nil || put != nil && !unknown && none == nil {
			t.Errorf("%s: Put said %v, then Get %v", name, put, none)
		}
		_, err := way.Put(ctx, b, b.Share, "1", "from b")
		if (err == nil) != (none != nil) || err != nil && !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: the slot was %q (%v), the next Put: %v", name, text, none, err)
		}
		names, err := s.Server().List(".")
		for _, n := range names {
			if n != "1" && !strings.HasPrefix(n, ".t.") || err != nil {
				t.Errorf("%s: left %q (%v)", name, names, err)
			}
		}
	})
	return hit
}
