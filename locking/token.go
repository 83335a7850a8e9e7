package locking

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// The times of a token lock. All hosts must agree on them, so they are part
// of the format.
const (
	// deadAfter is how long a waiter must see one and the same name before it
	// takes its owner for dead.
	deadAfter = 45 * time.Second
	// watchGap is the longest time between two listings of one watch. Who did
	// not look for longer cannot tell a dead owner from a share, or a whole
	// machine room, that stood still. So it takes four listings at least.
	watchGap = 15 * time.Second
	// holdFor is how long after its last beat a holder trusts its lock. The
	// other half of deadAfter is for clocks that go at different speeds.
	holdFor = deadAfter / 2
	// beatEvery leaves a holder three tries within holdFor.
	beatEvery = 7 * time.Second
)

// tokenPatience is how long a token lock goes on after errors that may pass.
const tokenPatience = 30 * time.Second

// TokenConfig says where a [Token] lives. Host, FS and Dir are needed.
type TokenConfig struct {
	// Host is the process's.
	Host *netfs.Host
	// FS holds the lock's directory.
	FS netfs.FS
	// Dir is the lock's directory, which is used for nothing else. It is
	// created if only its last component is missing.
	Dir string
	// Way is how the share creates names (recorded in the spool's marker).
	Way netfs.Way
	// Label tells people who holds the lock; the host's tag if empty. Of it
	// [0-9a-z-] are kept.
	Label string
}

// Token is a lock among processes on any number of hosts, made of nothing but
// renames: the directory holds one empty file, whose name is the state of the
// lock and never returns. To take, renew, give back or steal the lock is to
// rename that file, and the server lets one rename of a name win (H92).
//
// A holder renews its lock every few seconds. Who has watched one and the same
// name for 45 seconds without a gap, by its own clock and in at least four
// fresh listings, steals it by renaming exactly that incarnation (H91). The
// holder, by its own clock, has stopped believing at half that time. No time
// of the server and no process number is looked at (H93).
//
// What no lock can do is to stop a holder that is suspended and wakes up
// after its lock was stolen (H94). But nobody ever gets an [Epoch] that
// somebody else had, and a thief's is higher than its victim's: a write that
// carries its epoch can be refused.
//
// One Token is one owner. Its methods may be called from several goroutines,
// which exclude each other. Waiters are not served in order.
type Token struct {
	TokenConfig
	sem *Sem
	// What follows is used while sem is held.
	owner string
	left  *state // the free state that this process left behind last
	watch watch
}

// NewToken returns a lock that is not held. It asks nothing of the share.
func NewToken(c TokenConfig) *Token { return &Token{TokenConfig: c, sem: NewSem()} }

// Acquire waits for the lock until ctx ends. It returns the context of the
// time in which the lock is held, and the function that gives it back.
//
// held has the values of ctx but does not end with it: the deadline of ctx is
// the patience to get the lock. held ends, with a cause that matches
// [ErrLost], when the lock was not renewed for half the time after which
// others steal it, or is found stolen; and when release is called. held.Err
// looks at the clock, so it tells the truth even right after a suspend (H95).
//
// release must be called, also after the lock was lost, and with a context
// that has not ended. It returns nil when nobody else has had the lock
// meanwhile; an error matching [ErrLost] when somebody took it, or took it
// after a release whose answer was lost, which looks the same; any other
// error when the lock may still look held, in which case others wait for it
// as for a dead holder's. Later calls do nothing.
//
// The error is a [*HeldError] when the deadline of ctx came first. A dead
// holder's lock is had only by one who waits for a minute.
//
// It costs one rename when this process was the last to give the lock back;
// else a stat, a listing and a rename for a free lock, a stat and a listing
// for each look while waiting. release costs one rename, and so does each
// seven seconds of holding.
func (t *Token) Acquire(ctx context.Context) (held context.Context, release func(context.Context) error, err error) {
	unlock, err := t.sem.Lock(ctx)
	if err != nil {
		return nil, nil, gaveUp(err, &HeldError{Name: t.Dir, Owner: "this process"})
	}
	l, err := t.acquire(ctx)
	if err != nil {
		unlock()
		return nil, nil, err
	}
	l.unlock = unlock
	held = l.start(ctx)
	return held, l.release, nil
}

// attempt is one call of Acquire.
type attempt struct {
	*Token
	pause backoff
	// bad counts rounds with errors since the last one without.
	bad     int
	badFrom time.Duration
	badErr  error
}

func (t *Token) acquire(ctx context.Context) (*lease, error) {
	if t.owner == "" {
		token, err := t.Host.Token()
		if err != nil {
			return nil, err
		}
		t.owner = token
		label := labelOf(t.Label)
		if label == "" {
			label = labelOf(t.Host.Tag)
		}
		if label != "" {
			t.owner += "-" + label
		}
	}
	a := &attempt{Token: t, pause: backoff{50 * time.Millisecond, 2 * time.Second}}
	if left := t.left; left != nil {
		t.left = nil // once: whatever comes of it, that name is gone
		if l, err := a.take(ctx, view{state: *left}, t.Host.Boot()); l != nil || err != nil {
			return l, err
		}
	}
	for {
		l, err := a.round(ctx)
		if l != nil || err != nil {
			return l, err
		}
		if err := a.pause.wait(ctx, t.Host); err != nil {
			return nil, a.gaveUp(err)
		}
	}
}

// gaveUp is the error of an attempt whose context ended.
func (a *attempt) gaveUp(err error) error {
	if a.bad > 0 {
		return fmt.Errorf("lock %s: %w: %w", a.Dir, err, a.badErr)
	}
	held := &HeldError{Name: a.Dir}
	if a.watch.owner != "" {
		held.Owner, held.Since = ownerText(a.watch.owner), a.watch.since
	}
	return gaveUp(err, held)
}

// round looks once and does what can be done. It returns neither a lease nor
// an error when the caller is to wait and come again.
func (a *attempt) round(ctx context.Context) (*lease, error) {
	start := a.Host.Boot()
	v, err := a.look(ctx)
	if err != nil {
		return nil, a.trouble(ctx, err)
	}
	now := a.Host.Boot()
	dead := a.watch.saw(v.key(), start, now)
	a.watch.sees(v.state, a.Host.Wall)
	switch {
	case !v.found && (v.seeds == 0 || dead):
		return nil, a.trouble(ctx, a.seed(ctx, v.seeds))
	case !v.found:
		a.bad = 0
		return nil, nil
	case v.state.owner == "", v.state.owner == a.owner, dead:
		// An owner that is me is a lock whose taking or giving back ended in
		// doubt. I do not believe in it, so it needs no watching; but it was
		// believed in once, so it gets a new epoch like any other.
		return a.take(ctx, v, start)
	}
	a.bad = 0
	return nil, nil
}

// take tries to make the lock mine. v was seen at start or later.
func (a *attempt) take(ctx context.Context, v view, start time.Duration) (*lease, error) {
	to := v.state.taken(a.owner)
	err := netfs.Move(ctx, a.Host, a.FS, a.path(v.state.name()), a.path(to.name()))
	switch {
	case errors.Is(err, netfs.ErrVanished):
		a.bad, a.watch.lost = 0, v.state.name()
		return nil, nil
	case err != nil:
		return nil, a.trouble(ctx, err)
	case a.Host.Boot()-start >= holdFor:
		// Others may have watched my name for longer than I may believe in
		// it. The next look finds it and takes it anew.
		return nil, nil
	}
	return &lease{t: a.Token, state: to, beatAt: start, litter: v.litter}, nil
}

// look lists the lock's directory as the server has it now, and makes it if it
// is missing.
func (a *attempt) look(ctx context.Context) (view, error) {
	_, err := netfs.Fresh(ctx, a.FS, a.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = a.FS.Mkdir(ctx, a.Dir, 0o777); err == nil || errors.Is(err, fs.ErrExist) {
			err = netfs.SyncDir(ctx, a.Host, a.FS, path.Dir(a.Dir))
		}
	}
	if err != nil {
		return view{}, err
	}
	names, err := a.FS.ReadDir(ctx, a.Dir)
	if err != nil {
		return view{}, err
	}
	v := readView(names)
	if v.found && v.state.name() == a.watch.lost {
		return view{}, a.touch(ctx)
	}
	return v, nil
}

// errStale is the outcome of a look that showed the past.
var errStale = errors.New("listing is out of date")

// touch changes the directory.
//
// Problem: a listing that was cached in the same tick of the server's clock
// in which the lock's file was renamed looks current until the directory
// changes again (NFSv3, H35), and the name in it can never be renamed. What
// we do: whoever finds a name listed that was gone before makes that change.
func (a *attempt) touch(ctx context.Context) error {
	temp, err := a.temp(ctx)
	if err == nil {
		err = netfs.Unlink(ctx, a.Host, a.FS, temp)
	}
	if err == nil {
		err = errStale
	}
	return err
}

// temp makes an empty file under a name of its own.
func (a *attempt) temp(ctx context.Context) (string, error) {
	token, err := a.Host.Token()
	if err != nil {
		return "", err
	}
	temp := a.path(tempPrefix + token)
	return temp, netfs.WriteFile(ctx, a.FS, temp, nil)
}

// seed makes a free lock where there is none, if nobody has made the k-th
// before. The file is renamed from a name that is used once: one that were
// created under its public name could be created again by a request that
// comes late, after the lock has moved on.
func (a *attempt) seed(ctx context.Context, k uint64) error {
	if k > maxSeed {
		return fmt.Errorf("%s: %w", a.path(seedName(k)), fs.ErrInvalid)
	}
	temp, err := a.temp(ctx)
	if err != nil {
		return err
	}
	if _, err = a.Way.Put(ctx, a.Host, a.FS, a.path(seedName(k)), path.Base(temp)); err == nil {
		err = netfs.Move(ctx, a.Host, a.FS, temp, a.path(state{epoch: k * seedStride}.name()))
		if errors.Is(err, netfs.ErrVanished) {
			err = nil // done, and somebody was faster
		}
		return err
	}
	_ = netfs.Unlink(ctx, a.Host, a.FS, temp)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return err
}

// trouble returns err if it is useless to go on after it, and nil otherwise.
func (a *attempt) trouble(ctx context.Context, err error) error {
	if err == nil {
		a.bad = 0
		return nil
	}
	now := a.Host.Boot()
	if a.bad == 0 {
		a.badFrom = now
	}
	a.bad, a.badErr = a.bad+1, err
	final := ctx.Err() != nil || netfs.Unsupported(err) || now-a.badFrom > tokenPatience ||
		a.bad >= 4 && errors.Is(err, fs.ErrPermission)
	for _, e := range []error{
		fs.ErrNotExist, fs.ErrInvalid, netfs.ErrIrregular, syscall.ENOTDIR, syscall.EROFS,
		syscall.ENOSPC, syscall.EDQUOT,
	} {
		final = final || errors.Is(err, e)
	}
	if !final {
		return nil
	}
	return fmt.Errorf("lock %s: %w", a.Dir, err)
}

func (t *Token) path(name string) string { return path.Join(t.Dir, name) }

// watch is what a waiter has seen in its last listings.
type watch struct {
	begun       bool
	key         string
	first, last time.Duration // when key was first and last seen
	lost        string        // a name that somebody else has renamed

	epoch uint64
	owner string
	since time.Time // when owner was first seen in epoch, for people
}

// saw notes that a listing asked for at sent and answered at now showed key,
// and tells whether key has stood still for so long that its owner is dead.
func (w *watch) saw(key string, sent, now time.Duration) (dead bool) {
	if !w.begun || key != w.key || now-w.last > watchGap {
		w.key, w.first, w.begun = key, now, true
	}
	w.last = now
	return sent-w.first >= deadAfter
}

// sees notes whose the lock is.
func (w *watch) sees(s state, wall func() time.Time) {
	if s.owner != w.owner || s.epoch != w.epoch {
		w.epoch, w.owner, w.since = s.epoch, s.owner, wall()
	}
}
