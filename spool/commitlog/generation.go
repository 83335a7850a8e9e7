package commitlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// A log is cut into generations. Each is a directory of slots and begins with
// a base, which holds the state before its first slot; only the first one
// begins with nothing. The last record of a generation, the rotation, names
// the base of the next. The first generation is short and never removed, so
// that nobody can take a log whose beginning is gone for a new one.
//
// A generation's directory is made after its rotation was acknowledged, by
// somebody who knows that: a listing shows only generations that count.

const (
	firstDir  = "g.0"
	genPrefix = "g."
	opRotate  = "rotate" // rotate:BASE:SIZE
)

type generation struct {
	first  uint64 // the number of the rotation that began it; 0 in the first
	base   string // the id of its base; "" in the first
	size   int64  // of the base, in bytes
	man    *base  // the base without its text; nil until somebody asks for it
	tokens map[string]uint64
	since  uint64    // the first record that tokens tells of
	next   uint64    // the first record that the next base tells of
	mine   bool      // the last slot was written by this view
	seen   bool      // its directory was there
	turn   witnessed // the rotation by which this view came here; empty if by a listing
}

// witnessed is a record that a view has read or written.
type witnessed struct {
	slot, line string // where it stands, and the record
	base       string // of its generation; "" of the first
}

func (g *generation) record(slot, line string) witnessed {
	w := witnessed{slot: slot, line: line}
	if g.first > 0 {
		w.base = g.name()
	}
	return w
}

func (g *generation) dir() string {
	if g.first == 0 {
		return firstDir
	}
	return genPrefix + strconv.FormatUint(g.first, 10) + "." + g.base
}

// name is the base's file below s/.
func (g *generation) name() string { return fileName(g.first, g.base) }

// fileName names a base or part that was written for the rotation seq.
func fileName(seq uint64, id string) string { return strconv.FormatUint(seq, 10) + "." + id }

// parseFileName is the inverse of fileName.
func parseFileName(name string) (seq uint64, id string, ok bool) {
	digits, id, _ := strings.Cut(name, ".")
	seq, ok = parseSeq(digits)
	return seq, id, ok && isToken(id)
}

// parseGenerations lists the generations whose directories are among names,
// oldest first.
func parseGenerations(names []string) []*generation {
	var gens []*generation
	for _, n := range names {
		rest, ok := strings.CutPrefix(n, genPrefix)
		if !ok {
			continue
		}
		if n == firstDir {
			gens = append(gens, &generation{})
		} else if seq, id, ok := parseFileName(rest); ok {
			gens = append(gens, &generation{first: seq, base: id})
		}
	}
	slices.SortFunc(gens, func(a, b *generation) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.base, b.base))
	})
	return gens
}

// rotation is what the last record of a generation says.
type rotation struct {
	base string
	size int64
}

func (r rotation) String() string { return fmt.Sprintf("%s:%s:%d", opRotate, r.base, r.size) }

func (r *Record) rotates() bool {
	return len(r.Ops) == 1 && strings.HasPrefix(r.Ops[0], opRotate+":")
}

func rotationOf(r *Record) (rot rotation, ok bool, err error) {
	if !r.rotates() {
		return rot, false, nil
	}
	f := strings.Split(r.Ops[0], ":")
	if len(f) == 3 {
		rot.base = f[1]
		rot.size, err = strconv.ParseInt(f[2], 10, 64)
	}
	if err != nil || !isToken(rot.base) || rot.size <= 0 || rot.String() != r.Ops[0] {
		return rot, true, fmt.Errorf("%w: operation %.80q", ErrCorrupt, r.Ops[0])
	}
	return rot, true, nil
}

// turn begins the generation after a rotation that was just read or written.
func (l *Log) turn(r *Record, rot rotation) {
	g := &generation{
		first: r.Seq, base: rot.base, size: rot.size, mine: l.gen.mine,
		tokens: l.gen.tokens, since: l.gen.first + 1, next: l.gen.first + 1,
		turn: l.gen.record(l.slot(r.Seq), r.line),
	}
	for t, seq := range g.tokens {
		if seq < g.since {
			delete(g.tokens, t)
		}
	}
	l.gen, l.turned, l.recent = g, true, nil
	l.at = position{seq: r.Seq, hash: rot.base, token: l.at.token, tokenSeq: l.at.tokenSeq}
	l.watch.Reset()
}

// confirmBase makes sure that the view's generation has not begun to be
// cleared away. The size is compared because a late CREATE may bring an empty
// file of the name back.
func (l *Log) confirmBase(ctx context.Context) error {
	if l.gen.first == 0 {
		return nil
	}
	i, err := l.FS.Stat(ctx, path.Join(l.Dir, "s", l.gen.name()))
	if errors.Is(err, fs.ErrNotExist) || err == nil && i.Size != l.gen.size {
		return errCollected
	}
	if err != nil || l.gen.turn.slot == "" {
		return err
	}
	return l.confirmTurn(ctx)
}

// confirmTurn makes sure that the rotation still stands that brought this view
// to its generation. A base is there before its rotation: a server that lost
// the one may have kept the other.
func (l *Log) confirmTurn(ctx context.Context) error {
	stands, err := l.stands(ctx, l.gen.turn)
	if err == nil && !stands {
		err = l.wentBack(l.gen.first)
	}
	return err
}

// stands tells whether a record that was read is still there, or was cleared
// away. A generation's base is removed before its slots are; behind it a host
// that does not know may have put another record in the slot.
func (l *Log) stands(ctx context.Context, w witnessed) (bool, error) {
	text, err := l.Way.Fresh(ctx, l.FS, w.slot)
	if err == nil && firstLine(text) == w.line {
		return true, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if w.base == "" {
		return false, nil
	}
	_, err = l.FS.Stat(ctx, path.Join(l.Dir, "s", w.base))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return false, err
}

// loadTries is how often a start is made when generations are cleared away
// faster than they can be read.
const loadTries = 10

// LoadBase reads the newest base, and the machine begins to take it in, in another
// goroutine, while the caller asks the share for something else: it must not
// use the machine's state before it has called Refresh. It does nothing for a
// view that has begun.
func (l *Log) LoadBase(ctx context.Context) error {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if l.gen != nil || l.dead != nil || l.doubt != nil {
		return nil
	}
	if err := l.load(ctx); err != nil {
		return err
	}
	l.begun = true
	l.loadAside()
	return nil
}

// load forgets what was read and starts from the newest base, which
// the machine takes in when loaded is called.
func (l *Log) load(ctx context.Context) (err error) {
	for try := range loadTries {
		if try > 0 {
			// The listing was out of date.
			if serr := l.Host.Sleep(ctx, 20*time.Millisecond<<try); serr != nil {
				return err
			}
		}
		var names []string
		if names, err = l.FS.ReadDir(ctx, l.Dir); err != nil {
			return err
		}
		gens := parseGenerations(names)
		if len(gens) == 0 {
			return &fs.PathError{Op: "read", Path: path.Join(l.Dir, firstDir), Err: fs.ErrNotExist}
		}
		if err = l.readStart(ctx, gens[len(gens)-1]); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return err
}

// start begins a view where a generation begins.
func (l *Log) start(ctx context.Context, g *generation) error {
	if err := l.readStart(ctx, g); err != nil {
		return err
	}
	return l.loaded()
}

// readStart is start, but for what needs nothing more of the share: that the
// machine takes in the state is left to loaded.
func (l *Log) readStart(ctx context.Context, g *generation) error {
	l.gen, l.at, l.recent, l.whole, l.loading = nil, position{}, nil, false, nil
	l.watch.Reset()
	b, err := l.readBase(ctx, g)
	if err == nil {
		l.loading, err = l.readState(ctx, b)
	}
	if err != nil {
		return fmt.Errorf("base of %s: %w", g.dir(), err)
	}
	g.tokens, g.since, g.next = b.tokens, b.since, b.next
	g.man, g.seen = b, true
	l.gen = g
	l.at = position{seq: g.first, hash: noPrev}
	l.at.token, l.at.tokenSeq = b.newest()
	b.text, b.tokens = nil, nil
	if g.first > 0 {
		l.at.hash = g.base
	}
	return nil
}

// loaded makes sure that the machine has the state where the view begins.
func (l *Log) loaded() error {
	if l.loading == nil {
		return nil
	}
	err := l.loading()
	if l.loading = nil; err != nil {
		err = fmt.Errorf("base of %s: %w", l.gen.dir(), err)
		l.gen, l.at = nil, position{}
	}
	return err
}

// loadAside has the machine take in the state in another goroutine.
func (l *Log) loadAside() {
	if load := l.loading; load != nil {
		done := make(chan error, 1)
		go func() { done <- load() }()
		l.loading = func() error { return <-done }
	}
}

// readState reads the state that b describes; load gives it to the machine.
func (l *Log) readState(ctx context.Context, b *base) (load func() error, err error) {
	if l.Load == nil {
		return nil, nil
	}
	text, files := b.text, make([][]byte, len(b.parts))
	for i, p := range b.parts {
		if files[i], err = l.readBytes(ctx, p.file); err != nil {
			return nil, fmt.Errorf("part %s: %w", p.name(), err)
		}
	}
	return func() error {
		if err := l.Load(nil); err != nil {
			return err
		}
		for i, p := range b.parts {
			part, err := l.partOf(p, files[i])
			if err == nil {
				err = l.Load(part)
			}
			if files[i] = nil; err != nil {
				return fmt.Errorf("part %s: %w", p.name(), err)
			}
		}
		if len(text) == 0 {
			return nil
		}
		return l.Load(text)
	}, nil
}

// newest returns the newest record whose token a base has, but for rotations,
// which not every base has.
func (b *base) newest() (token string, seq uint64) {
	for t, n := range b.tokens {
		if n > seq && n+1 != b.next {
			token, seq = t, n
		}
	}
	return token, seq
}

// makeDir makes the directory of the view's generation.
func (l *Log) makeDir(ctx context.Context) error {
	if l.gen.seen {
		return l.dirGone(ctx)
	}
	err := netfs.MkdirAll(ctx, l.Host, l.FS, l.genDir(l.gen))
	l.gen.seen = err == nil
	return err
}
