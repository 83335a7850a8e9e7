package netfs

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// rooted is an [FS] that knows its root.
type rooted interface{ rootInfo() Info }

// RootInfo describes the root of a tree as it was when the tree was opened:
// mode, owner and group. It asks the server nothing. ok is false for a file
// system that has no rights.
func RootInfo(f FS) (i Info, ok bool) {
	if r, is := f.(rooted); is {
		i = r.rootInfo()
	}
	return i, i.Mode.IsDir()
}

func (o *osFS) rootInfo() Info { return o.root }

func (c *countedFS) rootInfo() Info {
	i, _ := RootInfo(c.FS)
	return i
}

// own gives a new file the group of the tree's root and of perm what the umask
// took. Where the process has the umask 0 and the group is right, or inherited
// from a directory with the setgid bit, there is nothing to do.
//
// If the group cannot be given, because the owner is not in it, its rights
// would be another group's: nobody but the owner gets any. Other errors are
// passed over: a share that keeps no modes has its own rules, and a message is
// not refused for them.
func (o *osFS) own(f *os.File, i fs.FileInfo, perm fs.FileMode) {
	is := i.Mode().Perm()
	if s, ok := i.Sys().(*syscall.Stat_t); ok && s.Gid != o.root.GID && f.Chown(-1, int(o.root.GID)) != nil {
		perm &= 0o707
		if is&0o070 != 0 {
			_ = f.Chmod(perm)
		}
	}
	if perm&^is != 0 {
		_ = f.Chmod(perm)
	}
}

// ownDir is own for a directory that was just made. Somebody with the right to
// write here may have put another in its place: only one of ours is touched.
func (o *osFS) ownDir(parent int, leaf string, perm fs.FileMode) {
	var s unix.Stat_t
	if unix.Fstatat(parent, leaf, &s, unix.AT_SYMLINK_NOFOLLOW) != nil ||
		s.Gid == o.root.GID && perm&^fileMode(s.Mode) == 0 {
		return
	}
	fd, err := openat(parent, leaf, dirFlags, 0)
	if err != nil {
		return
	}
	d := os.NewFile(uintptr(fd), leaf)
	defer d.Close()
	i, err := d.Stat()
	if err != nil {
		return
	}
	if s, ok := i.Sys().(*syscall.Stat_t); ok && int(s.Uid) == os.Geteuid() {
		o.own(d, i, perm|i.Mode()&fs.ModeSetgid)
	}
}
