package netfstest

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
)

// defect is one way to break the contract. The functions that are set take
// the place of the file system's own.
type defect struct {
	name string
	// cases are the tests that must find it.
	cases string

	create   func(ctx context.Context, f netfs.FS, name string) (netfs.File, error)
	open     func(ctx context.Context, f netfs.FS, name string) (netfs.File, error)
	stat     func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error)
	readdir  func(ctx context.Context, f netfs.FS, name string) ([]string, error)
	readlink func(ctx context.Context, f netfs.FS, name string) (string, error)
	symlink  func(ctx context.Context, f netfs.FS, target, name string) error
	link     func(ctx context.Context, f netfs.FS, oldname, newname string) error
	rename   func(ctx context.Context, f netfs.FS, oldname, newname string) error
	remove   func(ctx context.Context, f netfs.FS, name string) error
	mkdir    func(ctx context.Context, f netfs.FS, name string) error
	syncdir  func(ctx context.Context, f netfs.FS, name string) error
	sub      func(ctx context.Context, f netfs.FS, name string) (netfs.FS, error)
	close    func(f netfs.FS) error
	file     func(f netfs.File) netfs.File // what Create and Open return
}

// brokenFS is a file system with a defect, which trees made by Sub have too.
type brokenFS struct {
	netfs.FS
	d *defect
}

func (b *brokenFS) Create(ctx context.Context, name string, perm fs.FileMode) (netfs.File, error) {
	if b.d.create != nil {
		return b.d.create(ctx, b.FS, name)
	}
	return b.file(b.FS.Create(ctx, name, perm))
}

func (b *brokenFS) Open(ctx context.Context, name string) (netfs.File, error) {
	if b.d.open != nil {
		return b.d.open(ctx, b.FS, name)
	}
	return b.file(b.FS.Open(ctx, name))
}

func (b *brokenFS) file(f netfs.File, err error) (netfs.File, error) {
	if err == nil && b.d.file != nil {
		f = b.d.file(f)
	}
	return f, err
}

func (b *brokenFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	if b.d.stat != nil {
		return b.d.stat(ctx, b.FS, name)
	}
	return b.FS.Stat(ctx, name)
}

func (b *brokenFS) ReadDir(ctx context.Context, name string) ([]string, error) {
	if b.d.readdir != nil {
		return b.d.readdir(ctx, b.FS, name)
	}
	return b.FS.ReadDir(ctx, name)
}

func (b *brokenFS) Readlink(ctx context.Context, name string) (string, error) {
	if b.d.readlink != nil {
		return b.d.readlink(ctx, b.FS, name)
	}
	return b.FS.Readlink(ctx, name)
}

func (b *brokenFS) Symlink(ctx context.Context, target, name string) error {
	if b.d.symlink != nil {
		return b.d.symlink(ctx, b.FS, target, name)
	}
	return b.FS.Symlink(ctx, target, name)
}

func (b *brokenFS) Link(ctx context.Context, oldname, newname string) error {
	if b.d.link != nil {
		return b.d.link(ctx, b.FS, oldname, newname)
	}
	return b.FS.Link(ctx, oldname, newname)
}

func (b *brokenFS) Rename(ctx context.Context, oldname, newname string) error {
	if b.d.rename != nil {
		return b.d.rename(ctx, b.FS, oldname, newname)
	}
	return b.FS.Rename(ctx, oldname, newname)
}

func (b *brokenFS) Remove(ctx context.Context, name string) error {
	if b.d.remove != nil {
		return b.d.remove(ctx, b.FS, name)
	}
	return b.FS.Remove(ctx, name)
}

func (b *brokenFS) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	if b.d.mkdir != nil {
		return b.d.mkdir(ctx, b.FS, name)
	}
	return b.FS.Mkdir(ctx, name, perm)
}

func (b *brokenFS) SyncDir(ctx context.Context, name string) error {
	if b.d.syncdir != nil {
		return b.d.syncdir(ctx, b.FS, name)
	}
	return b.FS.SyncDir(ctx, name)
}

func (b *brokenFS) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub := netfs.FS.Sub
	if b.d.sub != nil {
		sub = func(f netfs.FS, ctx context.Context, name string) (netfs.FS, error) { return b.d.sub(ctx, f, name) }
	}
	f, err := sub(b.FS, ctx, name)
	if err != nil {
		return nil, err
	}
	return &brokenFS{f, b.d}, nil
}

func (b *brokenFS) Close() error {
	if b.d.close != nil {
		return b.d.close(b.FS)
	}
	return b.FS.Close()
}

// brokenFile is a file with a defect.
type brokenFile struct {
	netfs.File
	read   func(f netfs.File, p []byte) (int, error)
	readAt func(f netfs.File, p []byte, off int64) (int, error)
	write  func(f netfs.File, p []byte) (int, error)
	size   func(f netfs.File) (int64, error)
	sync   func(f netfs.File) error
	close  func(f netfs.File) error
}

func (b *brokenFile) Read(p []byte) (int, error) {
	if b.read != nil {
		return b.read(b.File, p)
	}
	return b.File.Read(p)
}

func (b *brokenFile) ReadAt(p []byte, off int64) (int, error) {
	if b.readAt != nil {
		return b.readAt(b.File, p, off)
	}
	return b.File.ReadAt(p, off)
}

func (b *brokenFile) Write(p []byte) (int, error) {
	if b.write != nil {
		return b.write(b.File, p)
	}
	return b.File.Write(p)
}

func (b *brokenFile) Size() (int64, error) {
	if b.size != nil {
		return b.size(b.File)
	}
	return b.File.Size()
}

func (b *brokenFile) Sync() error {
	if b.sync != nil {
		return b.sync(b.File)
	}
	return b.File.Sync()
}

func (b *brokenFile) Close() error {
	if b.close != nil {
		return b.close(b.File)
	}
	return b.File.Close()
}

// follow returns what a name is after its links, in every component.
func follow(ctx context.Context, f netfs.FS, name string) string {
	at := "."
	for part := range strings.SplitSeq(name, "/") {
		at = path.Join(at, part)
		for range 5 {
			to, err := f.Readlink(ctx, at)
			if err != nil {
				break
			}
			at = path.Join(path.Dir(at), to)
		}
	}
	return at
}

// missing tells whether a name does not exist.
func missing(ctx context.Context, f netfs.FS, name string) bool {
	_, err := f.Stat(ctx, name)
	return errors.Is(err, fs.ErrNotExist)
}

// removeTree removes a name with all below it.
func removeTree(ctx context.Context, f netfs.FS, name string) {
	names, _ := f.ReadDir(ctx, name)
	for _, n := range names {
		removeTree(ctx, f, name+"/"+n)
	}
	_ = f.Remove(ctx, name)
}

// over makes a name free before do makes it.
func over(ctx context.Context, f netfs.FS, name string, do func() error) error {
	err := do()
	if errors.Is(err, fs.ErrExist) {
		removeTree(ctx, f, name)
		err = do()
	}
	return err
}

// bare returns the errno in err without its names.
func bare(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}

// copyOf makes a copy of a file.
func copyOf(ctx context.Context, f netfs.FS, oldname, newname string) error {
	if !missing(ctx, f, newname) {
		return &fs.PathError{Op: "link", Path: newname, Err: fs.ErrExist}
	}
	b, err := netfs.ReadFile(ctx, f, oldname, 1<<20)
	if err != nil {
		return err
	}
	return netfs.WriteFile(ctx, f, newname, b)
}
