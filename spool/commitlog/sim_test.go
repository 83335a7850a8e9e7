package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	s := &ids{seq: map[string]uint64{}}
	return commitlog.New(commitlog.Config{
		Host: h, FS: h.Share, Dir: "log", Way: netfs.ViaSymlink, RecordMax: 500,
		Apply: s.apply, Snapshot: s.snapshot, Load: s.load,
		Tuning: tuning,
	}), s
}

func (o *told) work(ctx context.Context, h *netfs.Host, steps int) {
	l, s := idsLog(h, o.tuning)
	for n := range steps {
		if ctx.Err() != nil {
			return
		}
		if n%11 == 10 {
			l, s = idsLog(h, o.tuning)
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
// and are cleared away at once, with pauses that are longer than many of them.
func TestGenerations(t *testing.T) {
	first, seeds := uint64(1), uint64(150)
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		seeds = 3000
	}
	if v := os.Getenv("BOBBIN_SIM_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, seeds = seed, 1
	}
	for seed := first; seed < first+seeds && !t.Failed(); seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { runGenerations(t, seed) })
	}
}

func runGenerations(t *testing.T, seed uint64) {
	faults := simfs.Faults{Pause: 0.03 + 0.05*float64(seed%3), PauseMax: time.Second}
	tuning := commitlog.Tuning{Slots: 3 + int(seed%4)*3, KeepFor: time.Nanosecond, Inline: 60}
	if seed%2 == 0 {
		// The format counts on requests that are less late than this.
		tuning.KeepFor = 320 * time.Millisecond
		faults.Crash, faults.Fail, faults.Lost, faults.Twice = 0.0003, 0.005, 0.01, 0.01
		faults.Late, faults.Echo, faults.LateMax = 0.005, 0.005, 300*time.Millisecond
	}
	o := simfs.Options{TraceLen: 1000000, Seed: seed, Faults: faults, Tick: time.Nanosecond, HoldDirs: seed%3 == 0}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		for _, d := range commitlog.Dirs("log") {
			if err := s.Server().MkdirAll(d); err != nil {
				t.Fatal(err)
			}
		}
		out := &told{t: t, tuning: tuning}
		for i := range 4 + int(seed%3)*2 {
			s.Go(s.Host(fmt.Sprintf("h%d", i)), func(ctx context.Context, h *netfs.Host) { out.work(ctx, h, 40) })
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		s.SetFaults(simfs.Faults{})
		l, state := idsLog(s.Host("audit"), tuning)
		if _, err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		out.saw("audit", state.list)
		out.audit(t, state.list)
		l, _ = idsLog(s.Host("check"), tuning)
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
	if len(o.acked) < 10 {
		t.Errorf("only %d commits: the run proves nothing", len(o.acked))
	}
}
