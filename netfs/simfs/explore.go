package simfs

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Model is a small configuration that [Explore] runs in every possible way.
//
// Its processes run the shipped code; what is chosen is which of their parked
// calls comes next, when time passes, when a late request arrives and which
// fate a call has. Options.Faults says by any chance above 0 which faults may
// happen; Pause, Full, WriteErr, WriteBack and Stale are not chosen.
type Model struct {
	// Options of each run. HoldDirs must be false: held directories are no part
	// of the states.
	Options Options
	// Setup prepares the server, once, without a schedule. It all happened an
	// hour before the runs. It may be nil.
	Setup func(s *Sim) error
	// Start makes the processes of a run. What it does itself, before the
	// processes begin, happens at once and without faults. It returns what
	// judges the run when all have ended: judge works on a quiet share and says
	// what is wrong. It may depend on what each process was told, and not on
	// the order in which different processes were told.
	Start func(s *Sim) (judge func() error)
}

// Bound limits an exploration.
type Bound struct {
	// Faults is how many calls of one run may have another fate than success.
	Faults int
	// Switches is how often in one run the schedule may leave the process that
	// went on last although it could go on, for another one or for time to
	// pass; no limit if negative. Those who were left wait as long as it likes.
	Switches int
	// States ends the exploration when so many states were seen; 1,000,000 if zero.
	States int
	// Steps is the most operations of one run; 2,000 if zero.
	Steps int
	// Until is when the last choice comes: from then on parked calls are carried
	// out in a fixed order, time passes when none is left, and a run that could
	// go on for ever by turns of bad luck ends. 10 minutes if zero.
	Until time.Duration
}

// Explored is what an exploration came to.
type Explored struct {
	// Runs began anew each, States are the different states at which there was
	// a choice, Steps the operations carried out, Depth the most of one run.
	Runs, States, Steps, Depth int
	// Complete says that every run within the bound's Faults, Switches and Until was
	// made, or led to a state that was seen before.
	Complete bool
	// Failure is what judge said of a run, or that one did not end, and Trace
	// that run's operations. Of all runs that fail it has the fewest faults,
	// and of these the fewest switches.
	Failure error
	Trace   string
}

// String tells the figures in one line.
func (e Explored) String() string {
	what := "complete"
	if !e.Complete {
		what = "not complete"
	}
	return fmt.Sprintf("%d states, %d runs, %d operations, at most %d in a run, %s", e.States, e.Runs, e.Steps, e.Depth, what)
}

// errSeen ends a run that came to a state from which all was explored.
var errSeen = errors.New("seen before")

// Explore makes all runs of a model within a bound, depth first, each from its
// beginning in a bubble of its own.
//
// # What is abstracted
//
// An operation takes no time, and its reply none. Time passes only by a choice,
// up to the end of the shortest sleep; a call may be parked meanwhile, so every
// sleep is a lower bound on what others do in it, and none is an upper one.
// Directories that change between two such choices keep their stamps, as within
// one tick of a coarse clock. A crash is chosen at calls that change the share
// alone: at any other place it is the same to everybody else. Calls that
// touch nothing which another process can see (reading what was opened,
// writing to the page cache) come at once: they change places with every call of the others
// without effect. Of other calls that a crashing process has under way on other
// lanes, one outcome is looked at. A fault has one errno, EIO or the like.
//
// # Why a state need not be explored twice
//
// The code of a process is deterministic: its state is what it was started
// with and the replies it got, with their times. So two states in which the
// server's tree with all stamps, the time, each process's past, what its
// computer remembers and the late requests are the same have the same futures.
// They are compared by a hash of 64 bits: among a million states a collision
// has a chance of 1 in 30 million.
func Explore(t *testing.T, m Model, b Bound) Explored {
	t.Helper()
	if b.States == 0 {
		b.States = 1_000_000
	}
	if b.Steps == 0 {
		b.Steps = 2000
	}
	if b.Until == 0 {
		b.Until = 10 * time.Minute
	}
	root := m.prepare(t)
	all := search{m: m, b: b, root: root}
	all.run(t)
	if all.out.Failure == nil {
		return all.out
	}
	out := all.out
	for faults := 0; faults <= all.failed.faults; faults++ {
		for switches := 0; faults < all.failed.faults || switches < all.failed.switches; switches++ {
			less := search{m: m, root: root, b: Bound{faults, switches, b.States, b.Steps, b.Until}}
			less.run(t)
			out.Runs, out.Steps = out.Runs+less.out.Runs, out.Steps+less.out.Steps
			if less.out.Failure != nil {
				out.Failure, out.Trace = less.out.Failure, less.out.Trace
				return out
			}
			if less.capped == 0 {
				break // more switches allow nothing more
			}
		}
	}
	return out
}

// prepare runs Setup and returns the tree that it made.
func (m Model) prepare(t *testing.T) (root *inode) {
	t.Helper()
	if m.Options.HoldDirs {
		t.Fatal("simfs: held directories are no part of a state that is explored")
	}
	o := m.Options
	o.Seed += 1 << 40 // other random bytes than those of the runs
	o.Faults = Faults{}
	synctest.Test(t, func(t *testing.T) {
		s := New(o)
		defer s.kill()
		if m.Setup != nil {
			if err := m.Setup(s); err != nil {
				t.Fatalf("set up the model: %v", err)
			}
		}
		s.server.root.age(s.now() + time.Hour)
		root = s.server.root
	})
	if t.Failed() {
		t.FailNow()
	}
	return root
}

// age makes all stamps of a tree older, and its changes those of no run.
func (n *inode) age(by time.Duration) {
	done := map[*inode]bool{}
	var walk func(n *inode)
	walk = func(n *inode) {
		if done[n] {
			return
		}
		done[n] = true
		n.mtime, n.ctime, n.change = n.mtime-by, n.ctime-by, 0
		for _, e := range n.ents {
			walk(e.node)
		}
	}
	walk(n)
}

// clone copies a tree; links to one file stay such.
func (n *inode) clone(done map[*inode]*inode) *inode {
	if c := done[n]; c != nil {
		return c
	}
	c := new(inode)
	*c = *n
	c.parent, c.ents = nil, make([]entry, len(n.ents))
	done[n] = c
	for i, e := range n.ents {
		c.ents[i] = entry{e.key, e.name, e.node.clone(done)}
		if e.node.isDir() {
			c.ents[i].node.parent = c
		}
	}
	return c
}

// search is one depth-first search.
type search struct {
	m      Model
	b      Bound
	root   *inode
	seen   map[uint64][]spent
	path   []branch
	out    Explored
	failed spent
	capped int // choices that the bound on switches forbade
}

// spent is what a run has had of what is bounded.
type spent struct{ faults, switches int }

func (a spent) within(b spent) bool { return a.faults <= b.faults && a.switches <= b.switches }

// branch is a choice on the way of the present run.
type branch struct{ taken, of int }

// run searches until there is nothing left, or a run failed.
func (q *search) run(t *testing.T) {
	q.seen = map[uint64][]spent{}
	q.out.Complete = true
	for {
		if q.once(t, 1); q.out.Failure != nil {
			q.once(t, q.b.Steps) // the same, with a trace
		}
		if q.out.Failure != nil || len(q.seen) >= q.b.States {
			q.out.Complete = false
			break
		}
		for len(q.path) > 0 && q.path[len(q.path)-1].taken+1 >= q.path[len(q.path)-1].of {
			q.path = q.path[:len(q.path)-1]
		}
		if len(q.path) == 0 {
			break
		}
		q.path[len(q.path)-1].taken++
	}
	q.out.States = len(q.seen)
}

// once makes one run, along the path as far as that goes. It remembers the last
// operations, so many.
func (q *search) once(t *testing.T, traceLen int) {
	synctest.Test(t, func(t *testing.T) {
		o := q.m.Options
		o.TraceLen = traceLen
		s := New(o)
		defer s.kill()
		s.server.root = q.root.clone(map[*inode]*inode{})
		w := &walk{search: q}
		s.setFaults(Faults{})
		judge := q.m.Start(s)
		s.setWalk(w)
		err := s.Run()
		s.setWalk(nil)
		q.out.Runs++
		q.out.Steps += s.steps
		q.out.Depth = max(q.out.Depth, s.steps)
		if errors.Is(err, errSeen) {
			return
		}
		if err == nil {
			err = judge()
		}
		if err != nil {
			q.out.Failure, q.out.Trace, q.failed = err, s.Trace(), w.spent
		}
	})
}
