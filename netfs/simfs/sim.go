package simfs

import (
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Sim is one simulation: a server and the processes that use it. It lives in
// one synctest bubble. Its methods may be called from several goroutines,
// Run from one at a time.
type Sim struct {
	mu        sync.Mutex // held for instants only, never while something waits
	opt       Options
	faults    Faults
	odds      []odd
	server    Server
	rng       *rand.Rand // the scheduler's
	start     time.Time
	procs     []*proc
	hosts     map[*netfs.Host]*proc
	parked    []*call
	late      []lateCall
	free      []*call
	arrived   chan struct{} // tells the idle scheduler that something happened
	running   bool
	live      int // goroutines started by Go and not ended
	left      int // of those, ended since the scheduler looked last
	steps     int
	faulty    int // faults so far
	sillies   int // names of [Abilities.Silly] so far
	disasters int // of those, of the server
	trace     trace
	// sleepers counts goroutines in Host.Sleep.
	sleepers int
	walk     *walk // nil unless the schedule is chosen by Explore
}

// proc is a client process.
type proc struct {
	sim     *Sim
	client  *client // its host's; nil if that remembers nothing
	num     int
	host    int // the number of its computer's first process
	name    string
	first   bool // the first of its name
	ctx     context.Context
	cancel  context.CancelCauseFunc
	dead    bool
	crashed bool
	lanes   int // goroutines ever started by Go
	live    int // those that go on
	ops     int
	opened  int           // files and trees
	resume  time.Duration // the end of its pause
	frozen  time.Duration // how long its computer was suspended
	files   []*file       // open
	trees   []*tree       // those that hold no directories, open and perhaps closed
	boot    time.Duration
	skew    time.Duration
	randMu  sync.Mutex
	random  *rand.ChaCha8
	past    uint64 // a hash of the replies it got, kept by Explore
}

// New returns a simulation with an empty tree. It must be called in a bubble.
func New(o Options) *Sim {
	o = o.withDefaults()
	s := &Sim{
		opt:     o,
		rng:     rand.New(rand.NewPCG(o.Seed, 0x626f6262696e)),
		start:   time.Now(),
		hosts:   map[*netfs.Host]*proc{},
		arrived: make(chan struct{}, 1),
		trace:   newTrace(o.TraceLen),
	}
	// The server's clock is nobody else's: whoever compares it with a local
	// one finds nonsense.
	epoch := s.start.Add(-time.Duration(s.rng.Int64N(int64(10000 * time.Hour)))).Truncate(o.Tick)
	s.server = Server{mu: &s.mu, clock: s.now, tick: o.Tick, epoch: epoch, max: o.Profile.RecordMax, able: o.Able}
	s.server.root = s.server.newInode(fs.ModeDir | 0o700)
	s.setFaults(o.Faults)
	return s
}

// Run calls fn with a new simulation in a bubble of its own. If the test
// fails, the seed and the last operations are logged. fn uses the t that it is
// given. Processes that are left when fn returns are killed.
func Run(t *testing.T, o Options, fn func(t *testing.T, s *Sim)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New(o)
		defer func() {
			s.kill()
			if t.Failed() {
				t.Logf("seed %d, last operations:\n%s", o.Seed, s.Trace())
			}
		}()
		fn(t, s)
	})
}

// Server returns the file server.
func (s *Sim) Server() *Server { return &s.server }

// SetFaults changes the chances of faults from now on; the zero value ends
// them. CrashAt and FailAt stay. What was done so far is not lost by a server.
func (s *Sim) SetFaults(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.past.saved, s.server.past.durable = nil, s.server.past.changes
	s.setFaults(f)
}

// SetFaultsKeepingPast is SetFaults for a server that may still lose what was
// done.
func (s *Sim) SetFaultsKeepingPast(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setFaults(f)
}

// Host returns the host of a new process on the server's root. While Run is
// at work its calls pass the gate; at other times they are carried out at once
// and without faults, for tests to prepare and to check. name becomes the
// Tag, so it has 1–8 characters of [0-9a-z].
func (s *Sim) Host(name string) *netfs.Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c *client
	if s.opt.Cache != (Caches{}) {
		c = newClient(s.opt.Cache, &s.server)
	}
	return s.process(name, c, len(s.procs), &memory{texts: map[string]string{}})
}

// Process returns the host of another process on the computer of on: what
// that computer's kernel and its disk remember is theirs together.
func (s *Sim) Process(on *netfs.Host, name string) *netfs.Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.proc(on)
	return s.process(name, p.client, p.host, on.Memory)
}

func (s *Sim) process(name string, c *client, host int, m netfs.Memory) *netfs.Host {
	p := &proc{sim: s, client: c, num: len(s.procs), host: host, name: name, first: true}
	for _, q := range s.procs {
		p.first = p.first && q.name != name
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.seed(s.opt)
	s.procs = append(s.procs, p)
	ops := new(netfs.Ops)
	h := &netfs.Host{
		Share:   netfs.Counted(p.newTree(s.server.root, "."), ops, s.opt.Profile),
		Profile: s.opt.Profile,
		Tag:     name,
		Rand:    (*random)(p),
		Wall:    p.wall,
		Boot:    func() time.Duration { return p.boot + s.now() },
		Sleep:   p.sleep,
		Ops:     ops,
		Memory:  m,
	}
	s.hosts[h] = p
	return h
}

// seed makes the process's clocks and random bytes.
func (p *proc) seed(o Options) {
	r := rand.New(rand.NewPCG(o.Seed, uint64(p.num)))
	p.boot = time.Duration(r.Int64N(int64(1000 * time.Hour)))
	if o.WallSkew > 0 {
		p.skew = time.Duration(r.Int64N(2*int64(o.WallSkew)+1)) - o.WallSkew
	}
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], o.Seed)
	binary.LittleEndian.PutUint64(seed[8:], uint64(p.num))
	p.random = rand.NewChaCha8(seed)
}

// random is a process's source of random bytes.
type random proc

func (r *random) Read(b []byte) (int, error) {
	r.randMu.Lock()
	defer r.randMu.Unlock()
	return r.random.Read(b)
}

var _ io.Reader = (*random)(nil)

// Go starts fn as a goroutine of h's process; it begins when Run is at work.
// The process ends when all functions started on h have returned: from then
// on, as after a crash, ctx is cancelled, every call returns [ErrDead], and Go
// does nothing.
func (s *Sim) Go(h *netfs.Host, fn func(ctx context.Context, h *netfs.Host)) {
	s.mu.Lock()
	p := s.proc(h)
	p.lanes++
	p.live++
	s.live++
	ctx := Lane(p.ctx, strconv.Itoa(p.lanes))
	s.mu.Unlock()
	go func() {
		defer s.leave(p)
		if s.do(call{p: p, lane: laneOf(ctx), op: opStart}).err == nil {
			fn(ctx, h)
		}
	}()
}

func (s *Sim) leave(p *proc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.live--
	s.live--
	s.left++
	s.notify()
}

func (s *Sim) proc(h *netfs.Host) *proc {
	p := s.hosts[h]
	if p == nil {
		panic("simfs: not a host of this simulation")
	}
	return p
}

// OpsOf returns how many operations h's process was given in Run: 0 to this
// less one are what CrashAt and FailAt can name. Sleeping, Size and closing a
// tree are no operations.
func (s *Sim) OpsOf(h *netfs.Host) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc(h).ops
}

// Crashed tells whether h's process ended by a crash.
func (s *Sim) Crashed(h *netfs.Host) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc(h).crashed
}

func (s *Sim) now() time.Duration { return time.Since(s.start) }

// notify wakes the scheduler if it is idle.
func (s *Sim) notify() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// do takes a call through the gate and returns its outcome.
func (s *Sim) do(in call) result {
	s.mu.Lock()
	if s.opt.Pace > 0 && !s.running && in.op != opStart {
		s.mu.Unlock()
		time.Sleep(s.opt.Pace)
		s.mu.Lock()
	}
	if in.p.dead {
		s.mu.Unlock()
		return result{err: ErrDead}
	}
	c := s.newCall()
	wake := c.wake
	*c = in
	c.wake = wake
	if s.running || c.op == opStart {
		s.parked = append(s.parked, c)
		s.notify()
		s.mu.Unlock()
		<-wake
		s.mu.Lock()
	} else {
		c.apply()
	}
	defer s.mu.Unlock()
	r := c.res
	*c = call{wake: wake}
	s.free = append(s.free, c)
	return r
}

func (s *Sim) newCall() *call {
	n := len(s.free)
	if n == 0 {
		return &call{wake: make(chan struct{}, 1)}
	}
	c := s.free[n-1]
	s.free = s.free[:n-1]
	return c
}
