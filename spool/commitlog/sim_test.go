package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// ids is a state machine that collects "id:X" operations.
type ids struct {
	list []string
	seq  map[string]uint64
}

func (s *ids) apply(r *commitlog.Record) error {
	for _, op := range r.Ops {
		id := strings.TrimPrefix(op, "id:")
		s.list = append(s.list, id)
		s.seq[id] = r.Seq
	}
	return nil
}

// snapshot writes a line for each record after since.
func (s *ids) snapshot(since uint64) ([]byte, uint64) {
	var b strings.Builder
	for _, id := range s.list {
		if seq := s.seq[id]; seq > since {
			fmt.Fprintf(&b, "%d %s\n", seq, id)
		}
	}
	return []byte(b.String()), since
}

func (s *ids) load(text []byte) error {
	if text == nil {
		*s = ids{seq: map[string]uint64{}}
	}
	for line := range strings.Lines(string(text)) {
		var seq uint64
		var id string
		if _, err := fmt.Sscanf(line, "%d %s\n", &seq, &id); err != nil {
			return err
		}
		s.list = append(s.list, id)
		s.seq[id] = seq
	}
	return nil
}

// told is what the processes of a run were told.
type told struct {
	mu             sync.Mutex
	acked, refused []string
	longest        []string // the longest history anybody saw
	t              *testing.T
	tuning         commitlog.Tuning
	way            netfs.Way
	forgetful      bool // the log loses records
}

// saw checks that all see one history.
func (o *told) saw(who string, list []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := min(len(list), len(o.longest))
	if !slices.Equal(list[:n], o.longest[:n]) {
		o.t.Errorf("%s sees another history:\n%v\n%v", who, list, o.longest)
	}
	if len(list) > len(o.longest) {
		o.longest = slices.Clone(list)
	}
}

func idsLog(h *netfs.Host, tuning commitlog.Tuning) (*commitlog.Log, *ids) {
	return idsLogVia(h, tuning, netfs.ViaSymlink)
}

func idsLogVia(h *netfs.Host, tuning commitlog.Tuning, way netfs.Way) (*commitlog.Log, *ids) {
	s := &ids{seq: map[string]uint64{}}
	return commitlog.New(commitlog.Config{
		Host: h, FS: h.Share, Dir: "log", Way: way, RecordMax: 500,
		Apply: s.apply, Snapshot: s.snapshot, Load: s.load,
		Tuning: tuning,
	}), s
}

func (o *told) log(h *netfs.Host) (*commitlog.Log, *ids) { return idsLogVia(h, o.tuning, o.way) }

func (o *told) work(ctx context.Context, h *netfs.Host, steps int) {
	l, s := o.log(h)
	for n := range steps {
		if ctx.Err() != nil {
			return
		}
		if n%11 == 10 {
			l, s = o.log(h)
		}
		if n%3 == 0 {
			_, err := l.Refresh(ctx)
			o.judge(h, err)
			if err == nil {
				o.saw(h.Tag, s.list)
			}
		}
		id := h.Tag + "." + strconv.Itoa(n)
		if n%9 == 5 {
			id += strings.Repeat("x", 600) // needs a payload
		}
		err := l.Commit(ctx, func() ([]string, error) { return []string{"id:" + id}, nil })
		o.mu.Lock()
		switch {
		case err == nil:
			o.acked = append(o.acked, id)
		case ctx.Err() == nil && !errors.Is(err, netfs.ErrUncertain):
			o.refused = append(o.refused, id)
		}
		o.mu.Unlock()
		o.judge(h, err)
	}
}

func (o *told) judge(h *netfs.Host, err error) {
	if errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, commitlog.ErrNewer) {
		o.t.Errorf("%s: %v", h.Tag, err)
	}
}

// TestGenerations lets processes commit while generations of three slots come
// and are cleared away at once, with pauses that are longer than many of them,
// on shares of every kind.
func TestGenerations(t *testing.T) {
	simfs.Plan{Ops: 400_000, Full: 2_000_000, Run: runGenerations, Case: func(seed uint64) simfs.Case {
		c := simfs.Case{
			Seed: seed, Share: simfs.ShareFor(seed), Hosts: 4 + int(seed%3)*2, Steps: 40, Rounds: 1,
			Faults: simfs.Faults{Pause: 0.03 + 0.05*float64(seed%3), PauseMax: time.Second},
		}
		if f := &c.Faults; seed%2 == 0 {
			f.Crash, f.Fail, f.Lost, f.Twice = 0.0003, 0.005, 0.01, 0.01
			f.Late, f.Echo, f.LateMax = 0.005, 0.005, lateMax
			f.Resent, f.MissList, f.OldList, f.TwiceList = 0.01, 0.05, 0.05, 0.05
			f.Suspend, f.Jump = 0.0005, 0.0005
		}
		return c
	}}.Test(t)
}

// lateMax is how late a request may be: the format counts on less than KeepFor.
const lateMax = 300 * time.Millisecond

func runGenerations(t *testing.T, c simfs.Case) (ops int) {
	o := c.Options()
	if c.Share == "" {
		o.Tick, o.HoldDirs = time.Nanosecond, c.Seed%3 == 0
	}
	out := &told{t: t, way: netfs.ViaSymlink, tuning: commitlog.Tuning{Slots: 3 + int(c.Seed%4)*3, KeepFor: time.Nanosecond, Inline: 60}}
	if c.Faults.Late+c.Faults.Echo > 0 {
		out.tuning.KeepFor = lateMax + 20*time.Millisecond + o.Tick
	}
	if s, ok := simfs.ShareNamed(c.Share); ok {
		out.way = s.Way()
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		for _, d := range commitlog.Dirs("log") {
			if err := s.Server().MkdirAll(d); err != nil {
				t.Fatal(err)
			}
		}
		var hosts []*netfs.Host
		for i := range c.Hosts {
			h := s.Host(fmt.Sprintf("h%d", i))
			hosts = append(hosts, h)
			s.Go(h, func(ctx context.Context, h *netfs.Host) { out.work(ctx, h, c.Steps) })
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		for _, h := range hosts {
			ops += s.OpsOf(h)
		}
		s.SetFaults(simfs.Faults{})
		l, state := out.log(s.Host("audit"))
		if _, err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		out.saw("audit", state.list)
		out.audit(t, state.list)
		l, _ = out.log(s.Host("check"))
		faults, err := l.Verify(t.Context())
		if err != nil {
			t.Error(err)
		}
		for _, f := range faults {
			if !f.Litter {
				t.Errorf("verify: %s: %v", f.Name, f.Err)
			}
		}
	})
	return ops
}

func (o *told) audit(t *testing.T, list []string) {
	count := map[string]int{}
	for _, id := range list {
		if count[id]++; count[id] > 1 {
			t.Errorf("%s was committed twice", id)
		}
	}
	for _, id := range o.acked {
		if count[id] == 0 {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	for _, id := range o.refused {
		if count[id] > 0 {
			t.Errorf("%s was reported as not done and is there", id)
		}
	}
}
