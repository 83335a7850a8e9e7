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
// mail programs do: with path.lock and with fcntl(2). It makes the file if
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
		held, undot, err := dotLock(h, path+".lock")
		if err != nil {
			return nil, nil, err
		}
		if !held {
			f, unlock, err := appendLocked(ctx, h, path)
			if err == nil {
				// The first closes the file, so what was written is at the
				// server when the second lets others at it.
				return f, func() error { return errors.Join(unlock(), undot()) }, nil
			}
			if uerr := undot(); uerr != nil || !errors.Is(err, ErrHeld) {
				return nil, nil, errors.Join(err, uerr)
			}
		}
		if err := pause.wait(ctx, h); err != nil {
			return nil, nil, gaveUp(err, &HeldError{path, "", since})
		}
	}
}

// glance is how long a lock is waited for by one who has the other.
const glance = 20 * time.Millisecond

// appendLocked opens a file for appending and has a lock by fcntl on it.
//
// Problem: on SMB such a lock keeps all other descriptors from writing, those
// of this process too (H62), and while a file is open for writing the client
// goes on appending where it ended when it was opened (seen in the lab). What
// we do: write through the descriptor that has the lock, and open it anew after
// each try. Who comes here has path.lock, so only programs that do not heed
// that may write between the opening and the lock.
func appendLocked(ctx context.Context, h *netfs.Host, path string) (f *os.File, unlock func() error, err error) {
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	l := &fcntlLock{file: file{path, FileOptions{Create: 0o600, Owner: "mbox"}}, append: true}
	_, unlock, err = lockFile(ctx, h, l, l.file)
	return l.f, unlock, err
}

// dotLock tries once to make the lock file. It is a link to a file of its own,
// which is one request that the server refuses to all but one, and whose count of
// links tells what became of it if the answer was lost. Where there are no links
// it is created exclusively.
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
	if netfs.Unsupported(lerr) || errors.Is(lerr, unix.EACCES) { // no hard links (H19)
		fd, lerr = unix.Open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		if lerr == nil {
			return false, func() error { return unix.Unlink(path) }, unix.Close(fd)
		}
	}
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
