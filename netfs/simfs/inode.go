package simfs

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

const (
	nameMax = 255
	umask   = 0o022
	dirSize = 4096 // of every directory: a stamp must not profit from it
)

var (
	errLink = fmt.Errorf("%w: %w", netfs.ErrIrregular, syscall.ELOOP)
	errDir  = fmt.Errorf("%w: %w", netfs.ErrIrregular, syscall.EISDIR)
)

// inode is a file, a symbolic link or a directory of the server.
type inode struct {
	mode         fs.FileMode
	nlink        int
	mtime, ctime time.Duration
	change       uint64  // moves with every change
	pending      bool    // removed, and kept by an open file (SMB)
	lost         bool    // the server forgot that it ever was
	touched      uint64  // the server's last change to it that can be taken back
	unsynced     bool    // the server has data of it that may not be on its disk
	data         []byte  // of a file
	target       string  // of a link
	ents         []entry // of a directory, by key
	parent       *inode  // of a directory
	fold         bool    // names in this directory are one whatever the case
}

type entry struct {
	key  string // by which it is found
	name string
	node *inode
}

func (n *inode) isDir() bool { return n.mode.IsDir() }

// key is what name is found by.
func (n *inode) key(name string) string {
	if n.fold {
		return strings.ToLower(name)
	}
	return name
}

func (n *inode) find(name string) (int, bool) {
	return slices.BinarySearchFunc(n.ents, n.key(name), func(e entry, key string) int {
		return strings.Compare(e.key, key)
	})
}

// get returns what name is in the directory, nil if nothing.
func (n *inode) get(name string) *inode {
	if name == "." {
		return n
	}
	if i, ok := n.find(name); ok {
		return n.ents[i].node
	}
	return nil
}

func (n *inode) put(name string, child *inode) {
	i, ok := n.find(name)
	if ok {
		n.ents[i].name, n.ents[i].node = name, child
	} else {
		n.ents = slices.Insert(n.ents, i, entry{n.key(name), name, child})
	}
	if child.isDir() {
		child.parent = n
		n.nlink++
	}
}

func (n *inode) drop(name string) {
	i, _ := n.find(name)
	child := n.ents[i].node
	n.ents = slices.Delete(n.ents, i, i+1)
	if child.isDir() {
		child.parent = nil
		n.nlink--
	}
}

// names lists the directory.
func (n *inode) names() []string {
	l := make([]string, len(n.ents))
	for i, e := range n.ents {
		l[i] = e.name
	}
	if n.fold {
		slices.Sort(l)
	}
	return l
}

// child looks for a directory's sub-directory.
func (n *inode) child(name string) (*inode, error) {
	if len(name) > nameMax {
		return nil, syscall.ENAMETOOLONG
	}
	c := n.get(name)
	switch {
	case c == nil:
		return nil, syscall.ENOENT
	case !c.isDir():
		return nil, syscall.ENOTDIR
	}
	return c, nil
}

// walk goes down to a directory; a symbolic link on the way is no directory.
func (n *inode) walk(dir string) (*inode, error) {
	for dir != "." {
		name, rest, more := strings.Cut(dir, "/")
		c, err := n.child(name)
		if err != nil {
			return nil, err
		}
		if n = c; !more {
			break
		}
		dir = rest
	}
	return n, nil
}

// within tells whether n is top or lies below it.
func (n *inode) within(top *inode) bool {
	for ; n != nil; n = n.parent {
		if n == top {
			return true
		}
	}
	return false
}

// split cuts a name into its directory and the last component.
func split(name string) (dir, leaf string) {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return ".", name
}
