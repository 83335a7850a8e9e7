package commitlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/bobbinmail/bobbin/netfs"
)

// Fault is what Verify found about one file.
type Fault struct {
	// Name is the file below the tree of the log.
	Name string
	// Litter: a crash left it and nothing refers to it.
	Litter bool
	// Err says what is wrong.
	Err error
}

// Verify reads the slots, payloads, bases and parts of the generations that
// count one by one, applies the records as far as the chain is whole, and
// reports all faults. The error is for what kept it from reading. It is for a
// view that has read nothing yet.
func (l *Log) Verify(ctx context.Context) ([]Fault, error) {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	for range loadTries {
		v := &verifier{Log: l, used: map[string]bool{}}
		if err = v.run(ctx); !errors.Is(err, errCollected) {
			return v.faults, err
		}
	}
	return nil, err
}

type verifier struct {
	*Log
	faults []Fault
	gens   []*generation
	used   map[string]bool // names below p/ and s/ that something refers to
	broken bool            // the chain cannot be followed to its end
}

func (v *verifier) fault(name string, litter bool, err error) {
	v.faults = append(v.faults, Fault{name, litter, err})
	v.broken = v.broken || !litter
}

// damaged tells errors that speak of a file from those that keep us from
// reading it.
func damaged(err error) bool {
	return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer) || errors.Is(err, fs.ErrNotExist)
}

func (v *verifier) run(ctx context.Context) error {
	if _, err := netfs.Fresh(ctx, v.FS, v.Dir); err != nil {
		return err
	}
	names, err := v.FS.ReadDir(ctx, v.Dir)
	if err != nil {
		return err
	}
	if v.gens = parseGenerations(names); len(v.gens) == 0 {
		return &fs.PathError{Op: "read", Path: path.Join(v.Dir, firstDir), Err: fs.ErrNotExist}
	}
	if ok, err := v.begin(ctx); !ok || err != nil {
		return err
	}
	for {
		more, err := v.generation(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
	}
	return v.orphans(ctx)
}

// begin starts where the last generation but one begins, or as near to it as
// there is a base.
func (v *verifier) begin(ctx context.Context) (bool, error) {
	for i := max(0, len(v.gens)-2); i < len(v.gens); i++ {
		g := v.gens[i]
		err := v.start(ctx, g)
		if err == nil {
			v.refers(g)
			return true, nil
		}
		if !damaged(err) {
			return false, err
		}
		v.fault(path.Join(v.Dir, "s", g.name()), false, err)
	}
	return false, nil
}

func (v *verifier) refers(g *generation) {
	v.used[g.name()] = true
	if g.man != nil {
		for _, p := range g.man.parts {
			v.used[p.file] = true
		}
	}
}

// maxMissing is how many damaged slots Verify reports.
const maxMissing = 1000

// generation reads the slots of the view's generation and reports whether
// another follows.
func (v *verifier) generation(ctx context.Context) (bool, error) {
	dir := v.genDir(v.gen)
	names, err := v.FS.ReadDir(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, v.confirm(ctx)
	}
	if err != nil {
		return false, err
	}
	for _, n := range names {
		_, ok := parseSeq(n)
		switch name := path.Join(dir, n); {
		case ok:
		case netfs.Temporary(n):
			v.fault(name, true, errors.New("a slot that is being made, or was given up; it is ignored"))
		default:
			v.fault(name, true, errors.New("no slot's name; it is ignored"))
		}
	}
	newest, missing := newestOf(names), 0
	for seq := v.gen.first + 1; missing <= maxMissing; seq++ {
		r, err := v.slotAt(ctx, seq)
		switch {
		case errors.Is(err, errCollected):
			return false, err
		case errors.Is(err, fs.ErrNotExist) && seq > newest:
			return false, nil
		case err != nil && damaged(err):
			v.fault(path.Join(dir, fmt.Sprint(seq)), false, err)
			missing++
			if seq >= newest {
				return false, nil
			}
			continue
		case err != nil:
			return false, err
		}
		v.used[path.Base(v.payload(r))] = true
		if r.rotates() && v.at.seq == seq {
			return true, v.baseAfter(ctx)
		}
	}
	v.fault(path.Join(dir, fmt.Sprint(newest)), false, fmt.Errorf("%w: too many slots are missing before it", ErrCorrupt))
	return false, nil
}

// slotAt reads one slot with its payload and, if it is the next in order,
// applies it.
func (v *verifier) slotAt(ctx context.Context, seq uint64) (*Record, error) {
	recs, err := v.read(ctx, seq)
	if err != nil {
		if cerr := v.confirm(ctx); errors.Is(cerr, errCollected) {
			return nil, cerr
		}
		return nil, err
	}
	r := recs[0]
	full, err := v.expand(ctx, r)
	if err == nil && seq == v.at.seq+1 {
		err = v.apply(read1{r, full})
	}
	// Behind a damaged slot the state is unknown, but not the payload.
	return r, err
}

// baseAfter compares the base that begins the view's generation with the state
// that the records led to.
func (v *verifier) baseAfter(ctx context.Context) error {
	g := v.gen
	b, err := v.readBase(ctx, g)
	if err == nil {
		v.refers(&generation{first: g.first, base: g.base, man: b})
		err = v.sameState(ctx, b)
	}
	if errors.Is(err, fs.ErrNotExist) && v.outdated(ctx) {
		return errCollected
	}
	if err != nil && damaged(err) {
		v.fault(path.Join(v.Dir, "s", g.name()), false, err)
		return nil
	}
	return err
}

// outdated tells whether generations have come since the listing.
func (v *verifier) outdated(ctx context.Context) bool {
	names, err := v.FS.ReadDir(ctx, v.Dir)
	gens := parseGenerations(names)
	return err == nil && len(gens) > 0 && gens[len(gens)-1].first > v.gens[len(v.gens)-1].first
}

func (v *verifier) sameState(ctx context.Context, b *base) error {
	if v.Snapshot == nil || v.broken {
		return nil
	}
	byRecords, _ := v.Snapshot(0)
	if err := v.loadState(ctx, b); err != nil {
		return err
	}
	if byBase, _ := v.Snapshot(0); !bytes.Equal(byBase, byRecords) {
		return fmt.Errorf("%w: it says something else than the records before it", ErrCorrupt)
	}
	return nil
}

// orphans reports files that no record and no base refers to, or that of
// generations long gone. One for a later record may belong to a commit under
// way.
func (v *verifier) orphans(ctx context.Context) error {
	if v.broken {
		return nil // what refers to them may be in the part that cannot be read
	}
	for _, n := range v.named() {
		v.used[n] = true
	}
	for _, dir := range []string{path.Join(v.Dir, "p"), path.Join(v.Dir, "s")} {
		names, err := v.FS.ReadDir(ctx, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, n := range names {
			seq, _, ok := parseFileName(n)
			if v.used[n] || ok && (seq > v.at.seq || seq <= v.gens[max(0, len(v.gens)-2)].first) {
				continue // in use, under way, or cleared away with its generation
			}
			v.fault(path.Join(dir, n), true, errors.New("nothing refers to it; it may be removed"))
		}
	}
	return nil
}
