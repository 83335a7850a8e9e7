package simfs

import "io/fs"

// reply records what became of a call, and adds it to its process's past.
func (s *Sim) reply(c *call, fate string) {
	s.record(c, fate)
	h := hashWord(c.p.past, uint64(s.now()))
	h = hashString(h, c.lane)
	h = hashString(h, fate)
	r := &c.res
	if r.err != nil {
		h = hashString(h, r.err.Error())
	}
	h = hashWord(h, uint64(r.n))
	i := &r.info
	h = hashWord(h, uint64(i.Mode)^uint64(i.Size)<<32^i.Nlink<<16)
	if r.err == nil && c.op == opStat {
		h = hashWord(hashWord(h, uint64(i.Mtime.UnixNano())), uint64(i.Ctime.UnixNano()))
	}
	for _, n := range r.names {
		h = hashString(h, n)
	}
	h = hashString(h, r.str)
	switch c.op {
	case opRead, opReadAt:
		h = hashString(h, c.buf[:r.n])
	case opCreate, opOpen:
		if r.file != nil {
			h = hashString(hashWord(h, uint64(r.file.size)), r.file.snap)
		}
	case opSub:
		if r.tree != nil {
			h = hashString(h, r.tree.root.path())
		}
	}
	c.p.past = h
}

// path finds where a directory is.
func (n *inode) path() string {
	if n.parent == nil {
		return "."
	}
	for _, e := range n.parent.ents {
		if e.node == n {
			return n.parent.path() + "/" + e.name
		}
	}
	return "?"
}

// stateHash is a hash of all that decides how the run can go on.
func (s *Sim) stateHash() uint64 {
	v := &visit{ids: map[*inode]uint64{}}
	h := v.tree(hashWord(offset, uint64(s.now())), s.server.root)
	for _, p := range s.procs {
		h = hashWord(h, p.past)
		if p.dead {
			h = hashWord(h, 1)
		}
		for _, f := range p.files {
			switch {
			case f.write:
				h = hashWord(v.file(h, f.node), uint64(f.off))
				h = hashString(h, f.buf)
			case s.opt.Able.keepsOpen():
				h = v.file(h, f.node)
			}
			h = hashString(h, f.silly)
		}
		for _, t := range p.trees {
			if !t.closed.Load() {
				h = v.remembered(h, p.client, t.root)
			}
		}
	}
	h = hashWord(h, uint64(s.sillies))
	seen := map[*client]bool{nil: true}
	for _, p := range s.procs {
		if !p.dead && !seen[p.client] {
			h = v.client(h, p.client)
			seen[p.client] = true
		}
	}
	late := uint64(0)
	for i := range s.late {
		late += v.late(&s.late[i].call)
	}
	h = hashWord(h, late)
	if s.walk.b.Switches >= 0 && s.walk.last != nil {
		h = hashWord(h, uint64(s.walk.last.num)+1)
	}
	return h
}

// visit numbers the files and directories of the tree in the order of their
// names.
type visit struct {
	ids  map[*inode]uint64
	dirs []*inode // in that order
}

func (v *visit) tree(h uint64, n *inode) uint64 {
	if id := v.ids[n]; id != 0 {
		return hashWord(h, id) // another name of a file
	}
	v.ids[n] = uint64(len(v.ids) + 1)
	h = hashWord(h, uint64(n.mode)<<32|uint64(n.nlink))
	h = hashWord(hashWord(h, uint64(n.mtime)), uint64(n.ctime))
	if n.pending {
		h = hashWord(h, 1)
	}
	switch {
	case n.isDir():
		v.dirs = append(v.dirs, n)
		for _, e := range n.ents {
			h = v.tree(hashString(h, e.name), e.node)
		}
		return hashWord(h, uint64(len(n.ents)))
	case n.mode&fs.ModeSymlink != 0:
		return hashString(h, n.target)
	}
	return hashString(h, n.data)
}

// file says which file it is; one without a name is known by its content.
func (v *visit) file(h uint64, n *inode) uint64 {
	if id := v.ids[n]; id != 0 {
		return hashWord(h, id)
	}
	return v.tree(hashWord(h, 0), n)
}

func (v *visit) late(c *call) uint64 {
	h := hashWord(offset, uint64(c.p.num)<<32|uint64(c.op))
	h = hashString(hashString(h, c.name), c.arg)
	h = hashString(hashWord(h, uint64(c.off)), c.buf)
	for i, d := range c.dir {
		if d != nil {
			h = hashString(hashWord(h, v.ids[d]), c.leaf[i])
		}
	}
	if c.node != nil {
		h = v.file(h, c.node)
	}
	return h
}
