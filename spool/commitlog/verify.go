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
	// Code is one of the words below.
	Code string
	// Litter: a crash left it and nothing refers to it, or it is history that
	// no reader needs.
	Litter bool
	// Err says what is wrong.
	Err error
}

// The codes of faults.
const (
	FaultSlotEmpty   = "slot-empty"   // a power failure left a slot without content
	FaultSlotDamaged = "slot-damaged" // a slot holds no record
	FaultSlotMissing = "slot-missing" // later slots exist
	FaultForked      = "slot-forked"  // it does not follow the record before
	FaultPayload     = "payload"      // a record's payload is missing or damaged
	FaultBase        = "base"         // a base or part is missing or damaged
	FaultNewer       = "newer"        // written by a newer version
	FaultUnfinished  = "repair-unfinished"
	FaultHistory     = "history" // in a generation that a base has replaced
	FaultOrphan      = "orphan"  // no record and no base refers to it
	FaultTemporary   = "slot-temporary"
	FaultStray       = "stray" // no name that the log gives
)

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
	faults  []Fault
	gens    []*generation
	used    map[string]bool // names below p/ and s/ that something refers to
	broken  bool            // the chain cannot be followed to its end
	partial bool            // likewise, before the newest base
}

func (v *verifier) litter(code, name, text string) {
	v.faults = append(v.faults, Fault{name, code, true, errors.New(text)})
}

func (v *verifier) wrong(code, name string, err error) {
	if errors.Is(err, ErrNewer) {
		code = FaultNewer
	}
	v.faults = append(v.faults, Fault{name, code, false, err})
	v.broken = true
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
	for i := max(0, len(v.gens)-2); i < len(v.gens); i++ {
		if err := v.chain(ctx, v.gens[i]); err != nil {
			return err
		}
		newest := v.gens[len(v.gens)-1]
		if v.gen != nil && v.gen.first >= newest.first {
			break
		}
		if i < len(v.gens)-1 {
			v.forgive()
		}
	}
	return v.orphans(ctx)
}

// forgive turns what was found so far into history: a newer base has
// replaced it.
func (v *verifier) forgive() {
	for i := range v.faults {
		v.faults[i].Litter, v.faults[i].Code = true, FaultHistory
	}
	v.partial = v.partial || v.broken
	v.broken = false
}

// chain reads the generation g and those that follow from it.
func (v *verifier) chain(ctx context.Context, g *generation) error {
	if e, ended, err := v.ending(ctx, g); err != nil && !damaged(err) {
		return err
	} else if err != nil {
		v.wrong(FaultSlotDamaged, v.endOf(g), err)
	} else if newest := v.gens[len(v.gens)-1]; ended && g != newest {
		return nil // repaired: the next begins with what was left
	} else if ended {
		if v.outdated(ctx) {
			return errCollected
		}
		v.wrong(FaultUnfinished, v.genDir(e.generation()), fmt.Errorf("a repair was broken off before it made this directory: %w", fs.ErrNotExist))
		return nil
	}
	err := v.start(ctx, g)
	if err != nil && damaged(err) {
		if v.outdated(ctx) {
			return errCollected
		}
		v.wrong(FaultBase, path.Join(v.Dir, "s", g.name()), err)
		return nil
	}
	v.refers(g)
	for more := true; more && err == nil; {
		more, err = v.generation(ctx)
	}
	return err
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
		case ok, n == endName, n == closedName:
		case netfs.Temporary(n):
			v.litter(FaultTemporary, name, "a slot that is being made, or was given up; it is ignored")
		default:
			v.litter(FaultStray, name, "no slot's name; it is ignored")
		}
	}
	newest, missing := newestOf(names), 0
	for seq := v.gen.first + 1; missing <= maxMissing; seq++ {
		r, err := v.slotAt(ctx, seq)
		if errors.Is(err, fs.ErrNotExist) && seq <= newest {
			r, err = v.slotAfresh(ctx, seq)
		}
		switch {
		case errors.Is(err, errCollected):
			return false, err
		case errors.Is(err, fs.ErrNotExist) && seq > newest:
			return false, nil
		case errors.Is(err, endedError{}):
			if v.outdated(ctx) {
				return false, errCollected
			}
			v.wrong(FaultUnfinished, path.Join(dir, fmt.Sprint(seq)), errors.New("a repair closed this generation and did not begin another one"))
			return false, nil
		case err != nil && damaged(err):
			v.wrong(v.codeOf(r, seq, err), path.Join(dir, fmt.Sprint(seq)), err)
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
	v.wrong(FaultSlotMissing, path.Join(dir, fmt.Sprint(newest)), fmt.Errorf("%w: too many slots are missing before it", ErrCorrupt))
	return false, nil
}

// codeOf names what is wrong with a slot; r is its record if there is one.
func (v *verifier) codeOf(r *Record, seq uint64, err error) string {
	switch {
	case r == nil && errors.Is(err, fs.ErrNotExist):
		return FaultSlotMissing
	case r == nil && errors.Is(err, errEmptySlot):
		return FaultSlotEmpty
	case r == nil:
		return FaultSlotDamaged
	case seq == v.at.seq+1 && r.Prev != v.at.hash:
		return FaultForked
	}
	return FaultPayload
}

// slotAfresh is slotAt for a slot that was missing before others, as the client
// may have remembered (H34).
func (v *verifier) slotAfresh(ctx context.Context, seq uint64) (*Record, error) {
	if _, err := netfs.Fresh(ctx, v.FS, v.genDir(v.gen)); err != nil {
		return nil, err
	}
	return v.slotAt(ctx, seq)
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
		v.wrong(FaultBase, path.Join(v.Dir, "s", g.name()), err)
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
	load, err := v.readState(ctx, b)
	if err == nil {
		err = load()
	}
	if err != nil {
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
	if v.broken || v.partial {
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
			v.litter(FaultOrphan, path.Join(dir, n), "nothing refers to it; it may be removed")
		}
	}
	return nil
}
