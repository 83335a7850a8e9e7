package simfs

import (
	"fmt"
	"path"
	"strings"
	"syscall"
	"time"
)

// trace remembers the last operations and a digest of all.
type trace struct {
	ring []event
	n    int
	hash uint64
}

type event struct {
	at    time.Duration
	p     *proc
	tree  *tree
	op    op
	name  string
	arg   string
	fate  string
	n     int
	errno syscall.Errno
	err   error
}

func newTrace(size int) trace { return trace{ring: make([]event, size), hash: offset} }

// record notes what became of a call.
func (s *Sim) record(c *call, fate string) {
	e := event{
		at: s.now(), p: c.p, tree: c.tree, op: c.op, name: c.name, arg: c.arg, fate: fate,
		n: c.res.n + len(c.res.names), err: c.res.err,
	}
	e.errno, _ = e.err.(syscall.Errno)
	t := &s.trace
	t.ring[t.n%len(t.ring)] = e
	t.n++
	h := hashWord(t.hash, uint64(e.at))
	h = hashWord(h, uint64(c.p.num)<<32|uint64(c.op)<<16|uint64(e.errno))
	h = hashWord(h, uint64(c.tree.num)<<32|uint64(e.n))
	h = hashWord(h, uint64(c.off))
	h = hashString(h, c.name)
	h = hashString(h, c.arg)
	h = hashString(h, fate)
	h = hashString(h, c.res.str)
	if c.op == opWrite {
		h = hashString(h, c.buf)
	}
	t.hash = h
}

// Digest returns a hash of all operations so far with their times, arguments
// and outcomes: runs with equal digests were equal.
func (s *Sim) Digest() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trace.hash
}

// Trace returns the last operations, one a line: time, process, operation,
// arguments, error, fate.
func (s *Sim) Trace() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.trace
	var b strings.Builder
	for i := max(0, t.n-len(t.ring)); i < t.n; i++ {
		fmt.Fprintf(&b, "%6d %s\n", i, t.ring[i%len(t.ring)])
	}
	return b.String()
}

// String returns the event's line.
func (e event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s#%d %s %s", e.at, e.p.name, e.p.num, opWords[e.op],
		path.Join(e.tree.path, e.name))
	if e.arg != "" {
		fmt.Fprintf(&b, " %.100q", e.arg)
	}
	if e.n > 0 {
		fmt.Fprintf(&b, " (%d)", e.n)
	}
	if e.err != nil {
		fmt.Fprintf(&b, ": %v", e.err)
	}
	if e.fate != "" {
		fmt.Fprintf(&b, " [%s]", e.fate)
	}
	return b.String()
}

// The hash is FNV-1a over words of eight bytes, folded.
const (
	offset = 14695981039346656037
	prime  = 1099511628211
)

func hashWord(h, w uint64) uint64 {
	h = (h ^ w) * prime
	return h ^ h>>29
}

func hashString[T string | []byte](h uint64, s T) uint64 {
	h = hashWord(h, uint64(len(s)))
	for ; len(s) >= 8; s = s[8:] {
		h = hashWord(h, uint64(s[0])|uint64(s[1])<<8|uint64(s[2])<<16|uint64(s[3])<<24|
			uint64(s[4])<<32|uint64(s[5])<<40|uint64(s[6])<<48|uint64(s[7])<<56)
	}
	for i := range len(s) {
		h = hashWord(h, uint64(s[i]))
	}
	return h
}
