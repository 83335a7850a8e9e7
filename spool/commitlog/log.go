package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
)

// ErrNewer means that the log holds something this version does not know.
// Writing stops; the message says what is needed.
var ErrNewer = errors.New("written by a newer version of bobbin")

// Config says where a log is and what its records mean.
type Config struct {
	// Host is the process's host object.
	Host *netfs.Host
	// FS is the tree in which Dir is the log's directory.
	FS  netfs.FS
	Dir string
	// Way and RecordMax are the spool's, from the marker file.
	Way       netfs.Way
	RecordMax int
	// Apply takes a record into the state. Records come once each and in
	// order; an error stops the log at the record before.
	Apply func(*Record) error
	// Begin, if set, runs before the operations of one record are built.
	Begin func()
}

// Log is one process's view of a chain. Its methods may be called from
// several goroutines.
type Log struct {
	Config
	sem *locking.Sem // held while records are read or written

	// guarded by sem
	last    *Record  // nil before the first
	recent  []string // lines of the newest records, newest first, for the tail
	watch   netfs.Watch
	whole   bool // the last reading came to the end of the log
	wins    int
	lastWin time.Duration

	conflicts atomic.Int64

	mu    sync.Mutex // guards queue
	queue []*request
}

// New returns a view that has read nothing yet.
func New(c Config) *Log { return &Log{Config: c, sem: locking.NewSem()} }

// Conflicts is how often another host was first and a record was built again.
func (l *Log) Conflicts() int64 { return l.conflicts.Load() }

// tailMax bounds what a slot carries beyond its own record, in bytes.
const tailMax = 4000

func (l *Log) gen() string { return path.Join(l.Dir, "g.1") }

func (l *Log) slot(seq uint64) string {
	return path.Join(l.gen(), strconv.FormatUint(seq, 10))
}

func (l *Log) payload(r *Record) string {
	return path.Join(l.Dir, "p", strconv.FormatUint(r.Seq, 10)+"."+r.Token)
}

// Dirs lists the directories a log needs, parents first.
func Dirs(dir string) []string {
	return []string{dir, path.Join(dir, "g.1"), path.Join(dir, "p")}
}

func (l *Log) seq() uint64 {
	if l.last == nil {
		return 0
	}
	return l.last.Seq
}

func (l *Log) prev() string {
	if l.last == nil {
		return noPrev
	}
	return l.last.hash()
}

// Refresh reads whatever was committed since the last call and reports
// whether there was anything. An unchanged log costs one operation once its
// directory's stamp has stood still for a grain.
func (l *Log) Refresh(ctx context.Context) (bool, error) {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	return l.refresh(ctx)
}

func (l *Log) refresh(ctx context.Context) (bool, error) {
	changed, err := l.watch.Changed(ctx, l.Host, l.FS, l.gen())
	if err != nil || !changed {
		return false, err
	}
	before := l.seq()
	err = l.readOn(ctx)
	if l.whole = err == nil; !l.whole {
		l.watch.Reset()
	}
	return l.seq() != before, err
}

// stride is how many records are read one by one before a listing is asked
// where the end is.
const stride = 4

// readOn applies all records after the last one.
func (l *Log) readOn(ctx context.Context) error {
	for n := 0; ; n++ {
		if l.last == nil && n == 0 || n == stride {
			if err := l.leap(ctx); err != nil {
				return err
			}
		}
		seq := l.seq() + 1
		recs, err := l.read(ctx, seq)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = l.apply(ctx, recs[0])
		}
		if err != nil {
			return err
		}
	}
}

// read returns slot seq's record and its tail.
func (l *Log) read(ctx context.Context, seq uint64) ([]*Record, error) {
	name := l.slot(seq)
	text, err := l.Way.Get(ctx, l.FS, name)
	if err != nil {
		if errors.Is(err, netfs.ErrIrregular) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil, err
	}
	recs, err := parseSlot(seq, text)
	if err != nil {
		return nil, fmt.Errorf("slot %s: %w", name, err)
	}
	return recs, nil
}

// leap asks a listing for the newest slot and reads back from it by tails.
// The listing is a hint: what it misses is found by reading on.
func (l *Log) leap(ctx context.Context) error {
	names, err := l.FS.ReadDir(ctx, l.gen())
	if err != nil {
		return err
	}
	var newest uint64
	for _, n := range names {
		if seq, ok := parseSeq(n); ok {
			newest = max(newest, seq)
		}
	}
	var back []*Record // newest first
	for seq := newest; seq > l.seq(); {
		recs, err := l.read(ctx, seq)
		if errors.Is(err, fs.ErrNotExist) {
			recs, err = l.insist(ctx, seq, names)
		}
		if err != nil {
			return err
		}
		for _, r := range recs {
			if r.Seq > l.seq() {
				back = append(back, r)
			}
		}
		seq -= uint64(len(recs))
	}
	for i := len(back) - 1; i >= 0; i-- {
		if err := l.apply(ctx, back[i]); err != nil {
			return err
		}
	}
	return nil
}

// insist reads a slot that must exist, because a later one does, and that was
// not found: the client's name cache may be behind.
func (l *Log) insist(ctx context.Context, seq uint64, names []string) ([]*Record, error) {
	for range 3 {
		if _, _, err := netfs.Settled(ctx, l.Host, l.FS, l.gen()); err != nil {
			return nil, err
		}
		if recs, err := l.read(ctx, seq); !errors.Is(err, fs.ErrNotExist) {
			return recs, err
		}
	}
	if slices.Contains(names, strconv.FormatUint(seq, 10)) {
		return nil, fmt.Errorf("slot %s is listed and not found: %w", l.slot(seq), fs.ErrNotExist)
	}
	return nil, fmt.Errorf("slot %s: %w: it is missing although later ones exist", l.slot(seq), ErrCorrupt)
}

func parseSeq(name string) (uint64, bool) {
	seq, err := strconv.ParseUint(name, 10, 64)
	return seq, err == nil && seq > 0 && strconv.FormatUint(seq, 10) == name
}

// apply takes one record, the next in order, into the state.
func (l *Log) apply(ctx context.Context, r *Record) error {
	if r.Seq != l.seq()+1 || r.Prev != l.prev() {
		return fmt.Errorf("slot %s: %w: it does not follow record %d as this host knows it; the share may have been rolled back",
			l.slot(r.Seq), ErrCorrupt, l.seq())
	}
	full, err := l.expand(ctx, r)
	if err != nil {
		return err
	}
	return l.advance(r, full)
}

// advance applies r, whose operations are those of full.
func (l *Log) advance(r, full *Record) error {
	if err := l.Apply(full); err != nil {
		return fmt.Errorf("slot %s: %w", l.slot(r.Seq), err)
	}
	l.last = r
	l.recent = append([]string{r.line}, l.recent...)
	size := 0
	for i, s := range l.recent {
		if size += len(s) + len(separator); size > tailMax {
			l.recent = l.recent[:i]
			break
		}
	}
	return nil
}
