package simfs

import (
	"slices"
	"syscall"
	"time"
)

// Caches are what the kernel of a client remembers of names. The zero value
// is one that asks the server each time, or that the server tells of every
// change before it answers whoever made it: AFS by callbacks, CephFS by
// capabilities (H76).
//
// What [netfs.FS] promises to be fresh is fresh: the attributes that Stat
// tells, a directory that is listed, the content of a file that is opened. The
// names on the way are what the client remembers.
type Caches struct {
	// Names is how long a name is believed (H31, H33); none is remembered if
	// zero. With ByChange, the time counts from when the server was last asked
	// about the directory.
	Names time.Duration
	// ByChange: names are believed for as long as the directory's change id
	// stands still, as far as the client knows it (NFS, H36).
	ByChange bool
	// Coarse: the change id is made of the server's time stamp, so that two
	// changes in one tick look like one (NFSv3, H35).
	Coarse bool
	// Absent is how long it is believed that there is no such name, without
	// ByChange (H34).
	Absent time.Duration
	// ByPath: requests name things by path and not by handle, so that what is
	// remembered to be there is found out to be gone (SMB, FUSE).
	ByPath bool
	// Lists is how long a listing is believed, without ByChange (FUSE, H49).
	Lists time.Duration
}

// client is the kernel of one host: what it remembers serves all its processes.
type client struct {
	rules  Caches
	server *Server
	dirs   map[*inode]*dirCache
	links  map[*inode]time.Duration // links whose target it has, and when they were last known to be there
}

// dirCache is what a client knows of a directory.
type dirCache struct {
	id      uint64        // its change id
	asked   time.Duration // when the server said so
	version int           // moves with each change by others
	names   map[string]dentry
	list    []string
	listed  time.Duration // when list was read, -1 if it is not believed any more
	read    time.Duration // when list was read
}

// dentry is what a client takes a name for: nil for nothing.
type dentry struct {
	node    *inode
	version int
	at      time.Duration
}

func newClient(rules Caches, server *Server) *client {
	return &client{rules: rules, server: server, dirs: map[*inode]*dirCache{}, links: map[*inode]time.Duration{}}
}

// changeID is what the server's replies say of a directory's state.
func (c *client) changeID(dir *inode) uint64 {
	if c.rules.Coarse {
		return uint64(dir.ctime)
	}
	return dir.change
}

// dir returns what is known of a directory, after the server was asked if
// nothing is.
func (c *client) dir(dir *inode) *dirCache {
	d := c.dirs[dir]
	if d == nil {
		d = &dirCache{id: c.changeID(dir), asked: c.server.clock(), names: map[string]dentry{}, listed: -1}
		c.dirs[dir] = d
	}
	return d
}

// ask asks the server about a directory.
func (c *client) ask(dir *inode) *dirCache {
	d := c.dir(dir)
	d.asked = c.server.clock()
	if id := c.changeID(dir); id != d.id {
		d.id, d.version, d.listed = id, d.version+1, -1
	}
	return d
}

// recall tells what the client takes a name for without asking for it.
func (c *client) recall(dir *inode, leaf string) (n *inode, ok bool) {
	d := c.dirs[dir]
	if d == nil || leaf == "." {
		return nil, false
	}
	e, ok := d.names[leaf]
	if !ok {
		return nil, false
	}
	switch now := c.server.clock(); {
	case c.rules.ByChange:
		if now-d.asked >= c.rules.Names {
			c.ask(dir)
		}
		ok = e.version == d.version
	case e.node == nil:
		ok = now-e.at < c.rules.Absent
	default:
		ok = now-e.at < c.rules.Names
	}
	if !ok {
		delete(d.names, leaf)
	}
	return e.node, ok
}

// keep remembers a name; n is nil if it is not there.
func (c *client) keep(dir *inode, leaf string, n *inode) {
	if leaf == "." {
		return
	}
	d := c.dir(dir)
	d.names[leaf] = dentry{n, d.version, c.server.clock()}
}

// drop forgets a name.
func (c *client) drop(dir *inode, leaf string) {
	if d := c.dirs[dir]; d != nil {
		delete(d.names, leaf)
	}
}

// lookup finds a name as the client sees it.
func (c *client) lookup(dir *inode, leaf string) (*inode, error) {
	if n, ok := c.recall(dir, leaf); ok {
		if n == nil {
			return nil, syscall.ENOENT
		}
		return n, nil
	}
	n, err := c.server.lookup(dir, leaf)
	if err == nil || err == syscall.ENOENT {
		if c.rules.Coarse {
			c.ask(dir) // the reply says it too
		}
		c.keep(dir, leaf, n)
	}
	return n, err
}

// reach is lookup for a call that goes on to the server with what was found.
// If the server does not have it any more, the kernel looks again (H109).
func (c *client) reach(dir *inode, leaf string) (*inode, error) {
	n, err := c.lookup(dir, leaf)
	if err != nil || n.nlink > 0 && (!c.rules.ByPath || dir.get(leaf) == n) {
		return n, err
	}
	c.drop(dir, leaf)
	c.ask(dir)
	return c.lookup(dir, leaf)
}

// target is reach for a link whose target is to be read: what the client has
// read before it has, even if the link was removed.
func (c *client) target(dir *inode, leaf string) (*inode, error) {
	now := c.server.clock()
	n, err := c.lookup(dir, leaf)
	if err == nil && c.rules.ByChange && n.nlink == 0 {
		if at, ok := c.links[n]; ok && now-at < c.rules.Names {
			return n, nil
		}
	}
	if n, err = c.reach(dir, leaf); err == nil {
		c.links[n] = now
	}
	return n, err
}

// asked notes that the server has told the attributes of n.
func (c *client) asked(n *inode) {
	if n.isDir() {
		c.ask(n)
	} else if _, ok := c.links[n]; ok {
		c.links[n] = c.server.clock()
	}
}

// names lists a directory that was opened anew, which makes the client ask for
// it: the listing itself may be one of before, if nothing seems to have changed.
func (c *client) names(dir *inode) []string {
	d := c.ask(dir)
	now := c.server.clock()
	if d.listed >= 0 && (c.rules.ByChange || now-d.listed < c.rules.Lists) {
		return slices.Clone(d.list)
	}
	names := dir.names()
	if c.rules.ByChange {
		// READDIRPLUS replaces what was remembered to be absent.
		for leaf, e := range d.names {
			if e.node == nil && dir.get(leaf) != nil {
				delete(d.names, leaf)
			}
		}
	}
	if c.rules.Coarse || c.rules.Lists > 0 {
		d.list, d.listed, d.read = slices.Clone(names), now, now
	}
	return names
}

// answers tells whether a change ends with the client, which sees from what it
// remembers that it cannot be made, and returns the error.
func (c *client) answers(q *call) error {
	switch q.op {
	case opSymlink, opMkdir:
		if n, ok := c.recall(q.dir[0], q.leaf[0]); ok && n != nil {
			return syscall.EEXIST
		}
	case opLink, opRename, opRemove:
		if n, ok := c.recall(q.dir[0], q.leaf[0]); ok && n == nil {
			return syscall.ENOENT
		}
		if q.op != opLink {
			return nil
		}
		if n, ok := c.recall(q.dir[1], q.leaf[1]); ok && n != nil {
			return syscall.EEXIST
		}
	}
	return nil
}

// learn takes in what the reply to a change says; before holds the change ids
// of the directories before it.
func (c *client) learn(q *call, before [2]uint64) {
	for i, dir := range q.dir {
		if dir == nil {
			continue
		}
		d := c.dir(dir)
		if d.id != before[i] {
			d.version++
		}
		d.id, d.asked, d.listed = c.changeID(dir), c.server.clock(), -1
	}
	c.forget(q)
	if q.res.err != nil {
		return
	}
	last := 0
	if q.op == opLink || q.op == opRename {
		last = 1
	}
	n := q.dir[last].get(q.leaf[last])
	if n != nil || q.op == opRemove {
		c.keep(q.dir[last], q.leaf[last], n)
	}
	if q.op == opSymlink && n != nil {
		c.links[n] = c.server.clock()
	}
}

// forget drops the names of a change whose outcome the client does not know. A
// RENAME over NFS that was refused leaves its target as it was remembered (seen
// on NFSv3 in the lab).
func (c *client) forget(q *call) {
	for i, dir := range q.dir {
		if dir != nil && !(i == 1 && q.op == opRename && q.res.err != nil && c.rules.ByChange) {
			c.drop(dir, q.leaf[i])
		}
	}
}
