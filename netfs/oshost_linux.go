package netfs

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"
)

// forcedStat asks the server about leaf in dir, or about dir itself when leaf
// is empty (H36, H38).
func forcedStat(dir int, leaf string) (Info, error) {
	flags := unix.AT_STATX_FORCE_SYNC | unix.AT_SYMLINK_NOFOLLOW
	if leaf == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	var s unix.Statx_t
	for {
		err := unix.Statx(dir, leaf, flags, unix.STATX_BASIC_STATS, &s)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Info{}, err
		}
		return Info{
			Mode:  fileMode(uint32(s.Mode)),
			Size:  int64(s.Size),
			Nlink: uint64(s.Nlink),
			UID:   s.Uid,
			GID:   s.Gid,
			Mtime: time.Unix(s.Mtime.Sec, int64(s.Mtime.Nsec)),
			Ctime: time.Unix(s.Ctime.Sec, int64(s.Ctime.Nsec)),
		}, nil
	}
}

// fileMode keeps the permission bits and the type as far as Bobbin asks:
// regular, directory with setgid and sticky bits, link, anything else.
func fileMode(m uint32) fs.FileMode {
	mode := fs.FileMode(m & 0o777)
	switch m & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
		if m&unix.S_ISGID != 0 {
			mode |= fs.ModeSetgid
		}
		if m&unix.S_ISVTX != 0 {
			mode |= fs.ModeSticky
		}
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	default:
		mode |= fs.ModeIrregular
	}
	return mode
}

func bootTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("CLOCK_BOOTTIME: " + err.Error()) // since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}

// kernelRandom reads from getrandom(2). crypto/rand would do so too, but starts a
// timer for its first call and, with it, the poller: a process that delivers a
// message has no use for that.
type kernelRandom struct{}

// Read fills p; it waits until the kernel has been seeded.
func (kernelRandom) Read(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = unix.Getrandom(p[n:], 0)
		n += max(m, 0)
		if err == unix.EINTR {
			err = nil
		}
	}
	return n, err
}
