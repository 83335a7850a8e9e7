package twofuse

import (
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Fault is what goes wrong with one request; the zero value is nothing.
type Fault struct {
	// Err is what the kernel is told.
	Err syscall.Errno
	// Done: the request is carried out nevertheless.
	Done bool
	// Delay is how long the request waits before anything else happens. It
	// is carried out even if its process is killed meanwhile (H12).
	Delay time.Duration
}

// Injector decides on each request. It is called from several goroutines.
type Injector func(op Op) Fault

// Changing are the kinds whose errors leave the outcome open.
var Changing = []Op{Symlink, Link, Mkdir, Unlink, Rmdir, Rename, Create, Write, Flush, Fsync, Fsyncdir}

// Random returns an injector that lets the share of rate of the requests of
// the given kinds fail with one of errnos, half of them done, and delays as
// many by up to 20 ms. The sequence of faults follows from the seed; to which
// requests they come is up to the kernel's scheduler.
func Random(seed uint64, rate float64, ops []Op, errnos []syscall.Errno) Injector {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	return func(op Op) Fault {
		if !slices.Contains(ops, op) {
			return Fault{}
		}
		mu.Lock()
		defer mu.Unlock()
		switch x := rng.Float64(); {
		case x < rate:
			return Fault{Err: errnos[rng.IntN(len(errnos))], Done: rng.IntN(2) == 0}
		case x < 2*rate:
			return Fault{Delay: time.Duration(rng.Int64N(int64(20 * time.Millisecond)))}
		}
		return Fault{}
	}
}

// serve counts a request, lets an injected fault happen and calls do. When do
// succeeded and the kernel is told otherwise, undo takes back what the kernel
// will now not know of: a reference, not the change.
func (d *daemon) serve(op Op, do func() error, undo func()) fuse.Status {
	d.mu.Lock()
	d.counts[op]++
	inject := d.inject
	d.mu.Unlock()
	var fault Fault
	if inject != nil {
		fault = inject(op)
	}
	time.Sleep(fault.Delay)
	if fault.Err != 0 && !fault.Done {
		return fuse.Status(fault.Err)
	}
	err := do()
	if err == nil && fault.Err != 0 {
		if undo != nil {
			undo()
		}
		return fuse.Status(fault.Err)
	}
	return fuse.ToStatus(err)
}
