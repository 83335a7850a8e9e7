package locking

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/bobbinmail/bobbin/netfs"
)

// openFlags: no link is followed, and a FIFO that somebody planted does not
// hang the caller.
func (f *file) openFlags() int {
	flags := unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
	if f.Shared {
		flags |= unix.O_RDONLY
	} else {
		flags |= unix.O_RDWR // NFS and Solaris want it for an exclusive lock (H87)
	}
	if f.Create != 0 {
		flags |= unix.O_CREAT
	}
	return flags
}

// Flock takes the lock that flock(2) gives on the regular file path, which is
// no symbolic link, and waits for it until ctx ends.
//
// held has the values of ctx but ends with release alone: on a local disk the
// kernel takes no lock away, and paths on a share are not for this function
// (H82–H84, H87). release must be called; later calls do nothing. The kernel
// releases the locks of a process that dies.
//
// Callers in one process exclude each other first, by path, unless the lock is
// shared; one who has a lock of the other kind on the file is not excluded.
// The file that was locked is the one that has the name (H88). The
// error is a [*HeldError] when the deadline of ctx came first, and matches
// [ErrUnsupported] where there are no such locks (H89).
func Flock(ctx context.Context, h *netfs.Host, path string, o FileOptions) (held context.Context, release func() error, err error) {
	f := file{path, o}
	return lockFile(ctx, h, newFlock(f), f)
}

// Fcntl is [Flock] for the lock that fcntl(2) gives on a whole file, which
// is what lockf and most mail programs use. It is taken for the open file
// and not for the process, so that a close of the same file elsewhere in the
// process does not drop it (H86); against other processes it counts like
// theirs.
func Fcntl(ctx context.Context, h *netfs.Host, path string, o FileOptions) (held context.Context, release func() error, err error) {
	f := file{path, o}
	return lockFile(ctx, h, &fcntlLock{file: f}, f)
}

type flockLock struct {
	*flock.Flock
	shared bool
}

func newFlock(f file) *flockLock {
	return &flockLock{
		flock.New(f.path, flock.SetFlag(f.openFlags()), flock.SetPermissions(f.Create)), f.Shared,
	}
}

func (l *flockLock) kind() string { return "flock" }

func (l *flockLock) try() (busy bool, err error) {
	ok := false
	if l.shared {
		ok, err = l.TryRLock()
	} else {
		ok, err = l.TryLock()
	}
	return !ok, err
}

func (l *flockLock) stat() (fs.FileInfo, error) { return l.Stat() }

func (l *flockLock) close() error { return l.Close() }

type fcntlLock struct {
	file
	append bool // f is written to, at the end: it is opened anew for each try
	f      *os.File
}

func (l *fcntlLock) kind() string { return "fcntl" }

func (l *fcntlLock) try() (busy bool, err error) {
	if l.f == nil {
		flags := l.openFlags()
		if l.append {
			flags |= unix.O_APPEND
		}
		fd, err := unix.Open(l.path, flags, uint32(l.Create.Perm()))
		if err != nil {
			return false, &fs.PathError{Op: "open", Path: l.path, Err: err}
		}
		l.f = os.NewFile(uintptr(fd), l.path)
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK} // zero: from the start to the end, wherever that is
	if l.Shared {
		lock.Type = unix.F_RDLCK
	}
	err = os.NewSyscallError("fcntl", unix.FcntlFlock(l.f.Fd(), unix.F_OFD_SETLK, &lock))
	if err != nil && l.append {
		err = errors.Join(err, l.f.Close())
		l.f = nil
	}
	return false, err
}

func (l *fcntlLock) stat() (fs.FileInfo, error) { return l.f.Stat() }

func (l *fcntlLock) close() error {
	if l.f == nil {
		return nil
	}
	// A close alone unlocks when the last copy of the descriptor is closed; a
	// child on its way to exec may have one.
	unlock := unix.Flock_t{Type: unix.F_UNLCK}
	err := unix.FcntlFlock(l.f.Fd(), unix.F_OFD_SETLK, &unlock)
	err = errors.Join(os.NewSyscallError("fcntl", err), l.f.Close())
	l.f = nil
	return err
}

// kernelOwner tells people who has a lock on path, or is empty when the
// kernel does not say: a lock taken for an open file has no process, and one
// of another container or host has none that is known here.
func kernelOwner(path string) string {
	var s unix.Stat_t
	if unix.Lstat(path, &s) != nil {
		return ""
	}
	locks, err := procFile("/proc/locks")
	if err != nil {
		return ""
	}
	id := fmt.Sprintf("%02x:%02x:%d", unix.Major(s.Dev), unix.Minor(s.Dev), s.Ino)
	pid := lockPid(locks, id)
	if pid <= 0 {
		return ""
	}
	text := "process " + strconv.Itoa(pid)
	if name, err := procFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil && name != "" {
		text += fmt.Sprintf(" (%q)", strings.TrimSuffix(name, "\n"))
	}
	return text
}

// lockPid finds the first holder of a lock on the file id in the text of
// /proc/locks.
func lockPid(locks, id string) int {
	lines := bufio.NewScanner(strings.NewReader(locks))
	for lines.Scan() {
		w := strings.Fields(lines.Text())
		if len(w) < 6 || w[1] == "->" || w[5] != id {
			continue
		}
		if pid, err := strconv.Atoi(w[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}

// procFile reads a file that the kernel makes up.
func procFile(name string) (string, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	f := os.NewFile(uintptr(fd), name)
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(b), errors.Join(err, f.Close())
}
