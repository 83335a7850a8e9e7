package netfstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// onFile is a defect of all open files.
func onFile(b brokenFile) func(netfs.File) netfs.File {
	return func(f netfs.File) netfs.File {
		c := b
		c.File = f
		return &c
	}
}

// fileDefects are about files.
var fileDefects = []defect{
	{name: "create empties", cases: "create", create: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		_ = f.Remove(ctx, name)
		return f.Create(ctx, name, 0o600)
	}},
	{name: "create follows links", cases: "links are not opened", create: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		return f.Create(ctx, follow(ctx, f, name), 0o600)
	}},
	{name: "create makes directories", cases: "create,write file", create: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		_ = f.Mkdir(ctx, path.Dir(name), 0o700)
		return f.Create(ctx, name, 0o600)
	}},
	{name: "open follows links", cases: "links are not opened,links lead nowhere,a directory becomes a link",
		open: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
			return f.Open(ctx, follow(ctx, f, name))
		}},
	{name: "open makes files", cases: "open,read file", open: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		w, err := f.Create(ctx, name, 0o600)
		if err == nil {
			_ = w.Close()
		}
		return f.Open(ctx, name)
	}},
	{name: "a directory is not called irregular", cases: "open,put what is in the way by link",
		open: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
			r, err := f.Open(ctx, name)
			if errors.Is(err, syscall.EISDIR) {
				err = &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
			}
			return r, err
		}},
	{name: "a removed file is empty", cases: "a file is removed while it is read",
		open: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
			r, err := f.Open(ctx, name)
			if err != nil {
				return nil, err
			}
			return &brokenFile{File: r, read: func(r netfs.File, p []byte) (int, error) {
				if missing(ctx, f, name) {
					return 0, io.EOF
				}
				return r.Read(p)
			}}, nil
		}},
	{name: "an empty file cannot be read", cases: "empty file", file: onFile(brokenFile{
		read: func(f netfs.File, p []byte) (int, error) {
			if n, err := f.Size(); n == 0 && err == nil {
				return 0, syscall.EIO
			}
			return f.Read(p)
		}})},
	{name: "read at moves the place", cases: "read at", file: onFile(brokenFile{
		readAt: func(f netfs.File, p []byte, off int64) (int, error) {
			n, err := f.ReadAt(p, off)
			_, _ = f.Read(make([]byte, n))
			return n, err
		}})},
	{name: "read at ends without EOF", cases: "read at", file: onFile(brokenFile{
		readAt: func(f netfs.File, p []byte, off int64) (int, error) {
			n, err := f.ReadAt(p, off)
			if err == io.EOF && n > 0 {
				err = nil
			}
			return n, err
		}})},
	{name: "read at is wrong far inside", cases: "large file", file: onFile(brokenFile{
		readAt: func(f netfs.File, p []byte, off int64) (int, error) { return f.ReadAt(p, off&(1<<22-1)) }})},
	{name: "reading ends early", cases: "large file,put records of any length by link", file: func(f netfs.File) netfs.File {
		left := 5000
		return &brokenFile{File: f, read: func(f netfs.File, p []byte) (int, error) {
			if left == 0 {
				return 0, io.EOF
			}
			n, err := f.Read(p[:min(left, len(p))])
			left -= n
			return n, err
		}}
	}},
	{name: "large writes lose a byte", cases: "large file,write file", file: onFile(brokenFile{
		write: func(f netfs.File, p []byte) (int, error) {
			if len(p) > 1<<16 {
				_, err := f.Write(p[:len(p)-1])
				return len(p), err
			}
			return f.Write(p)
		}})},
	{name: "writes change line ends", cases: "write file", file: onFile(brokenFile{
		write: func(f netfs.File, p []byte) (int, error) {
			return f.Write([]byte(strings.ReplaceAll(string(p), "\r", "\n")))
		}})},
	{name: "sync does nothing", cases: "size", file: onFile(brokenFile{sync: func(netfs.File) error { return nil }})},
	{name: "size is that of the opening", cases: "size,create new,write file", file: func(f netfs.File) netfs.File {
		n, err := f.Size()
		return &brokenFile{File: f, size: func(netfs.File) (int64, error) { return n, err }}
	}},
	{name: "close twice is fine", cases: "handles", file: onFile(brokenFile{close: func(f netfs.File) error {
		_ = f.Close()
		return nil
	}})},
	{name: "writes to a reader are dropped", cases: "handles", file: onFile(brokenFile{
		write: func(f netfs.File, p []byte) (int, error) {
			if _, err := f.Write(p); err != nil {
				return len(p), nil
			}
			return len(p), nil
		}})},
	{name: "reading what was opened for writing ends at once", cases: "handles", file: onFile(brokenFile{
		read: func(f netfs.File, p []byte) (int, error) {
			n, err := f.Read(p)
			if errors.Is(err, syscall.EBADF) {
				err = nil
			}
			return n, err
		}})},
}

// lookDefects are about looking at names.
var lookDefects = []defect{
	{name: "stat follows links", cases: "links are not opened,links lead nowhere",
		stat: func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
			return f.Stat(ctx, follow(ctx, f, name))
		}},
	{name: "what is missing has no error", cases: "stat,witness", stat: func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
		i, err := f.Stat(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return i, err
	}},
	{name: "stat says bare errnos", cases: "stat,fresh,settled,watch", stat: func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
		i, err := f.Stat(ctx, name)
		return i, bare(err)
	}},
	{name: "attributes are cached for ever", cases: "size,fresh,watch", stat: cachedStat()},
	{name: "stamps change by themselves", cases: "settled,watch while nothing happens", stat: restlessStat()},
	{name: "a name stays missing", cases: "watch", stat: func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
		i, err := f.Stat(ctx, name)
		if name == "f7" {
			err = &fs.PathError{Op: "stat", Path: name, Err: syscall.ENOENT}
		}
		return i, err
	}},
	{name: "a list is not sorted", cases: "list,list 1000 names", readdir: func(ctx context.Context, f netfs.FS, name string) ([]string, error) {
		l, err := f.ReadDir(ctx, name)
		slices.Reverse(l)
		return l, err
	}},
	{name: "a list has the dot", cases: "list", readdir: func(ctx context.Context, f netfs.FS, name string) ([]string, error) {
		l, err := f.ReadDir(ctx, name)
		return append([]string{"."}, l...), err
	}},
	{name: "a list hides dot files", cases: "list,names", readdir: func(ctx context.Context, f netfs.FS, name string) ([]string, error) {
		l, err := f.ReadDir(ctx, name)
		return slices.DeleteFunc(l, func(n string) bool { return n[0] == '.' }), err
	}},
	{name: "a long list misses a name", cases: "list 1000 names", readdir: func(ctx context.Context, f netfs.FS, name string) ([]string, error) {
		l, err := f.ReadDir(ctx, name)
		if len(l) > 100 {
			l = slices.Delete(l, 50, 51)
		}
		return l, err
	}},
	{name: "a long list has a name twice", cases: "list 1000 names", readdir: func(ctx context.Context, f netfs.FS, name string) ([]string, error) {
		l, err := f.ReadDir(ctx, name)
		if len(l) > 100 {
			l = slices.Insert(l, 50, l[50])
		}
		return l, err
	}},
	{name: "what is missing is an empty list", cases: "list", readdir: func(ctx context.Context, f netfs.FS, name string) ([]string, error) {
		l, err := f.ReadDir(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return l, err
	}},
	{name: "lists follow links", cases: "links lead nowhere", readdir: func(ctx context.Context, f netfs.FS, name string) ([]string, error) {
		return f.ReadDir(ctx, follow(ctx, f, name))
	}},
	{name: "targets are cleaned", cases: "readlink", readlink: func(ctx context.Context, f netfs.FS, name string) (string, error) {
		s, err := f.Readlink(ctx, name)
		if err == nil {
			s = path.Clean(s)
		}
		return s, err
	}},
	{name: "targets are cut", cases: "readlink,put records of any length by symlink", readlink: func(ctx context.Context, f netfs.FS, name string) (string, error) {
		s, err := f.Readlink(ctx, name)
		return s[:min(len(s), 255)], err
	}},
	{name: "readlink of a file is empty", cases: "readlink,put what is in the way by symlink", readlink: func(ctx context.Context, f netfs.FS, name string) (string, error) {
		s, err := f.Readlink(ctx, name)
		if errors.Is(err, syscall.EINVAL) {
			err = nil
		}
		return s, err
	}},
}

// cachedStat remembers attributes.
func cachedStat() func(context.Context, netfs.FS, string) (netfs.Info, error) {
	var mu sync.Mutex
	seen := map[string]netfs.Info{}
	return func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
		mu.Lock()
		defer mu.Unlock()
		if i, ok := seen[name]; ok {
			return i, nil
		}
		i, err := f.Stat(ctx, name)
		if err == nil {
			seen[name] = i
		}
		return i, err
	}
}

// restlessStat never says the same twice.
func restlessStat() func(context.Context, netfs.FS, string) (netfs.Info, error) {
	var mu sync.Mutex
	var n int64
	return func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
		i, err := f.Stat(ctx, name)
		mu.Lock()
		defer mu.Unlock()
		n++
		i.Size += n
		return i, err
	}
}

// changeDefects are about changing names.
var changeDefects = []defect{
	{name: "symlink replaces", cases: "symlink,names are made once,put by symlink,put in a race by symlink,try by symlink",
		symlink: func(ctx context.Context, f netfs.FS, target, name string) error {
			return over(ctx, f, name, func() error { return f.Symlink(ctx, target, name) })
		}},
	{name: "symlink makes files", cases: "symlink,links are not opened,put by symlink", symlink: func(ctx context.Context, f netfs.FS, target, name string) error {
		if !missing(ctx, f, name) {
			return &fs.PathError{Op: "symlink", Path: name, Err: syscall.EEXIST}
		}
		return netfs.WriteFile(ctx, f, name, []byte(target))
	}},
	{name: "symlink goes through links", cases: "links lead nowhere", symlink: func(ctx context.Context, f netfs.FS, target, name string) error {
		return f.Symlink(ctx, target, path.Join(follow(ctx, f, path.Dir(name)), path.Base(name)))
	}},
	{name: "link replaces", cases: "hard link,names are made once,put by link,put in a race by link,try by link", link: func(ctx context.Context, f netfs.FS, o, n string) error {
		return over(ctx, f, n, func() error { return f.Link(ctx, o, n) })
	}},
	{name: "link copies", cases: "hard link", link: copyOf},
	{name: "rename copies", cases: "rename,move,a file is renamed by another host,a name is renamed once", rename: func(ctx context.Context, f netfs.FS, o, n string) error {
		if i, err := f.Stat(ctx, o); err != nil || i.Mode.IsDir() {
			return f.Rename(ctx, o, n)
		}
		return copyOf(ctx, f, o, n)
	}},
	{name: "rename replaces full directories", cases: "rename over a directory,try by directory", rename: func(ctx context.Context, f netfs.FS, o, n string) error {
		err := f.Rename(ctx, o, n)
		if errors.Is(err, syscall.ENOTEMPTY) {
			removeTree(ctx, f, n)
			err = f.Rename(ctx, o, n)
		}
		return err
	}},
	{name: "rename follows links", cases: "links are names", rename: func(ctx context.Context, f netfs.FS, o, n string) error {
		return f.Rename(ctx, o, follow(ctx, f, n))
	}},
	{name: "rename of nothing is fine", cases: "rename,a file is renamed by another host", rename: func(ctx context.Context, f netfs.FS, o, n string) error {
		err := f.Rename(ctx, o, n)
		if errors.Is(err, fs.ErrNotExist) && missing(ctx, f, o) {
			err = nil
		}
		return err
	}},
	{name: "rename names nothing", cases: "rename", rename: func(ctx context.Context, f netfs.FS, o, n string) error {
		return bare(f.Rename(ctx, o, n))
	}},
	{name: "renames are remembered", cases: "rename a directory", open: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		r, err := f.Open(ctx, name)
		if rest, ok := strings.CutPrefix(name, "old/"); ok && errors.Is(err, fs.ErrNotExist) {
			return f.Open(ctx, "new/"+rest)
		}
		return r, err
	}},
	{name: "remove of nothing is fine", cases: "remove", remove: func(ctx context.Context, f netfs.FS, name string) error {
		err := f.Remove(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}},
	{name: "remove removes trees", cases: "remove,unlink", remove: func(ctx context.Context, f netfs.FS, name string) error {
		err := f.Remove(ctx, name)
		if errors.Is(err, syscall.ENOTEMPTY) {
			removeTree(ctx, f, name)
			err = nil
		}
		return err
	}},
	{name: "remove follows links", cases: "links are names", remove: func(ctx context.Context, f netfs.FS, name string) error {
		if name == "try" { // what the suite tries links with
			return f.Remove(ctx, name)
		}
		return f.Remove(ctx, follow(ctx, f, name))
	}},
	{name: "remove keeps some", cases: "remove a record by link,remove a record by symlink,remove a record by directory", remove: func(ctx context.Context, f netfs.FS, name string) error {
		if path.Base(name) == "1" || path.Base(name) == "r" {
			return nil
		}
		return f.Remove(ctx, name)
	}},
	{name: "mkdir of what exists is fine", cases: "mkdir,names are made once", mkdir: func(ctx context.Context, f netfs.FS, name string) error {
		err := f.Mkdir(ctx, name, 0o700)
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		return err
	}},
	{name: "mkdir makes parents", cases: "mkdir", mkdir: func(ctx context.Context, f netfs.FS, name string) error {
		_ = f.Mkdir(ctx, path.Dir(name), 0o700)
		return f.Mkdir(ctx, name, 0o700)
	}},
	{name: "mkdir goes through links", cases: "mkdir all,links lead nowhere", mkdir: func(ctx context.Context, f netfs.FS, name string) error {
		if missing(ctx, f, "f0") { // not while hosts compete
			name = path.Join(follow(ctx, f, path.Dir(name)), path.Base(name))
		}
		return f.Mkdir(ctx, name, 0o700)
	}},
	{name: "directories cannot be synced", cases: "sync a directory", syncdir: func(ctx context.Context, f netfs.FS, name string) error {
		return &fs.PathError{Op: "sync", Path: name, Err: syscall.EIO}
	}},
}

// treeDefects are about trees and names in general.
var treeDefects = []defect{
	{name: "sub follows links", cases: "links lead nowhere,a directory becomes a link", sub: func(ctx context.Context, f netfs.FS, name string) (netfs.FS, error) {
		return f.Sub(ctx, follow(ctx, f, name))
	}},
	{name: "sub goes through a file", cases: "sub", sub: func(ctx context.Context, f netfs.FS, name string) (netfs.FS, error) {
		s, err := f.Sub(ctx, name)
		if errors.Is(err, syscall.ENOTDIR) {
			return f.Sub(ctx, path.Dir(name))
		}
		return s, err
	}},
	{name: "a closed tree goes on", cases: "sub", close: func(netfs.FS) error { return nil }},
	{name: "sub enters what was renamed", cases: "a directory is renamed by another host", sub: func(ctx context.Context, f netfs.FS, name string) (netfs.FS, error) {
		if rest, ok := strings.CutPrefix(name, "d/"); ok && !missing(ctx, f, "kept") {
			return f.Sub(ctx, "kept/"+rest)
		}
		return f.Sub(ctx, name)
	}},
	{name: "long names are cut", cases: "names", create: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		return f.Create(ctx, path.Join(path.Dir(name), path.Base(name)[:min(255, len(path.Base(name)))]), 0o600)
	}},
	{name: "colons are changed", cases: "flags in names", create: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		return f.Create(ctx, strings.ReplaceAll(name, ":", "_"), 0o600)
	}},
	{name: "names are cleaned", cases: "invalid names", stat: func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
		return f.Stat(ctx, path.Clean("./"+strings.TrimLeft(name, "/")))
	}},
	{name: "removed directories are made again", cases: "a directory is removed by another host", mkdir: func(ctx context.Context, f netfs.FS, name string) error {
		err := f.Mkdir(ctx, name, 0o700)
		if errors.Is(err, syscall.ESTALE) {
			err = nil
		}
		return err
	}},
	{name: "new directories cannot be seen", cases: "a directory is replaced by another host", stat: func(ctx context.Context, f netfs.FS, name string) (netfs.Info, error) {
		if name == "d/2" {
			return netfs.Info{}, &fs.PathError{Op: "stat", Path: name, Err: syscall.ENOENT}
		}
		return f.Stat(ctx, name)
	}},
	{name: "renames fail now and then", cases: "goroutines", rename: fickleRename()},
	{name: "an empty directory is a record", cases: "put what is in the way by directory", open: func(ctx context.Context, f netfs.FS, name string) (netfs.File, error) {
		r, err := f.Open(ctx, name)
		if name == "r" && errors.Is(err, fs.ErrNotExist) {
			w, werr := f.Create(ctx, name, 0o600)
			if werr == nil {
				_ = w.Close()
			}
			return f.Open(ctx, name)
		}
		return r, err
	}},
	{name: "directories are merged", cases: "put by directory,put records of any length by directory", rename: func(ctx context.Context, f netfs.FS, o, n string) error {
		if err := f.Mkdir(ctx, n, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		names, err := f.ReadDir(ctx, o)
		for _, name := range names {
			err = errors.Join(err, f.Rename(ctx, o+"/"+name, n+"/.t."+name))
		}
		return errors.Join(err, f.Remove(ctx, o))
	}},
	{name: "the last directory wins", cases: "put in a race by directory",
		sub: func(ctx context.Context, f netfs.FS, name string) (netfs.FS, error) {
			s, err := f.Sub(ctx, name)
			if err != nil {
				time.Sleep(time.Millisecond) // so that all see that there is none
			}
			return s, err
		},
		rename: func(ctx context.Context, f netfs.FS, o, n string) error {
			return over(ctx, f, n, func() error { return f.Rename(ctx, o, n) })
		}},
}

// fickleRename fails each seventh time.
func fickleRename() func(context.Context, netfs.FS, string, string) error {
	var calls atomic.Int64
	return func(ctx context.Context, f netfs.FS, oldname, newname string) error {
		if calls.Add(1)%7 == 0 {
			return fmt.Errorf("rename %s: %w", oldname, syscall.EBUSY)
		}
		return f.Rename(ctx, oldname, newname)
	}
}
