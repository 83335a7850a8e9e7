package twofuse

import (
	"io"
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

func (d *daemon) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return d.serve(Getattr, func() error {
		return d.with(in.NodeId, func(n *node) error { return d.attributes(n, out) })
	}, nil)
}

func (d *daemon) attributes(n *node, out *fuse.AttrOut) error {
	s, err := n.stat()
	out.FromStat(&s)
	out.SetTimeout(d.o.Attributes)
	return err
}

func (d *daemon) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return d.serve(Setattr, func() error {
		return d.with(in.NodeId, func(n *node) error {
			if err := change(n, in); err != nil {
				return err
			}
			return d.attributes(n, out)
		})
	}, nil)
}

// change sets mode, owner, size and times of a file.
func change(n *node, in *fuse.SetAttrIn) error {
	if mode, ok := in.GetMode(); ok {
		if err := unix.Chmod(n.path(), mode&0o7777); err != nil {
			return err
		}
	}
	uid, setUID := in.GetUID()
	gid, setGID := in.GetGID()
	if setUID || setGID {
		owner, group := -1, -1
		if setUID {
			owner = int(uid)
		}
		if setGID {
			group = int(gid)
		}
		if err := unix.Fchownat(n.fd, "", owner, group, unix.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if size, ok := in.GetSize(); ok {
		if err := unix.Truncate(n.path(), int64(size)); err != nil {
			return err
		}
	}
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, {Nsec: unix.UTIME_OMIT}}
	if t, ok := in.GetATime(); ok {
		times[0] = unix.NsecToTimespec(t.UnixNano())
	}
	if t, ok := in.GetMTime(); ok {
		times[1] = unix.NsecToTimespec(t.UnixNano())
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, n.path(), times, 0)
}

func (d *daemon) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	return d.serve(Create, func() error {
		return d.with(in.NodeId, func(dir *node) error {
			flags := int(in.Flags)&^unix.O_DIRECT | unix.O_CREAT | unix.O_NOFOLLOW | unix.O_CLOEXEC
			made := unix.Faccessat(dir.fd, name, unix.F_OK, unix.AT_SYMLINK_NOFOLLOW) != nil
			fd, err := retry(func() (int, error) { return unix.Openat(dir.fd, name, flags, in.Mode) })
			if err != nil {
				return err
			}
			if made {
				d.give(&in.InHeader, dir.fd, name)
			}
			if err := d.enter(dir, name, &out.EntryOut); err != nil {
				_ = unix.Close(fd)
				return err
			}
			out.Fh = d.hold(os.NewFile(uintptr(fd), name))
			return nil
		})
	}, func() {
		d.leave(&out.EntryOut)()
		d.release(out.Fh)
	})
}

// Open lets the kernel keep the pages it has.
func (d *daemon) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return d.serve(Open, func() error {
		return d.with(in.NodeId, func(n *node) error {
			if _, err := n.stat(); err != nil {
				return err
			}
			fd, err := n.open(int(in.Flags) &^ (unix.O_NOFOLLOW | unix.O_DIRECT | unix.O_CREAT | unix.O_EXCL))
			if err != nil {
				return err
			}
			out.Fh, out.OpenFlags = d.hold(os.NewFile(uintptr(fd), "")), fuse.FOPEN_KEEP_CACHE
			return nil
		})
	}, func() { d.release(out.Fh) })
}

// hold keeps an open file for the kernel, which gets its number.
func (d *daemon) hold(f *os.File) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lastHandle++
	d.handles[d.lastHandle] = f
	return d.lastHandle
}

func (d *daemon) handle(fh uint64) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.handles[fh]; f != nil {
		return f, nil
	}
	return nil, unix.EBADF
}

func (d *daemon) release(fh uint64) {
	d.mu.Lock()
	f := d.handles[fh]
	delete(d.handles, fh)
	d.mu.Unlock()
	if f != nil {
		_ = f.Close()
	}
}

func (d *daemon) Release(_ <-chan struct{}, in *fuse.ReleaseIn) { d.release(in.Fh) }

func (d *daemon) Read(_ <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	size := 0
	code := d.serve(Read, func() error {
		return d.with(in.NodeId, func(n *node) error {
			f, err := d.handle(in.Fh)
			if err == nil {
				_, err = n.stat()
			}
			if err != nil {
				return err
			}
			size, err = f.ReadAt(buf, int64(in.Offset))
			if err == io.EOF {
				err = nil
			}
			return err
		})
	}, nil)
	return fuse.ReadResultData(buf[:size]), code
}

func (d *daemon) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (written uint32, code fuse.Status) {
	code = d.serve(Write, func() error {
		f, err := d.handle(in.Fh)
		if err != nil {
			return err
		}
		n, err := f.WriteAt(data, int64(in.Offset))
		written = uint32(n)
		return err
	}, nil)
	return written, code
}

func (d *daemon) Flush(_ <-chan struct{}, in *fuse.FlushIn) fuse.Status {
	return d.serve(Flush, func() error {
		_, err := d.handle(in.Fh)
		return err
	}, nil)
}

func (d *daemon) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return d.serve(Fsync, func() error {
		f, err := d.handle(in.Fh)
		if err != nil {
			return err
		}
		return f.Sync()
	}, nil)
}

func (d *daemon) StatFs(_ <-chan struct{}, in *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	return fuse.ToStatus(d.with(in.NodeId, func(n *node) error {
		var s syscall.Statfs_t
		if err := syscall.Fstatfs(n.fd, &s); err != nil {
			return err
		}
		out.FromStatfsT(&s)
		return nil
	}))
}
