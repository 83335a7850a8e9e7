package simfs

import (
	"strconv"
	"syscall"
)

// openAt tells whether a process of a computer has n open; of any if host is
// negative.
func (s *Sim) openAt(n *inode, host int) bool {
	for _, p := range s.procs {
		if host >= 0 && p.host != host {
			continue
		}
		for _, f := range p.files {
			if f.node == n {
				return true
			}
		}
	}
	return false
}

// openBelow tells whether a file in or below the directory n is open.
func (s *Sim) openBelow(n *inode) (open bool) {
	n.each(func(m *inode) { open = open || !m.isDir() && s.openAt(m, -1) })
	return open
}

// remove carries out a removal as the kind of share has it.
func (c *call) remove() error {
	s, d, leaf := c.p.sim, c.dir[0], c.leaf[0]
	n := d.get(leaf)
	switch {
	case n == nil || n.isDir() || n.nlink > 1: // by its other names it stays
	case s.opt.Able.Silly != "" && s.openAt(n, c.p.host):
		return c.sillyRename(d, leaf, n)
	case s.opt.Able.Busy && s.openAt(n, -1):
		n.pending = true
		return nil
	}
	return s.server.remove(d, leaf)
}

// sillyRename moves an open file out of the way under a name that its last
// handle will remove.
func (c *call) sillyRename(d *inode, leaf string, n *inode) error {
	s := c.p.sim
	s.sillies++
	name := s.opt.Able.Silly + strconv.Itoa(s.sillies)
	for _, p := range s.procs {
		for _, f := range p.files {
			if f.node != n || p.host != c.p.host {
				continue
			}
			if f.silly != "" { // removed already
				return syscall.EBUSY
			}
			f.sillyDir, f.silly = d, name
		}
	}
	return s.server.rename(d, leaf, d, name)
}

// makeWay does what comes before a rename that replaces a name, at a moment
// when others can look, and tells whether it did.
func (c *call) makeWay() (done bool, err error) {
	s := c.p.sim
	n, old := c.dir[0].get(c.leaf[0]), c.dir[1].get(c.leaf[1])
	if n == nil || old == nil || n == old || c.leaf[0] == "." || c.leaf[1] == "." || replaceable(n, old) != nil {
		return false, nil
	}
	switch {
	case s.opt.Able.Silly != "" && old.nlink == 1 && s.openAt(old, c.p.host):
		err = c.sillyRename(c.dir[1], c.leaf[1], old)
	case s.opt.Able.Gap && !(s.opt.Able.Busy && s.openAt(old, -1)):
		err = s.server.remove(c.dir[1], c.leaf[1])
	default:
		return false, nil
	}
	return true, err
}

// busy tells why a share that keeps open files does not carry a call out.
func (c *call) busy() error {
	s := c.p.sim
	if !s.opt.Able.Busy {
		return nil
	}
	var nodes [2]*inode
	for i, d := range c.dir {
		if d != nil && c.leaf[i] != "" {
			nodes[i] = d.get(c.leaf[i])
		}
	}
	for i, n := range nodes {
		switch {
		case n == nil || !n.pending:
		case i == 1 || c.op == opSymlink || c.op == opMkdir || c.op == opCreate:
			return syscall.EACCES
		default:
			return syscall.ENOENT
		}
	}
	if c.op != opRename {
		return nil
	}
	n, old := nodes[0], nodes[1]
	switch {
	case n == nil:
	case n.isDir() && s.openBelow(n), s.opt.Able.Strict && s.openAt(n, -1):
		return syscall.EACCES
	case old != nil && old != n && s.openAt(old, -1):
		return syscall.EACCES
	}
	return nil
}

// closedLast removes what was removed while f was open, if f was the last handle.
func (f *file) closedLast(crashed bool) {
	s := f.p.sim
	switch {
	case f.silly != "":
		// A computer that crashes leaves the name for ever.
		d, name := f.sillyDir, f.silly
		if d.get(name) == f.node && !s.openAt(f.node, f.p.host) && !(crashed && s.rng.IntN(2) == 0) {
			_ = s.server.remove(d, name)
		}
	case f.node.pending && !s.openAt(f.node, -1):
		f.node.pending = false
		s.server.root.each(func(d *inode) {
			for i := len(d.ents) - 1; i >= 0; i-- {
				if d.ents[i].node == f.node {
					_ = s.server.remove(d, d.ents[i].name)
				}
			}
		})
	}
}
