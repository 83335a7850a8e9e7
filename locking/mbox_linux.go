package locking

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bobbinmail/bobbin/netfs"
)

// dotStale is how much older than a new file a dot-lock must be to be taken for
// one whose owner is dead, both by the server's clock.
const dotStale = 15 * time.Minute

// Mbox opens the mbox at path, which is no link, for appending and locks it as
// mail programs do: with fcntl(2) and then with path.lock. It makes the file if
// it is missing, for its owner alone. Whoever has one of the locks and waits for the other
// is no danger: this function waits with neither. Where path.lock cannot be made, as
// in a directory that belongs to the system, fcntl has to do.
//
// release closes the file and gives the locks back; it must be called. The error
// is a [*HeldError] when the deadline of ctx came first.
func Mbox(ctx context.Context, h *netfs.Host, path string) (f *os.File, release func() error, err error) {
	pause := backoff{2 * time.Millisecond, 500 * time.Millisecond}
	since := h.Wall()
	for {
		_, unlock, err := Fcntl(ctx, h, path, FileOptions{Create: 0o600, Owner: "mbox"})
		if err != nil {
			return nil, nil, err
		}
		held, undot, err := dotLock(h, path+".lock")
		if err == nil && !held {
			f, err = appendTo(path)
			if err == nil {
				return f, func() error { return errors.Join(f.Close(), undot(), unlock()) }, nil
			}
			err = errors.Join(err, undot())
		}
		if err = errors.Join(err, unlock()); err != nil {
			return nil, nil, err
		}
		if err := pause.wait(ctx, h); err != nil {
			return nil, nil, gaveUp(err, &HeldError{path + ".lock", "", since})
		}
	}
}

func appendTo(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_APPEND|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// dotLock tries once to make the lock file. It is a link to a file of its own,
// which is one request that the server refuses to all but one, and whose count of
// links tells what became of it if the answer was lost.
func dotLock(h *netfs.Host, path string) (held bool, release func() error, err error) {
	token, err := h.Token()
	if err != nil {
		return false, nil, err
	}
	own := path + "." + token
	fd, err := unix.Open(own, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EROFS) {
		return false, func() error { return nil }, nil
	}
	if err != nil {
		return false, nil, &fs.PathError{Op: "create", Path: own, Err: err}
	}
	defer unix.Unlink(own)
	_, werr := unix.Write(fd, fmt.Appendf(nil, "%d\n", os.Getpid()))
	if err := errors.Join(werr, unix.Close(fd)); err != nil {
		return false, nil, fmt.Errorf("write %s: %w", own, err)
	}
	lerr := unix.Link(own, path)
	var mine, lock unix.Stat_t
	if err := unix.Lstat(own, &mine); err != nil {
		return false, nil, &fs.PathError{Op: "stat", Path: own, Err: err}
	}
	switch {
	case mine.Nlink == 2:
		return false, func() error { return unix.Unlink(path) }, nil
	case !errors.Is(lerr, unix.EEXIST):
		return false, nil, &os.LinkError{Op: "link", Old: own, New: path, Err: lerr}
	}
	if err := unix.Lstat(path, &lock); err == nil && mine.Mtim.Sec-lock.Mtim.Sec > int64(dotStale/time.Second) {
		return true, nil, unix.Unlink(path) // it is asked for anew
	}
	return true, nil, nil
}
