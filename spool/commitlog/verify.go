package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

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

// Verify reads every slot and payload one by one, applies the records as far
// as the chain is whole, and reports all faults. The error is for what kept
// it from reading. It is for a view that has read nothing yet.
func (l *Log) Verify(ctx context.Context) ([]Fault, error) {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if _, err := netfs.Fresh(ctx, l.FS, l.gen()); err != nil {
		return nil, err
	}
	names, err := l.FS.ReadDir(ctx, l.gen())
	if err != nil {
		return nil, err
	}
	faults, newest := l.strays(names)
	used := map[string]bool{}
	missing := 0
	for seq := uint64(1); ; seq++ {
		if missing > maxMissing {
			return append(faults, Fault{Name: l.slot(newest), Err: fmt.Errorf("%w: too many slots are missing before it", ErrCorrupt)}), nil
		}
		r, err := l.verifySlot(ctx, seq)
		switch {
		case errors.Is(err, fs.ErrNotExist) && seq > newest:
			more, err := l.orphans(ctx, used)
			return append(faults, more...), err
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrNewer), errors.Is(err, fs.ErrNotExist):
			faults = append(faults, Fault{Name: l.slot(seq), Err: err})
			missing++
			if seq >= newest {
				return faults, nil
			}
			continue
		case err != nil:
			return nil, err
		}
		used[path.Base(l.payload(r))] = true
	}
}

// maxMissing is how many damaged slots Verify reports.
const maxMissing = 1000

// strays reports names that are no slots, and the highest number.
func (l *Log) strays(names []string) (faults []Fault, newest uint64) {
	for _, n := range names {
		seq, ok := parseSeq(n)
		newest = max(newest, seq)
		if !ok {
			faults = append(faults, Fault{path.Join(l.gen(), n), true, errors.New("no slot's name; it is ignored")})
		}
	}
	return faults, newest
}

// verifySlot reads one slot with its payload and, if it is the next in order,
// applies it.
func (l *Log) verifySlot(ctx context.Context, seq uint64) (*Record, error) {
	recs, err := l.read(ctx, seq)
	if err != nil {
		return nil, err
	}
	r := recs[0]
	if seq != l.seq()+1 {
		// Behind a damaged slot the state is unknown, but not the payload.
		_, err = l.expand(ctx, r)
		return r, err
	}
	return r, l.apply(ctx, r)
}

// orphans reports payloads that no record refers to. One of a later number
// may belong to a commit under way.
func (l *Log) orphans(ctx context.Context, used map[string]bool) ([]Fault, error) {
	names, err := l.FS.ReadDir(ctx, path.Join(l.Dir, "p"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var faults []Fault
	for _, n := range names {
		digits, _, _ := strings.Cut(n, ".")
		seq, err := strconv.ParseUint(digits, 10, 64)
		if used[n] || err == nil && seq > l.seq() {
			continue
		}
		faults = append(faults, Fault{path.Join(l.Dir, "p", n), true, fmt.Errorf("no record refers to it; it may be removed")})
	}
	return faults, nil
}
