package twofuse

import (
	"os"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

func (d *daemon) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return d.serve(Opendir, func() error {
		return d.with(in.NodeId, func(n *node) error {
			if _, err := n.stat(); err != nil {
				return err
			}
			fd, err := n.open(unix.O_RDONLY | unix.O_DIRECTORY)
			if err != nil {
				return err
			}
			out.Fh = d.hold(os.NewFile(uintptr(fd), "."))
			return nil
		})
	}, func() { d.release(out.Fh) })
}

func (d *daemon) ReleaseDir(in *fuse.ReleaseIn) {
	d.mu.Lock()
	delete(d.listings, in.Fh)
	d.mu.Unlock()
	d.release(in.Fh)
}

func (d *daemon) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return d.serve(Fsyncdir, func() error {
		f, err := d.handle(in.Fh)
		if err != nil {
			return err
		}
		return f.Sync()
	}, nil)
}

func (d *daemon) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return d.list(in, func(dir *node, e fuse.DirEntry) bool { return out.AddDirEntry(e) })
}

func (d *daemon) ReadDirPlus(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return d.list(in, func(dir *node, e fuse.DirEntry) bool {
		entry := out.AddDirLookupEntry(e)
		if entry == nil {
			return false
		}
		if d.enter(dir, e.Name, entry) == nil {
			out.FixMode(entry.Mode)
		}
		return true
	})
}

// list gives the names of an open directory to add, from the offset on, until
// it takes no more. A list that begins is read anew.
func (d *daemon) list(in *fuse.ReadIn, add func(dir *node, e fuse.DirEntry) bool) fuse.Status {
	return d.serve(Readdir, func() error {
		return d.with(in.NodeId, func(dir *node) error {
			names, err := d.names(in.Fh, in.Offset == 0)
			if err != nil {
				return err
			}
			for i := in.Offset; i < uint64(len(names)); i++ {
				if !add(dir, fuse.DirEntry{Name: names[i], Off: i + 1, Mode: syscall.S_IFREG}) {
					break
				}
			}
			return nil
		})
	}, nil)
}

func (d *daemon) names(fh uint64, anew bool) ([]string, error) {
	f, err := d.handle(fh)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	names, ok := d.listings[fh]
	d.mu.Unlock()
	if ok && !anew {
		return names, nil
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, err
	}
	if names, err = f.Readdirnames(-1); err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.listings[fh] = names
	d.mu.Unlock()
	return names, nil
}
