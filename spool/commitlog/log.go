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

// ErrWentBack means that the share no longer has what this view read from it:
// it was restored from a backup or a snapshot, or its server lost changes that
// it had acknowledged. The view is of no more use.
var ErrWentBack = errors.New("the share went back in time; if it was restored from a backup, run \"bobbin repair --restored\"")

// errCollected means that what the view stands on is gone: its generation has
// been cleared away. The view starts again from the newest base.
var errCollected = errors.New("the log has moved on")

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
	// Snapshot writes, in the machine's own words, what the records after
	// since did to the state; all of it for 0. A machine that cannot tell
	// writes more and says from where. A nil text says that the state has
	// something it cannot write. Then, and without Snapshot, the log is not
	// rotated.
	Snapshot func(since uint64) (text []byte, from uint64)
	// Load takes in what Snapshot wrote, text by text, on top of the records
	// before it. A nil text comes first and empties the state. The log does
	// not use a text afterwards. A machine without Load wants records and has
	// no state; it also gets the rotations.
	Load func(text []byte) error
	// Begin, if set, runs before the operations of one record are built.
	Begin func()
	// Named, if set, lists the files of Attach that the state names; those are
	// not swept.
	Named func() []string
	// Tuning is for tests.
	Tuning
}

// Tuning holds what tests choose smaller than it is; the zero value is what
// everybody uses.
type Tuning struct {
	// Slots is the number of slots of a generation; 256 if zero, and 32 in
	// the first, which is never removed.
	Slots int
	// KeepFor is how long slots that no reader needs any more are kept, by the
	// server's clock; 24 hours if zero.
	KeepFor time.Duration
	// Inline is how many bytes of text a base has before they become a part;
	// 64 KiB if zero.
	Inline int
}

// Log is one process's view of a chain. Its methods may be called from
// several goroutines.
type Log struct {
	Config
	sem *locking.Sem // held while records are read or written

	// guarded by sem
	gen     *generation  // nil before anything was read
	loading func() error // what the machine has not taken in yet; nil if it has all
	begun   bool         // by LoadBase, and not read on since
	at      position
	recent  []string // lines of the generation's newest records, newest first, for the tail
	watch   netfs.Watch
	whole   bool // the last reading came to the end of the log
	turned  bool // the last record applied was a rotation
	dead    error
	doubt   *standing     // where the view stood before it began anew, until that is found in the log
	won     uint64        // the last record of this view that is in the log
	beaten  uint64        // the last record that another host put where this view wanted to
	learned time.Duration // when the last record was taken in, since boot

	conflicts atomic.Int64

	mu    sync.Mutex // guards queue
	queue []*request
}

// position is where a view stands.
type position struct {
	seq      uint64 // of the last record applied
	hash     string // what the next record follows
	line     string // the last record; "" where a generation begins
	token    string // of the newest record that is known and no rotation
	tokenSeq uint64 // its number
}

// New returns a view that has read nothing yet.
func New(c Config) *Log { return &Log{Config: c, sem: locking.NewSem()} }

// Conflicts is how often another host was first and a record was built again.
func (l *Log) Conflicts() int64 { return l.conflicts.Load() }

// tailMax bounds what a slot carries beyond its own record, in bytes.
const tailMax = 4000

func (l *Log) genDir(g *generation) string { return path.Join(l.Dir, g.dir()) }

// slot is the name of a record of the view's generation.
func (l *Log) slot(seq uint64) string {
	return path.Join(l.genDir(l.gen), strconv.FormatUint(seq, 10))
}

func (l *Log) payload(r *Record) string {
	return path.Join(l.Dir, "p", strconv.FormatUint(r.Seq, 10)+"."+r.Token)
}

// Dirs lists the directories a log needs, parents first.
func Dirs(dir string) []string {
	return []string{dir, path.Join(dir, "p"), path.Join(dir, "s"), path.Join(dir, firstDir)}
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
	if l.dead != nil {
		return false, l.dead
	}
	if l.doubt != nil {
		return l.refreshAnew(ctx)
	}
	before, fresh := l.at.seq, l.gen == nil || l.begun
	l.begun = false
	err := l.follow(ctx)
	for try := 0; fresh && try < loadTries && errors.Is(err, endedError{}); try++ {
		// The listing may be older than the repair.
		if serr := l.Host.Sleep(ctx, 20*time.Millisecond<<try); serr != nil {
			break
		}
		l.dead, l.gen = nil, nil
		err = l.follow(ctx)
	}
	if errors.Is(err, errCollected) {
		return l.refreshAnew(ctx)
	}
	return l.at.seq != before, err
}

// follow reads on to the end of the log, through as many generations as have
// come, unless the directory says that nothing changed.
func (l *Log) follow(ctx context.Context) error {
	if l.gen == nil {
		if err := l.load(ctx); err != nil {
			return err
		}
	}
	if err := l.loaded(); err != nil {
		return err
	}
	for turns := 0; ; turns++ {
		if turns > turnsMax && l.Load != nil {
			return errBehind
		}
		changed, err := l.watch.Changed(ctx, l.Host, l.FS, l.genDir(l.gen))
		if errors.Is(err, fs.ErrNotExist) {
			return l.noDir(ctx, err)
		}
		l.gen.seen = l.gen.seen || err == nil
		if err != nil {
			l.whole = false
		}
		if err != nil || !changed {
			return err
		}
		l.turned = false
		err = l.readOn(ctx)
		if l.whole = err == nil; !l.whole {
			l.watch.Again()
			return err
		}
		if !l.turned {
			return nil
		}
	}
}

// noDir deals with a generation without a directory: it has not been made
// yet, by the host that wrote the rotation, or it has been cleared away.
func (l *Log) noDir(ctx context.Context, why error) error {
	if l.gen.first == 0 {
		return why
	}
	if err := l.confirm(ctx); err != nil {
		return err
	}
	if l.at.line != "" {
		return errCollected
	}
	if l.gen.seen {
		return l.dirGone(ctx)
	}
	l.whole = true
	return nil
}

// readOn applies all records after the last one that this generation has.
func (l *Log) readOn(ctx context.Context) error {
	recs, err := l.gather(ctx)
	return l.takeIn(ctx, recs, err)
}

// takeIn applies records that were read, up to the error that ended the reading.
func (l *Log) takeIn(ctx context.Context, recs []read1, err error) error {
	if len(recs) > 0 {
		if serr := l.harden(ctx); serr != nil {
			return serr
		}
	}
	// What was read is believed only if the view's last record stands now: a
	// generation is cleared away in ascending order, and behind a record that
	// is gone somebody who does not know may have put slots of his own.
	if cerr := l.confirm(ctx); cerr != nil {
		return cerr
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", errCollected, err)
	}
	if len(recs) > 0 {
		l.gen.mine = false
	}
	for _, r := range recs {
		if aerr := l.apply(r); aerr != nil {
			return aerr
		}
	}
	return err
}

// harden makes what was read durable before anybody is shown it. Its writer may
// have died before he synced it, or be this host, which was told an error: then
// a power failure takes it away, and its UIDs would be given again.
func (l *Log) harden(ctx context.Context) error {
	return netfs.SyncDir(ctx, l.Host, l.FS, l.genDir(l.gen))
}

// read1 is a record as it stands in its slot, and with its payload's operations.
type read1 struct{ stored, full *Record }

// stride is how many records are read one by one before a listing is asked
// where the end is.
const stride = 4

// gather reads what comes after the last record, up to the end or to a
// rotation. With an error it returns what it read before.
func (l *Log) gather(ctx context.Context) (recs []read1, err error) {
	add := func(batch []*Record) error {
		more, err := l.expandAll(ctx, batch)
		recs = append(recs, more...)
		return err
	}
	next := func() uint64 { return l.at.seq + 1 + uint64(len(recs)) }
	for n := 0; len(recs) == 0 || !recs[len(recs)-1].stored.ends(); n++ {
		if l.at.line == "" && n == 0 || n > 0 && n%stride == 0 {
			back, err := l.leap(ctx, next())
			if err == nil {
				err = add(back)
			}
			if err != nil {
				return recs, err
			}
			if len(back) > 0 {
				continue
			}
		}
		one, err := l.read(ctx, next())
		if errors.Is(err, fs.ErrNotExist) {
			return recs, nil
		}
		if err == nil {
			err = add(one[:1])
		}
		if err != nil {
			return recs, err
		}
	}
	return recs, nil
}

// read returns slot seq's record and its tail.
func (l *Log) read(ctx context.Context, seq uint64) ([]*Record, error) {
	return l.readSlot(ctx, l.slot(seq), seq)
}

func (l *Log) readSlot(ctx context.Context, name string, seq uint64) ([]*Record, error) {
	text, err := l.Way.Get(ctx, l.FS, name)
	if err != nil {
		if errors.Is(err, netfs.ErrIrregular) {
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		return nil, err
	}
	if text == "" {
		return nil, fmt.Errorf("slot %s: %w", name, errEmptySlot)
	}
	recs, err := parseSlot(seq, text)
	if err != nil {
		return nil, fmt.Errorf("slot %s: %w", name, err)
	}
	return recs, nil
}

// errEmptySlot is what a power failure leaves on some file systems of a slot
// that nobody was told of (btrfs).
var errEmptySlot = fmt.Errorf("%w: it is empty", ErrCorrupt)

// leap asks a listing for the newest slot and reads back from it by tails as
// far as from. The listing is a hint: what it misses is found by reading on.
func (l *Log) leap(ctx context.Context, from uint64) ([]*Record, error) {
	names, err := l.FS.ReadDir(ctx, l.genDir(l.gen))
	if err != nil {
		return nil, err
	}
	newest := newestOf(names)
	var back []*Record // newest first
	for seq := newest; seq >= from; {
		recs, err := l.readListed(ctx, seq, names)
		if err == nil && seq == newest && seq > from {
			err = l.follows(ctx, recs[0], names)
		}
		if err != nil {
			return nil, err
		}
		for _, r := range recs {
			if r.Seq >= from {
				back = append(back, r)
			}
		}
		seq -= uint64(len(recs))
	}
	slices.Reverse(back)
	return back, nil
}

// readListed reads a slot that must exist.
func (l *Log) readListed(ctx context.Context, seq uint64, names []string) ([]*Record, error) {
	recs, err := l.read(ctx, seq)
	if errors.Is(err, fs.ErrNotExist) {
		return l.insist(ctx, seq, names)
	}
	return recs, err
}

// follows makes sure that the record before r stands in its slot, whatever r's
// tail says. If the server lost slots that it had acknowledged, or they were
// damaged and given up by repair, their last writer may have put one more on
// top; nobody may go on from that (H102).
func (l *Log) follows(ctx context.Context, r *Record, names []string) error {
	before, err := l.readListed(ctx, r.Seq-1, names)
	if err == nil && before[0].hash() != r.Prev {
		err = fmt.Errorf("slot %s: %w: it does not follow the record in slot %d", l.slot(r.Seq), ErrCorrupt, r.Seq-1)
	}
	return err
}

// insist reads a slot that must exist, because a later one does, and that was
// not found: the client's name cache may be behind.
func (l *Log) insist(ctx context.Context, seq uint64, names []string) ([]*Record, error) {
	for range 3 {
		if err := l.confirm(ctx); err != nil {
			return nil, err
		}
		if _, _, err := netfs.Settled(ctx, l.Host, l.FS, l.genDir(l.gen)); err != nil {
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

// newestOf returns the highest slot number among names; 0 if there is none.
func newestOf(names []string) (newest uint64) {
	for _, n := range names {
		if seq, ok := parseSeq(n); ok {
			newest = max(newest, seq)
		}
	}
	return newest
}

func parseSeq(name string) (uint64, bool) {
	seq, err := strconv.ParseUint(name, 10, 64)
	return seq, err == nil && seq > 0 && strconv.FormatUint(seq, 10) == name
}

// confirm makes sure, at the server, that the view's last record stands where
// it was read. A slot's record is compared: behind a generation that is being
// cleared away a host that does not know may have put another of the same
// number. Where a generation begins its base is the witness; bases are removed
// before the slots, and their names never come back.
func (l *Log) confirm(ctx context.Context) error {
	if l.at.line == "" {
		return l.confirmBase(ctx)
	}
	text, err := l.Way.Fresh(ctx, l.FS, l.slot(l.at.seq))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errCollected
	case err != nil:
		return fmt.Errorf("slot %s: %w", l.slot(l.at.seq), err)
	case firstLine(text) != l.at.line:
		return errCollected
	}
	return nil
}

// apply takes one record, the next in order, into the state.
func (l *Log) apply(r read1) error {
	if r.stored.Seq != l.at.seq+1 || r.stored.Prev != l.at.hash {
		return fmt.Errorf("slot %s: %w: it does not follow record %d as this host knows it",
			l.slot(r.stored.Seq), ErrCorrupt, l.at.seq)
	}
	return l.advance(r)
}

func (l *Log) advance(r read1) error {
	rec := r.stored
	if rec.voids() {
		l.dead = fmt.Errorf("%s: %w", l.Dir, endedError{})
		return l.dead
	}
	rot, rotates, err := rotationOf(rec)
	if err == nil && (!rotates || l.Load == nil) {
		err = l.Apply(r.full)
	}
	if err != nil {
		return fmt.Errorf("slot %s: %w", l.slot(rec.Seq), err)
	}
	l.gen.tokens[rec.Token] = rec.Seq
	l.learned = l.Host.Boot()
	if rotates {
		l.turn(rec, rot)
		return nil
	}
	l.at = position{rec.Seq, rec.hash(), rec.line, rec.Token, rec.Seq}
	l.recent = append([]string{rec.line}, l.recent...)
	size := 0
	for i, s := range l.recent {
		if size += len(s) + len(separator); size > tailMax {
			l.recent = l.recent[:i]
			break
		}
	}
	return nil
}
