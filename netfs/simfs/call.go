package simfs

import (
	"bytes"
	"cmp"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// op is what a call asks for.
type op uint8

const (
	opStart op = iota
	opCreate
	opOpen
	opStat
	opReadDir
	opReadlink
	opSymlink
	opLink
	opRename
	opRemove
	opMkdir
	opSyncDir
	opSub
	opRead
	opReadAt
	opWrite
	opSync
	opClose
)

var opWords = [...]string{
	"start", "create", "open", "stat", "readdir", "readlink", "symlink", "link",
	"rename", "remove", "mkdir", "syncdir", "sub", "read", "readat",
	"write", "sync", "close",
}

// String returns the word that errors of the real host use.
func (o op) String() string {
	switch o {
	case opSyncDir:
		o = opSync
	case opSub:
		o = opOpen
	case opReadAt:
		o = opRead
	}
	return opWords[o]
}

// changes tells whether the call changes the tree of names: only such a call
// can be lost, late or repeated with an effect.
func (c *call) changes() bool {
	switch c.op {
	case opCreate, opSymlink, opLink, opRename, opRemove, opMkdir:
		return true
	}
	return false
}

// flushes tells whether the call has written data to send.
func (c *call) flushes() bool {
	return (c.op == opSync || c.op == opClose) && c.file.write && len(c.file.buf) > 0
}

// fills tells whether the call can fail for want of space.
func (c *call) fills() bool {
	switch c.op {
	case opCreate, opSymlink, opLink, opMkdir, opWrite:
		return true
	}
	return c.flushes()
}

// state is how far a parked call got.
type state uint8

const (
	fresh    state = iota
	again          // carried out, and to be carried out once more
	executed       // carried out, with its reply under way
)

// call is one call of a process on its way through the gate.
type call struct {
	p    *proc
	lane string
	op   op
	tree *tree
	name string
	arg  string // the new name of link and rename, the target of symlink
	perm fs.FileMode
	file *file
	buf  []byte

	state state
	due   time.Duration // when an executed call's reply comes
	deaf  bool          // its client gets no reply
	dir   [2]*inode     // the directories of name and, for two names, of arg
	leaf  [2]string
	node  *inode // what a late flush writes to
	off   int    // in the file, of readat and of a late flush
	res   result
	wake  chan struct{}
}

// result is the outcome of a call, with a bare error.
type result struct {
	err   error
	n     int
	info  netfs.Info
	names []string
	str   string
	file  *file
	tree  *tree
}

// compare orders parked calls by what they are, not by when they came.
func (c *call) compare(d *call) int {
	if c.p != d.p {
		return cmp.Compare(c.p.num, d.p.num)
	}
	if r := strings.Compare(c.lane, d.lane); r != 0 {
		return r
	}
	if r := cmp.Compare(c.op, d.op); r != 0 {
		return r
	}
	if r := strings.Compare(c.name, d.name); r != 0 {
		return r
	}
	if r := strings.Compare(c.arg, d.arg); r != 0 {
		return r
	}
	if c.tree != d.tree {
		return cmp.Compare(c.tree.num, d.tree.num)
	}
	if c.file != d.file {
		return cmp.Compare(c.file.num, d.file.num)
	}
	if c.off != d.off {
		return cmp.Compare(c.off, d.off)
	}
	if c.op == opWrite {
		return bytes.Compare(c.buf, d.buf)
	}
	return cmp.Compare(c.state, d.state)
}

// resolve finds the directories that the call works on. A request names them
// by handle, so a late one reaches them wherever they have gone.
func (c *call) resolve() (err error) {
	switch c.op {
	case opReadDir, opSyncDir:
		c.dir[0], err = c.tree.held(c.name)
		return err
	case opSub: // walks anew, as the real host does
		if c.tree.stale {
			return syscall.ESTALE
		}
		c.dir[0], err = c.p.walk(c.tree.root, c.name)
		return err
	case opStart, opRead, opReadAt, opWrite, opSync, opClose:
		return nil
	case opStat:
		if d := c.tree.known(c.name); d != nil {
			c.dir[0], c.leaf[0] = d, "."
			return nil
		}
	}
	c.dir[0], c.leaf[0], err = c.tree.at(c.name)
	if err == nil && (c.op == opLink || c.op == opRename) {
		c.dir[1], c.leaf[1], err = c.tree.at(c.arg)
	}
	return err
}

// apply carries the call out at the server.
func (c *call) apply() {
	if err := c.resolve(); err != nil {
		c.res = result{err: err}
		return
	}
	if k := c.p.client; k != nil && c.changes() {
		if err := k.answers(c); err != nil {
			c.res = result{err: err}
			return
		}
	}
	c.request()
}

// request sends the call to the server, and its client takes in the reply.
func (c *call) request() {
	k := c.p.client
	if k == nil || !c.changes() {
		c.execute()
		return
	}
	var before [2]uint64
	for i, d := range c.dir {
		if d != nil {
			before[i] = k.changeID(d)
		}
	}
	c.execute()
	if c.deaf {
		k.forget(c)
	} else {
		k.learn(c, before)
	}
}

// look finds what the call reads.
func (c *call) look() (*inode, error) {
	if k := c.p.client; k != nil {
		return k.reach(c.dir[0], c.leaf[0])
	}
	return c.p.sim.server.lookup(c.dir[0], c.leaf[0])
}

// execute is apply for a call that was resolved.
func (c *call) execute() {
	s, r := &c.p.sim.server, result{}
	d, leaf := c.dir[0], c.leaf[0]
	if r.err = c.busy(); r.err != nil {
		c.res = r
		return
	}
	switch c.op {
	case opCreate, opOpen:
		r.file, r.err = c.openFile()
	case opStat:
		var n *inode
		if n, r.err = c.look(); r.err == nil {
			r.info = s.info(n)
			if c.p.client != nil {
				c.p.client.asked(n)
			}
		}
	case opReadDir:
		r.names = c.list()
	case opReadlink:
		r.str, r.err = c.readlink()
	case opSymlink:
		r.err = s.symlink(c.arg, d, leaf)
	case opLink:
		r.err = s.link(d, leaf, c.dir[1], c.leaf[1])
	case opRename:
		if r.err = s.rename(d, leaf, c.dir[1], c.leaf[1]); r.err == nil {
			c.tree.forgetTree(c.name)
		}
	case opRemove:
		if r.err = c.remove(); r.err == nil {
			c.tree.forgetTree(c.name)
		}
	case opMkdir:
		r.err = s.mkdir(d, leaf, c.perm)
	case opSyncDir:
		if r.err = errnoOf(s.able.DirSync); r.err == nil {
			s.harden(d)
		}
	case opSub:
		r.tree = c.tree.sub(c.name, d)
	case opRead:
		r.n, r.err = c.file.read(c.buf)
	case opReadAt:
		r.n, r.err = c.file.readAt(c.buf, c.off)
	case opWrite:
		r.n, r.err = c.file.cache(c.buf)
	case opSync:
		if r.err = c.file.flushAll(); r.err == nil {
			s.harden(c.file.node)
			c.file.node.unsynced = false
		}
	case opClose:
		r.err = c.file.flushAll()
		c.file.end()
	}
	c.res = r
}

// openFile makes a handle on the file that create or open yields.
func (c *call) openFile() (*file, error) {
	s := &c.p.sim.server
	var n *inode
	var err error
	if n, err = c.look(); c.op == opCreate && err == syscall.ENOENT {
		n, err = s.create(c.dir[0], c.leaf[0], c.perm)
	} else if err == nil {
		err = regular(n)
	}
	if err != nil {
		return nil, err
	}
	c.p.opened++
	f := &file{
		p: c.p, tree: c.tree, lane: c.lane, num: c.p.opened, name: c.name,
		node: n, write: c.op == opCreate, size: len(n.data),
	}
	c.p.files = append(c.p.files, f)
	if !f.write {
		f.snap = n.data
	}
	return f, nil
}

func (c *call) list() []string {
	if k := c.p.client; k != nil {
		return k.names(c.dir[0])
	}
	return c.dir[0].names()
}

func (c *call) readlink() (string, error) {
	n, err := (*inode)(nil), error(nil)
	if k := c.p.client; k != nil {
		n, err = k.target(c.dir[0], c.leaf[0])
	} else {
		n, err = c.look()
	}
	if err == nil && n.mode&fs.ModeSymlink == 0 {
		err = syscall.EINVAL
	}
	if err != nil {
		return "", err
	}
	return n.target, nil
}

// listPart reads one of the two parts of a listing whose entries lie in the
// server's own order, which is not that of the names.
func (c *call) listPart(part uint32) {
	if c.dir[0].nlink == 0 {
		c.res.err = syscall.ESTALE
		return
	}
	for _, e := range c.dir[0].ents {
		if hashString(offset, e.name)>>16&1 == uint64(part) {
			c.res.names = append(c.res.names, e.name)
		}
	}
	slices.Sort(c.res.names)
}
