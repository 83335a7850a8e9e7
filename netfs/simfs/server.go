package simfs

import (
	"cmp"
	"io/fs"
	"sync"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Server is the file server: one tree that all hosts share. Its exported
// methods act at once, past the gate and without faults; they are for tests to
// prepare, look at and damage the tree.
type Server struct {
	mu    *sync.Mutex // the Sim's; the unexported methods want it held
	root  *inode
	clock func() time.Duration
	tick  time.Duration
	ahead time.Duration // what its clock was put forward by
	epoch time.Time
	max   int // the longest link target
	able  Abilities
	last  uint64 // the last change id given out
	past  past
	limit int // of blocks in use; none if zero
}

func (s *Server) now() time.Duration {
	t := s.clock() + s.ahead
	return t - t%s.tick
}

// changed stamps inodes whose content or names changed.
func (s *Server) changed(nodes ...*inode) {
	t := s.now()
	for _, n := range nodes {
		s.last++
		n.mtime, n.ctime, n.change = t, t, s.last
	}
}

func (s *Server) newInode(mode fs.FileMode) *inode {
	t := s.now()
	s.last++
	n := &inode{mode: mode, nlink: 1, mtime: t, ctime: t, change: s.last, fold: s.able.Fold}
	if n.isDir() {
		n.nlink = 2
	}
	return n
}

// place checks that leaf can become a new name in dir.
func (s *Server) place(dir *inode, leaf string) error {
	switch {
	case dir.nlink == 0:
		return syscall.ESTALE
	case dir.get(leaf) != nil:
		return syscall.EEXIST
	}
	return s.able.checkName(leaf)
}

// lookup finds leaf in dir.
func (s *Server) lookup(dir *inode, leaf string) (*inode, error) {
	switch {
	case dir.nlink == 0:
		return nil, syscall.ESTALE
	case len(leaf) > nameMax:
		return nil, syscall.ENAMETOOLONG
	}
	if n := dir.get(leaf); n != nil {
		return n, nil
	}
	return nil, syscall.ENOENT
}

func regular(n *inode) error {
	switch {
	case n.isDir():
		return errDir
	case n.mode&fs.ModeSymlink != 0:
		return errLink
	}
	return nil
}

func (s *Server) create(dir *inode, leaf string, perm fs.FileMode) (*inode, error) {
	n, err := s.lookup(dir, leaf)
	if err == syscall.ENOENT {
		if nerr := s.able.checkName(leaf); nerr != nil {
			err = nerr
		} else if nerr := s.fits(1); nerr != nil {
			err = nerr
		}
	}
	switch err {
	case nil:
		return n, regular(n)
	case syscall.ENOENT:
		n = s.newInode(perm.Perm() &^ umask)
		s.save(n, dir)
		dir.put(leaf, n)
		s.changed(dir)
		return n, nil
	}
	return nil, err
}

func (s *Server) open(dir *inode, leaf string) (*inode, error) {
	n, err := s.lookup(dir, leaf)
	if err == nil {
		err = regular(n)
	}
	return n, err
}

func (s *Server) info(n *inode) netfs.Info {
	i := netfs.Info{
		Mode: n.mode, Size: int64(len(n.data) + len(n.target)), Nlink: uint64(n.nlink),
		Mtime: s.epoch.Add(n.mtime), Ctime: s.epoch.Add(n.ctime),
	}
	if n.isDir() {
		i.Size = dirSize
	}
	return i
}

func (s *Server) readlink(dir *inode, leaf string) (string, error) {
	n, err := s.lookup(dir, leaf)
	if err == nil && n.mode&fs.ModeSymlink == 0 {
		err = syscall.EINVAL
	}
	if err != nil {
		return "", err
	}
	return n.target, nil
}

func (s *Server) symlink(target string, dir *inode, leaf string) error {
	switch {
	case s.able.NoSymlinks != 0:
		return s.able.NoSymlinks
	case target == "":
		return syscall.ENOENT
	case len(target) > s.max:
		return syscall.ENAMETOOLONG
	}
	if err := cmp.Or(s.place(dir, leaf), s.fits(1)); err != nil {
		return err
	}
	n := s.newInode(fs.ModeSymlink | 0o777)
	n.target = target
	s.save(n, dir)
	dir.put(leaf, n)
	s.changed(dir)
	return nil
}

func (s *Server) link(odir *inode, oleaf string, dir *inode, leaf string) error {
	n, err := s.lookup(odir, oleaf)
	if err != nil {
		return err
	}
	switch {
	case n.isDir():
		return syscall.EPERM
	case s.able.NoLinks != 0:
		return s.able.NoLinks
	case s.able.OneDir && odir != dir:
		return syscall.EXDEV
	}
	if err := s.place(dir, leaf); err != nil {
		return err
	}
	s.save(nil, dir, n)
	dir.put(leaf, n)
	n.nlink++
	s.changed(dir)
	n.ctime = s.now()
	return nil
}

func (s *Server) rename(odir *inode, oleaf string, dir *inode, leaf string) error {
	n, err := s.lookup(odir, oleaf)
	if err != nil {
		return err
	}
	if oleaf == "." || leaf == "." {
		return syscall.EBUSY
	}
	if n.isDir() && dir.within(n) {
		return syscall.EINVAL
	}
	if s.able.OneDir && odir != dir && !n.isDir() && n.nlink > 1 {
		return syscall.EXDEV
	}
	err = s.place(dir, leaf)
	if err == syscall.EEXIST {
		old := dir.get(leaf)
		if old == n {
			return nil // two names of one file: POSIX keeps both
		}
		if err = replaceable(n, old); err == nil {
			s.save(nil, odir, dir, n, old)
			s.unlink(dir, leaf, old)
		}
	} else if err == nil {
		s.save(nil, odir, dir, n)
	}
	if err != nil {
		return err
	}
	odir.drop(oleaf)
	dir.put(leaf, n)
	s.changed(odir, dir)
	n.ctime = s.now()
	return nil
}

func replaceable(n, old *inode) error {
	switch {
	case old.isDir() && !n.isDir():
		return syscall.EISDIR
	case !old.isDir() && n.isDir():
		return syscall.ENOTDIR
	case len(old.ents) > 0:
		return syscall.ENOTEMPTY
	}
	return nil
}

func (s *Server) unlink(dir *inode, leaf string, n *inode) {
	dir.drop(leaf)
	n.nlink--
	if n.isDir() {
		n.nlink = 0
	}
	n.ctime = s.now()
	s.changed(dir)
}

func (s *Server) remove(dir *inode, leaf string) error {
	n, err := s.lookup(dir, leaf)
	switch {
	case err != nil:
		return err
	case leaf == ".":
		return syscall.EINVAL
	case len(n.ents) > 0:
		return syscall.ENOTEMPTY
	}
	s.save(nil, dir, n)
	s.unlink(dir, leaf, n)
	return nil
}

func (s *Server) mkdir(dir *inode, leaf string, perm fs.FileMode) error {
	if err := cmp.Or(s.place(dir, leaf), s.fits(1)); err != nil {
		return err
	}
	n := s.newInode(fs.ModeDir | perm.Perm()&^umask)
	s.save(n, dir)
	dir.put(leaf, n)
	s.changed(dir)
	return nil
}

// write puts p at off, or nothing of it. What open files have read so far is
// left alone: bytes are only ever added in place, never changed.
func (s *Server) write(n *inode, p []byte, off int) error {
	if len(p) == 0 {
		return nil
	}
	end := off + len(p)
	if err := s.fits(max(0, blocks(end)-blocks(len(n.data)))); err != nil {
		return err
	}
	s.save(nil, n)
	n.unsynced = true
	if off < len(n.data) {
		n.data = append(make([]byte, 0, max(end, len(n.data))), n.data...)
	}
	for len(n.data) < off {
		n.data = append(n.data, 0)
	}
	k := copy(n.data[off:], p)
	n.data = append(n.data, p[k:]...)
	s.changed(n)
	return nil
}
