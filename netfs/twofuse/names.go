package twofuse

import (
	"errors"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Lookup lets the kernel remember that a name is missing as long as one that
// is there.
func (d *daemon) Lookup(_ <-chan struct{}, in *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return d.serve(Lookup, func() error {
		err := d.with(in.NodeId, func(dir *node) error { return d.enter(dir, name, out) })
		if errors.Is(err, unix.ENOENT) && d.o.Names > 0 {
			out.NodeId = 0
			out.SetEntryTimeout(d.o.Names)
			return nil
		}
		return err
	}, d.leave(out))
}

// leave returns what takes back the reference that enter gave to the kernel.
func (d *daemon) leave(out *fuse.EntryOut) func() {
	return func() {
		if out.NodeId != 0 {
			d.Forget(out.NodeId, 1)
		}
	}
}

// make returns what lets call create name in a directory, for the user who
// asked.
func (d *daemon) make(in *fuse.InHeader, name string, out *fuse.EntryOut, call func(dir int) error) func() error {
	return func() error {
		return d.with(in.NodeId, func(dir *node) error {
			if err := call(dir.fd); err != nil {
				return err
			}
			d.give(in, dir.fd, name)
			return d.enter(dir, name, out)
		})
	}
}

// give makes the user who asked the owner of a new file.
func (d *daemon) give(in *fuse.InHeader, dir int, name string) {
	if d.root && in.Uid != 0 {
		_ = unix.Fchownat(dir, name, int(in.Uid), int(in.Gid), unix.AT_SYMLINK_NOFOLLOW)
	}
}

func (d *daemon) Symlink(_ <-chan struct{}, in *fuse.InHeader, target, name string, out *fuse.EntryOut) fuse.Status {
	do := d.make(in, name, out, func(dir int) error { return unix.Symlinkat(target, dir, name) })
	return d.serve(Symlink, do, d.leave(out))
}

func (d *daemon) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	do := d.make(&in.InHeader, name, out, func(dir int) error { return unix.Mkdirat(dir, name, in.Mode) })
	return d.serve(Mkdir, do, d.leave(out))
}

func (d *daemon) Link(_ <-chan struct{}, in *fuse.LinkIn, name string, out *fuse.EntryOut) fuse.Status {
	return d.serve(Link, func() error {
		return d.with(in.Oldnodeid, func(old *node) error {
			return d.with(in.NodeId, func(dir *node) error {
				err := unix.Linkat(unix.AT_FDCWD, old.path(), dir.fd, name, unix.AT_SYMLINK_FOLLOW)
				if err != nil {
					return err
				}
				return d.enter(dir, name, out)
			})
		})
	}, d.leave(out))
}

func (d *daemon) Readlink(_ <-chan struct{}, in *fuse.InHeader) (target []byte, code fuse.Status) {
	code = d.serve(Readlink, func() error {
		return d.with(in.NodeId, func(n *node) error {
			buf := make([]byte, unix.PathMax)
			size, err := unix.Readlinkat(n.fd, "", buf)
			target = buf[:max(size, 0)]
			return err
		})
	}, nil)
	return target, code
}

func (d *daemon) Unlink(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return d.remove(Unlink, in, name, 0)
}

func (d *daemon) Rmdir(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return d.remove(Rmdir, in, name, unix.AT_REMOVEDIR)
}

func (d *daemon) remove(op Op, in *fuse.InHeader, name string, flags int) fuse.Status {
	return d.serve(op, func() error {
		return d.with(in.NodeId, func(dir *node) error {
			victim := victim(dir.fd, name)
			defer unix.Close(victim)
			err := unix.Unlinkat(dir.fd, name, flags)
			if err == nil {
				d.removed(victim)
			}
			return err
		})
	}, nil)
}

// victim opens what will lose its name; -1 when there is nothing.
func victim(dir int, name string) int {
	fd, err := unix.Openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

func (d *daemon) Rename(_ <-chan struct{}, in *fuse.RenameIn, from, to string) fuse.Status {
	return d.serve(Rename, func() error {
		return d.with(in.NodeId, func(a *node) error {
			return d.with(in.Newdir, func(b *node) error {
				victim := victim(b.fd, to)
				defer unix.Close(victim)
				err := unix.Renameat2(a.fd, from, b.fd, to, uint(in.Flags))
				if err == nil {
					d.removed(victim)
				}
				return err
			})
		})
	}, nil)
}
