//go:build linux

package netfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// osFS is a tree of the real file system. Its top is held open, and every
// component below is opened with O_NOFOLLOW: os.Root would follow links that
// stay inside the tree, and one user's mailbox must not lead into another's.
// Directories stay open, so that a message file costs no walk.
type osFS struct {
	root Info // as it was when the tree was opened
	mu   sync.Mutex
	dirs map[string]*os.File // by name; "." is the top
}

func openOS(dir string) (*osFS, error) {
	// Not os.Open: for it Go would start its poller, which has no use for directories.
	fd, err := openat(unix.AT_FDCWD, dir, dirFlags&^unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return newOS(os.NewFile(uintptr(fd), dir))
}

func newOS(top *os.File) (*osFS, error) {
	// The open brought the attributes along: this asks the server nothing.
	var s unix.Stat_t
	err := control(top, func(fd int) error { return unix.Fstat(fd, &s) })
	if err != nil {
		return nil, errors.Join(err, top.Close())
	}
	root := Info{Mode: fileMode(s.Mode), UID: s.Uid, GID: s.Gid}
	return &osFS{root: root, dirs: map[string]*os.File{".": top}}, nil
}

const dirFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// dir returns an open directory of the tree.
func (o *osFS) dir(name string) (*os.File, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.walk(name)
}

func (o *osFS) walk(name string) (*os.File, error) {
	if d := o.dirs[name]; d != nil {
		return d, nil
	}
	if name == "." {
		return nil, fs.ErrClosed
	}
	parent, err := o.walk(path.Dir(name))
	if err != nil {
		return nil, err
	}
	d, err := openDir(parent, path.Base(name))
	if err == nil {
		o.dirs[name] = d
	}
	return d, err
}

// openDir opens the directory leaf of parent, "." for parent itself anew.
func openDir(parent *os.File, leaf string) (d *os.File, err error) {
	err = control(parent, func(dir int) error {
		fd, err := openat(dir, leaf, dirFlags, 0)
		if err == nil {
			d = os.NewFile(uintptr(fd), leaf)
		}
		return err
	})
	return d, err
}

// forget drops what is held open at and above name, so that the next look
// walks from the top: directory handles go stale (H109).
func (o *osFS) forget(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for ; name != "."; name = path.Dir(name) {
		if d := o.dirs[name]; d != nil {
			_ = d.Close()
			delete(o.dirs, name)
		}
	}
}

// control runs call with the descriptor of d, which no other goroutine can
// close meanwhile: a number that is used again would be another directory.
func control(d *os.File, call func(fd int) error) error {
	raw, err := d.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := raw.Control(func(fd uintptr) { err = call(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// at runs call on the directory that holds name, once more with directories
// opened anew if the server no longer knows the one that was held.
func (o *osFS) at(ctx context.Context, name string, call func(dir int, leaf string) error) error {
	if err := checkCall(ctx, name); err != nil {
		return err
	}
	parent, leaf := path.Split(name)
	parent = path.Clean(parent)
	for try := 0; ; try++ {
		d, err := o.dir(parent)
		if err == nil {
			err = control(d, func(fd int) error { return call(fd, leaf) })
		}
		if try > 0 || !notHeld(err) {
			return err
		}
		o.forget(parent)
	}
}

// in runs call on the directory name, once more if what was held is no more.
func (o *osFS) in(ctx context.Context, name string, call func(d *os.File) error) error {
	if err := checkCall(ctx, name); err != nil {
		return err
	}
	for try := 0; ; try++ {
		d, err := o.dir(name)
		if err == nil {
			err = call(d)
		}
		if try > 0 || !notHeld(err) {
			return err
		}
		o.forget(name)
	}
}

// notHeld tells whether a directory that was held open is lost: the server
// forgot it, or another goroutine let it go.
func notHeld(err error) bool { return errors.Is(err, syscall.ESTALE) || errors.Is(err, fs.ErrClosed) }

// checkCall refuses a call that nobody waits for, or one with a wrong name.
func checkCall(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !ValidPath(name) {
		return fs.ErrInvalid
	}
	return nil
}

func wrap(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// openat retries EINTR, which Go's own signals cause on SMB and FUSE (H68):
// none of the flags used here makes a second try differ from the first.
func openat(dir int, leaf string, flags int, perm fs.FileMode) (int, error) {
	for {
		fd, err := unix.Openat(dir, leaf, flags, uint32(perm.Perm()))
		if err == unix.EINTR {
			continue
		}
		return fd, err
	}
}

// leaseTime is how long Open waits for this client's own cache: it closes what
// was closed after a second (mount option closetimeo).
const leaseTime = 3 * time.Second

// openLeased is openat for reading, which the server has refused with EINVAL.
//
// Problem: where another host renamed a directory above a file that this SMB
// client has open, or has just closed, Samba refuses the file by its new name:
// the lease was taken under the old one. What we do: wait until the client
// gave it back.
func openLeased(ctx context.Context, dir int, leaf string, flags int) (int, error) {
	for waited := time.Duration(0); waited < leaseTime; waited += leaseTime / 30 {
		if err := sleep(ctx, leaseTime/30); err != nil {
			return -1, err
		}
		if fd, err := openat(dir, leaf, flags, 0); err != unix.EINVAL {
			return fd, err
		}
	}
	return -1, fmt.Errorf("in use here under another name: %w", unix.EAGAIN)
}

func (o *osFS) open(ctx context.Context, op, name string, flags int, perm fs.FileMode) (File, error) {
	var f *os.File
	err := o.at(ctx, name, func(dir int, leaf string) error {
		// O_NONBLOCK: a FIFO that somebody planted must not hang us.
		all := flags | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_CLOEXEC
		fd, err := openat(dir, leaf, all, perm)
		if err == unix.EINVAL && flags&unix.O_CREAT == 0 {
			fd, err = openLeased(ctx, dir, leaf, all)
		}
		switch err {
		case nil:
		case unix.ELOOP, unix.EMLINK, unix.ENXIO, unix.EISDIR:
			return fmt.Errorf("%w: %w", ErrIrregular, err)
		default:
			return err
		}
		// With O_NONBLOCK Go would start its poller, as for openOS.
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
		f = os.NewFile(uintptr(fd), name)
		i, err := regular(f)
		if err == nil && flags&unix.O_CREAT != 0 {
			o.own(f, i, perm)
		}
		return err
	})
	if err != nil {
		return nil, wrap(op, name, err)
	}
	return &osFile{f}, nil
}

func regular(f *os.File) (fs.FileInfo, error) {
	i, err := f.Stat()
	if err == nil && !i.Mode().IsRegular() {
		err = ErrIrregular
	}
	if err != nil {
		_ = f.Close()
	}
	return i, err
}

func (o *osFS) Create(ctx context.Context, name string, perm fs.FileMode) (File, error) {
	return o.open(ctx, "create", name, unix.O_CREAT|unix.O_WRONLY, perm&o.root.Mode.Perm())
}

func (o *osFS) Open(ctx context.Context, name string) (File, error) {
	return o.open(ctx, "open", name, unix.O_RDONLY, 0)
}

func (o *osFS) Stat(ctx context.Context, name string) (Info, error) {
	var i Info
	if err := checkCall(ctx, name); err != nil {
		return i, wrap("stat", name, err)
	}
	o.mu.Lock()
	held := o.dirs[name]
	o.mu.Unlock()
	if held != nil {
		var err error
		err = control(held, func(dir int) error { i, err = forcedStat(dir, ""); return err })
		if err == nil && i.Nlink > 0 {
			return i, nil
		}
		if name == "." {
			return i, wrap("stat", name, err)
		}
		o.forget(name)
	}
	err := o.at(ctx, name, func(dir int, leaf string) (err error) {
		i, err = forcedStat(dir, leaf)
		return err
	})
	return i, wrap("stat", name, err)
}

func (o *osFS) ReadDir(ctx context.Context, name string) ([]string, error) {
	var names []string
	err := o.in(ctx, name, func(d *os.File) error {
		f, err := openDir(d, ".")
		if err != nil {
			return err
		}
		names, err = listNames(f)
		return errors.Join(err, f.Close())
	})
	names = sortNames(names)
	return names, wrap("readdir", name, err)
}

func (o *osFS) Readlink(ctx context.Context, name string) (string, error) {
	var s string
	err := o.at(ctx, name, func(dir int, leaf string) error {
		buf := make([]byte, 8<<10)
		for {
			n, err := unix.Readlinkat(dir, leaf, buf)
			if err != unix.EINTR {
				s = string(buf[:max(n, 0)])
				return err
			}
		}
	})
	return s, wrap("readlink", name, err)
}

func (o *osFS) Symlink(ctx context.Context, target, name string) error {
	return wrap("symlink", name, o.at(ctx, name, func(dir int, leaf string) error {
		return unix.Symlinkat(target, dir, leaf)
	}))
}

func (o *osFS) two(ctx context.Context, op, oldname, newname string, call func(a int, old string, b int, new string) error) error {
	err := o.at(ctx, oldname, func(a int, oldleaf string) error {
		return o.at(ctx, newname, func(b int, newleaf string) error {
			return call(a, oldleaf, b, newleaf)
		})
	})
	if err != nil {
		return &os.LinkError{Op: op, Old: oldname, New: newname, Err: err}
	}
	return nil
}

func (o *osFS) Link(ctx context.Context, oldname, newname string) error {
	return o.two(ctx, "link", oldname, newname, func(a int, old string, b int, new string) error {
		return unix.Linkat(a, old, b, new, 0)
	})
}

func (o *osFS) Rename(ctx context.Context, oldname, newname string) error {
	err := o.two(ctx, "rename", oldname, newname, func(a int, old string, b int, new string) error {
		return unix.Renameat(a, old, b, new)
	})
	if err == nil {
		o.forgetTree(oldname)
	}
	return err
}

// forgetTree drops what is held open at and below name.
func (o *osFS) forgetTree(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dirs[name] == nil {
		return // nothing below it can be held either
	}
	for n, d := range o.dirs {
		if n == name || len(n) > len(name) && n[:len(name)] == name && n[len(name)] == '/' {
			_ = d.Close()
			delete(o.dirs, n)
		}
	}
}

func (o *osFS) Remove(ctx context.Context, name string) error {
	return wrap("remove", name, o.at(ctx, name, func(dir int, leaf string) error {
		err := unix.Unlinkat(dir, leaf, 0)
		if err != unix.EISDIR && err != unix.EPERM {
			return err
		}
		if derr := unix.Unlinkat(dir, leaf, unix.AT_REMOVEDIR); derr != unix.ENOTDIR {
			o.forgetTree(name)
			return derr
		}
		return err
	}))
}

func (o *osFS) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	return wrap("mkdir", name, o.at(ctx, name, func(dir int, leaf string) error {
		perm &= o.root.Mode.Perm()
		err := unix.Mkdirat(dir, leaf, uint32(perm))
		if err == nil {
			o.ownDir(dir, leaf, perm)
		}
		return err
	}))
}

func (o *osFS) SyncDir(ctx context.Context, name string) error {
	return wrap("sync", name, o.in(ctx, name, (*os.File).Sync))
}

// Sub opens a tree of its own. The walk to it is made anew, because a
// directory that is held may have been renamed by another host (H28).
func (o *osFS) Sub(ctx context.Context, name string) (FS, error) {
	if err := checkCall(ctx, name); err != nil {
		return nil, wrap("open", name, err)
	}
	top, err := o.dir(".")
	if err != nil {
		return nil, wrap("open", name, err)
	}
	d, err := openDir(top, ".")
	for part := range strings.SplitSeq(name, "/") {
		if err != nil {
			return nil, wrap("open", name, err)
		}
		above := d
		d, err = openDir(above, part)
		_ = above.Close()
	}
	if err != nil {
		return nil, wrap("open", name, err)
	}
	sub, err := newOS(d)
	if err != nil {
		return nil, wrap("open", name, err)
	}
	return sub, nil
}

func (o *osFS) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var err error
	for n, d := range o.dirs {
		err = errors.Join(err, d.Close())
		delete(o.dirs, n)
	}
	return err
}

// osFile is a regular file; both halves of File are one descriptor.
type osFile struct{ *os.File }

func (f *osFile) Size() (int64, error) {
	i, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return i.Size(), nil
}
