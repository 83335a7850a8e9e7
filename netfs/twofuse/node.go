package twofuse

import (
	"fmt"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// inode is the identity of a file below a mount.
type inode struct{ dev, ino uint64 }

// node is a file that the kernel knows: a handle that renames do not change.
type node struct {
	id   uint64
	key  inode
	fd   int    // O_PATH
	refs uint64 // of the kernel, and one for each request at work
	own  bool   // its last name was removed through this mount
}

// path leads to the file itself, whatever its names are.
func (n *node) path() string { return fmt.Sprintf("/proc/self/fd/%d", n.fd) }

// open opens the file anew, for what an O_PATH descriptor cannot do.
func (n *node) open(flags int) (int, error) {
	return retry(func() (int, error) { return unix.Open(n.path(), flags|unix.O_CLOEXEC, 0) })
}

// stat describes the file. A file without a name is known only to the mount
// that removed it (H26).
func (n *node) stat() (syscall.Stat_t, error) {
	var s syscall.Stat_t
	err := fstat(n.fd, &s)
	if err == nil && s.Nlink == 0 && !n.own {
		err = unix.ESTALE
	}
	return s, err
}

// nodes is the table of what the kernel knows, under daemon.mu.
type nodes struct {
	byID  map[uint64]*node
	byKey map[inode]*node
	last  uint64
}

// add takes an O_PATH descriptor over and returns the node, known or new, with
// one reference more.
func (d *daemon) add(fd int) (*node, syscall.Stat_t, error) {
	var s syscall.Stat_t
	if err := fstat(fd, &s); err != nil {
		_ = unix.Close(fd)
		return nil, s, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key := inode{s.Dev, s.Ino}
	n := d.nodes.byKey[key]
	if n == nil {
		d.nodes.last++
		n = &node{id: d.nodes.last, key: key, fd: fd}
		d.nodes.byID[n.id], d.nodes.byKey[key] = n, n
	} else {
		_ = unix.Close(fd)
	}
	n.refs++
	return n, s, nil
}

// with calls do with a node that cannot go away meanwhile: the kernel forgets
// what a killed process asked for while the request is still at work.
func (d *daemon) with(id uint64, do func(n *node) error) error {
	d.mu.Lock()
	n := d.nodes.byID[id]
	if n == nil {
		d.mu.Unlock()
		return unix.ESTALE
	}
	n.refs++
	d.mu.Unlock()
	defer d.drop(n, 1)
	return do(n)
}

func (d *daemon) drop(n *node, refs uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n.refs -= refs; n.refs > 0 {
		return
	}
	delete(d.nodes.byID, n.id)
	delete(d.nodes.byKey, n.key)
	_ = unix.Close(n.fd)
}

func (d *daemon) Forget(id, refs uint64) {
	d.mu.Lock()
	n := d.nodes.byID[id]
	d.mu.Unlock()
	if n != nil {
		d.drop(n, refs)
	}
}

// enter looks leaf up in dir and tells the kernel of it, which holds one
// reference afterwards.
func (d *daemon) enter(dir *node, leaf string, out *fuse.EntryOut) error {
	fd, err := retry(func() (int, error) {
		return unix.Openat(dir.fd, leaf, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return err
	}
	n, s, err := d.add(fd)
	if err != nil {
		return err
	}
	out.NodeId, out.Generation = n.id, 1
	out.FromStat(&s)
	out.SetEntryTimeout(d.o.Names)
	out.SetAttrTimeout(d.o.Attributes)
	return nil
}

// removed notes that a name of what fd is was removed through this mount.
func (d *daemon) removed(fd int) {
	var s syscall.Stat_t
	if fd < 0 || fstat(fd, &s) != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.nodes.byKey[inode{s.Dev, s.Ino}]; n != nil {
		n.own = n.own || s.Nlink == 0
	}
}

func fstat(fd int, s *syscall.Stat_t) error {
	_, err := retry(func() (int, error) { return 0, syscall.Fstat(fd, s) })
	return err
}

// retry repeats a call that a signal of Go's runtime interrupted (H68).
func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
