package locking

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// FileOptions say how a file is locked. The zero value is an exclusive lock on
// a file that exists.
type FileOptions struct {
	// Shared asks for a lock that others may share. There is no way from it
	// to an exclusive one: no kernel makes that step without a gap (H87).
	Shared bool
	// Create makes the file with these permissions if it is missing. Lock
	// files are never removed or replaced (H88).
	Create fs.FileMode
	// Owner tells the other goroutines of this process what the lock is for.
	Owner string
}

// kernelLock is one kind of lock of the kernel, on one file.
type kernelLock interface {
	// kind tells kinds that do not exclude each other apart.
	kind() string
	// try opens the file if it is not open and asks for the lock once. Errors
	// of the opening are of the type *fs.PathError, those of the locking are
	// not. busy is the kernel's word that another has the lock.
	try() (busy bool, err error)
	// stat describes the open file.
	stat() (fs.FileInfo, error)
	// close gives the lock back and closes the file, if it is open.
	close() error
}

// verdict is what the outcome of a try means.
type verdict int

const (
	failed verdict = iota
	got
	busy
	again // at once
	stale // the open file is not the one to lock
	unsupported
)

// judge is the one place where errors of lock calls get their meaning. EACCES
// is POSIX's second way to say that a lock is held, and SMB's only one; of an
// open it means what it says.
func judge(isBusy bool, err error) verdict {
	if err == nil {
		if isBusy {
			return busy
		}
		return got
	}
	var pe *fs.PathError
	opening := errors.As(err, &pe)
	for _, c := range []struct {
		errno syscall.Errno
		v     verdict
	}{
		{syscall.EINTR, again},
		{syscall.ESTALE, stale},
		{syscall.EAGAIN, busy}, {syscall.EACCES, busy},
		{syscall.ENOLCK, unsupported}, {syscall.EOPNOTSUPP, unsupported}, {syscall.ENOSYS, unsupported},
	} {
		if errors.Is(err, c.errno) && !(opening && (c.v == busy || c.v == unsupported)) {
			return c.v
		}
	}
	return failed
}

// staleTries is how often a file is opened anew before the lock fails.
const staleTries = 20

// lockFile takes the lock k on path. See [Flock].
func lockFile(ctx context.Context, h *netfs.Host, k kernelLock, f file) (context.Context, func() error, error) {
	leave := func() {}
	if !f.Shared {
		var err error
		if leave, err = inside.enter(ctx, h, k.kind(), f); err != nil {
			return nil, nil, err
		}
	}
	if err := acquireFile(ctx, h, k, f); err != nil {
		err = errors.Join(err, k.close())
		leave()
		return nil, nil, err
	}
	held, end := context.WithCancel(context.WithoutCancel(ctx))
	var done atomic.Bool
	return held, func() error {
		if done.Swap(true) {
			return nil
		}
		defer leave()
		end()
		return k.close()
	}, nil
}

// file is what is to be locked.
type file struct {
	path string
	FileOptions
}

func acquireFile(ctx context.Context, h *netfs.Host, k kernelLock, f file) error {
	if err := ctx.Err(); err != nil {
		return gaveUp(err, &HeldError{Name: f.path})
	}
	pause := backoff{2 * time.Millisecond, 500 * time.Millisecond}
	var since time.Time // when it was first found held
	for reopened := 0; ; {
		isBusy, err := k.try()
		v := judge(isBusy, err)
		if v == got {
			if v, err = current(k, f.path); v == got {
				return nil
			}
		}
		switch v {
		case again:
			if ctx.Err() == nil {
				continue
			}
		case unsupported:
			return fmt.Errorf("lock %s: %w: %w", f.path, ErrUnsupported, err)
		case failed:
			return fmt.Errorf("lock %s: %w", f.path, err)
		case stale:
			if reopened++; reopened > staleTries {
				return fmt.Errorf("lock %s: it is replaced all the time: %w", f.path, err)
			}
			if err := k.close(); err != nil {
				return fmt.Errorf("lock %s: %w", f.path, err)
			}
		case busy:
			if since.IsZero() {
				since = h.Wall()
			}
		}
		if err := pause.wait(ctx, h); err != nil {
			return gaveUp(err, &HeldError{f.path, kernelOwner(f.path), since})
		}
	}
}

// errReplaced is the reason to open a lock's file once more.
var errReplaced = fmt.Errorf("locked a file that no longer has this name: %w", syscall.ESTALE)

// current tells whether the file that was locked is the one that has the name
// now (H88): a lock belongs to the file, those who come later open the name.
func current(k kernelLock, path string) (verdict, error) {
	mine, err := k.stat()
	if err != nil {
		return judge(false, err), err
	}
	if !mine.Mode().IsRegular() {
		return failed, netfs.ErrIrregular
	}
	now, err := os.Lstat(path)
	switch {
	case err == nil && os.SameFile(mine, now):
		return got, nil
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return stale, errReplaced
	}
	return judge(false, err), err
}
