package netfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"syscall"
	"time"
)

// Fresh returns the stamp of a directory as the server gives it now.
//
// Problem: names and attributes are cached by the client's kernel for up to a
// minute (H31, H34). What we do: a forced stat of the held directory, after
// which the kernel throws away what it knew of a directory that has changed.
func Fresh(ctx context.Context, f FS, dir string) (Stamp, error) {
	i, err := f.Stat(ctx, dir)
	if err != nil {
		return Stamp{}, err
	}
	if !i.Mode.IsDir() {
		return Stamp{}, &fs.PathError{Op: "stat", Path: dir, Err: syscall.ENOTDIR}
	}
	return i.Stamp(), nil
}

// Grain is how long directories must show these stamps before they prove
// anything about the present: the profile's grain, or more.
//
// Problem: no client tells how fine the times of its server's disk are. FAT
// behind Samba has every second second, old ext3 and HFS+ whole ones (H35, seen
// in the lab). What we do: a stamp that shows nothing finer is taken for one of
// these.
func (h *Host) Grain(stamps ...Stamp) time.Duration {
	grain := h.Profile.Grain
	for _, s := range stamps {
		switch {
		case s.wholeOf(2 * time.Second):
			grain = max(grain, 2*secondGrain)
		case s.wholeOf(time.Second):
			grain = max(grain, secondGrain)
		}
	}
	return grain
}

// secondGrain is the grain of whole seconds: a little more than one.
const secondGrain = 1100 * time.Millisecond

// wholeOf tells whether both times are multiples of unit.
func (s Stamp) wholeOf(unit time.Duration) bool {
	return s.mtime%int64(unit) == 0 && s.ctime%int64(unit) == 0
}

// Settled returns a stamp of dir that stood still for a whole grain: any
// change after it returned carries another stamp.
//
// Problem: two changes within one tick of the server's clock leave the same
// stamp, and a name looked up between them stays wrong until the next change
// (H35; seen on NFSv3 in 43 of 50 tries). What we do: wait until two forced
// stats a grain apart are equal, and look only then.
//
// A directory that changes all the time never comes to rest: after some grains
// Settled returns the last stamp and false.
func Settled(ctx context.Context, h *Host, f FS, dir string) (Stamp, bool, error) {
	last, err := Fresh(ctx, f, dir)
	for range settleTries {
		if err != nil {
			break
		}
		if err = h.Sleep(ctx, h.Grain(last)); err != nil {
			break
		}
		var now Stamp
		if now, err = Fresh(ctx, f, dir); err == nil && now == last {
			return now, true, nil
		}
		last = now
	}
	return last, false, err
}

// afresh makes the client throw away what it remembers to be absent in dir, so
// that what is absent afterwards is so at the server.
//
// Problem: a client remembers names that it did not find (H34). Those it looks
// for in the tick in which they are created, NFSv3 remembers until the next
// change (H35). What we do: a forced stat of the directory, and there wait
// before looking until the directory stands still.
func afresh(ctx context.Context, h *Host, f FS, dir string) (err error) {
	if h.Profile.EarlyLookSticks {
		_, _, err = Settled(ctx, h, f, dir)
	} else {
		_, err = Fresh(ctx, f, dir)
	}
	return err
}

// There tells whether name is at the server, whatever this client looked for
// before: what was there before the call is found.
//
// Problem: a client remembers for seconds that a name was absent (H34), SMB
// whatever its directory's stamp says; listings follow there, but not on FUSE
// (H49) and in one tick of NFSv3 (H35). What we do: list the directory, and
// then look for the name. It costs both, and on NFSv3 the time of [Settled].
func There(ctx context.Context, h *Host, f FS, name string) (bool, error) {
	dir := path.Dir(name)
	if h.Profile.EarlyLookSticks {
		if _, _, err := Settled(ctx, h, f, dir); err != nil {
			return false, err
		}
	}
	names, err := f.ReadDir(ctx, dir)
	if err != nil || slices.Contains(names, path.Base(name)) {
		return err == nil, err
	}
	_, err = f.Stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// settleTries is how many grains Settled waits.
const settleTries = 5

// Watch notices changes of one directory. The zero value has seen nothing. It
// is used by one goroutine at a time.
type Watch struct {
	stamp   Stamp
	settled bool          // a look was made after the stamp had stood still for a grain
	seen    time.Duration // Boot when the stamp was first seen
	started bool
}

// Changed reports whether the caller must look into dir (again). While
// nothing changes it costs one forced stat and says false, as soon as one look
// was made with a stamp that had stood still for a grain.
//
// Where the client's names do not follow the server at once, Changed waits
// for [Settled] before it says true: a name looked up too early would stay
// absent (H35).
func (w *Watch) Changed(ctx context.Context, h *Host, f FS, dir string) (bool, error) {
	now, err := Fresh(ctx, f, dir)
	if err != nil {
		return false, err
	}
	if w.started && w.settled && now == w.stamp {
		return false, nil
	}
	boot := h.Boot()
	switch {
	case h.Profile.EarlyLookSticks || w.started && !h.Profile.NamesFollow:
		if w.stamp, w.settled, err = Settled(ctx, h, f, dir); err != nil {
			return false, err
		}
	case !w.started || now != w.stamp:
		w.stamp, w.settled, w.seen = now, false, boot
	default:
		w.settled = boot-w.seen >= h.Grain(now)
	}
	w.started = true
	return true, nil
}

// Reset makes the next Changed say true, as for a directory that was never seen.
func (w *Watch) Reset() { *w = Watch{} }

// Again makes the next Changed say true after a look that failed. It may have
// asked for names that its client now remembers as absent, which the first look
// at a directory has not: so Changed waits where names do not follow (H34).
func (w *Watch) Again() { *w = Watch{started: w.started} }

// ErrGone means that a name which nobody may remove is missing.
var ErrGone = errors.New("gone")

// Witness makes sure that name still exists at the server. A slot is trusted
// only after its predecessor was seen behind it: if the predecessor is gone,
// the slot was created in a past that others have already cleared away.
func Witness(ctx context.Context, f FS, name string) error {
	_, err := f.Stat(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("witness %s: %w", name, ErrGone)
	}
	return err
}

// SyncDir makes the names in dir durable where that takes a call of its own.
//
// Problem: fsync of a directory is real on local disks, CephFS and FUSE,
// nothing on NFS, and an error on SMB and AFS (H66, H79, H103). What we do:
// call it where the profile wants it, and pass over the errnos that mean
// "there is no such thing here".
func SyncDir(ctx context.Context, h *Host, f FS, dir string) error {
	if !h.Profile.DirSync {
		return nil
	}
	err := f.SyncDir(ctx, dir)
	for _, e := range []error{
		syscall.EINVAL, syscall.ENOTSUP, syscall.ENOSYS,
		syscall.ENOTTY, syscall.EBADF, syscall.ENOENT,
	} {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}
