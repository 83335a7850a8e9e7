package simfs

import (
	"io/fs"
	"math/rand/v2"
	"slices"
)

// past is what a server can take back: how the inodes were before each of the
// last changes.
type past struct {
	on      bool
	changes uint64 // so far
	durable uint64 // of those, surely on disk
	saved   []saved
}

type saved struct {
	change uint64
	node   *inode
	was    inode
}

// pastMax is how many inodes are remembered.
const pastMax = 4000

// save begins a change to nodes; made is new, and nil if nothing is.
func (s *Server) save(made *inode, nodes ...*inode) {
	if !s.past.on {
		return
	}
	s.past.changes++
	if len(s.past.saved) > pastMax {
		s.past.saved = slices.Delete(s.past.saved, 0, pastMax/2)
	}
	for _, n := range append(nodes, made) {
		if n == nil {
			continue
		}
		was := n.copy()
		if n == made {
			was.nlink, was.lost = 0, true
		}
		n.touched = s.past.changes
		s.past.saved = append(s.past.saved, saved{s.past.changes, n, was})
	}
}

// copy returns what n is now. What is appended to its data later is not in it.
func (n *inode) copy() inode {
	c := *n
	c.ents, c.data = slices.Clone(n.ents), slices.Clip(n.data)
	return c
}

// harden makes the last change of n durable, and with it all before: disks
// write their journals in order.
func (s *Server) harden(n *inode) { s.past.durable = max(s.past.durable, n.touched) }

// back takes all changes after the first keep back, as far as it remembers,
// and returns how many.
func (s *Server) back(keep uint64) (n int) {
	p := &s.past
	for i := len(p.saved) - 1; i >= 0 && p.saved[i].change > keep; i-- {
		if i == 0 || p.saved[i-1].change != p.saved[i].change {
			n++
		}
		*p.saved[i].node = p.saved[i].was
		p.saved = p.saved[:i]
	}
	return n
}

// loseUnsynced takes back what a power failure leaves nothing of: of the
// changes that no sync made durable, those after a point in time, and the
// content of files that were not synced, even where their names stay. Where a
// directory's fsync is nothing, the server answers when all is on disk. The
// last change that stays may be a link without its target, as on btrfs.
func (s *Server) loseUnsynced(rng *rand.Rand, empty float64) (n int) {
	p := &s.past
	keep := p.durable + rng.Uint64N(p.changes-p.durable+1)
	n = s.back(keep)
	for _, c := range p.saved {
		if c.node.unsynced {
			c.node.data, c.node.unsynced = nil, false
		}
	}
	if keep > p.durable && empty > 0 && rng.Float64() < empty {
		for _, c := range p.saved {
			if c.change == keep && c.was.nlink == 0 && c.node.mode&fs.ModeSymlink != 0 {
				c.node.target = ""
			}
		}
	}
	p.durable = p.changes
	return n
}

// powerLoss ends all processes in the middle of what they do, and the server
// with them.
func (s *Sim) powerLoss() (lost int) {
	for _, p := range s.procs {
		if p.lanes > 0 && !p.dead {
			p.crashed = true
			s.end(p)
		}
		if p.client != nil {
			clear(p.client.dirs)
			clear(p.client.links)
		}
	}
	s.late = s.late[:0]
	if !s.opt.Profile.DirSync || s.opt.Able.DirSync != 0 {
		return 0
	}
	return s.server.loseUnsynced(s.rng, s.faults.EmptyLink)
}

// disaster perhaps lets the server fail before c is dealt with, and tells
// whether c's process is dead.
func (s *Sim) disaster(c *call) bool {
	if s.faults.Forget+s.faults.PowerLoss == 0 || !s.spare() {
		return false
	}
	if s.chance(s.faults.Forget) {
		s.faulty++
		n := 1 + s.rng.Uint64N(uint64(s.faults.ForgetMax))
		if n = uint64(s.server.back(s.server.past.changes - min(n, s.server.past.changes))); n > 0 {
			s.server.past.changes++ // numbers are not used again
			s.disasters++
			s.record(c, "the server went back some changes")
		}
	}
	if s.chance(s.faults.PowerLoss) {
		s.faulty++
		s.disasters++
		s.record(c, "power loss")
		s.powerLoss()
		return true
	}
	return false
}

// Disasters returns how often the server failed so far.
func (s *Sim) Disasters() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disasters
}

// Snapshot is a copy of the whole share.
type Snapshot struct{ nodes map[*inode]inode }

// Snapshot copies the tree.
func (s *Server) Snapshot() *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	shot := &Snapshot{map[*inode]inode{}}
	s.root.each(func(n *inode) { shot.nodes[n] = n.copy() })
	return shot
}

// Restore puts the tree back as it was (H105). Handles of what was not there
// then are stale.
func (s *Server) Restore(shot *Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var now []*inode
	s.root.each(func(n *inode) { now = append(now, n) })
	for _, n := range now {
		if _, ok := shot.nodes[n]; !ok {
			n.nlink, n.lost = 0, true
		}
	}
	for n, was := range shot.nodes {
		*n = was.copy()
	}
	s.past.saved = nil
}

// each calls fn with n and all below it.
func (n *inode) each(fn func(*inode)) {
	fn(n)
	for _, e := range n.ents {
		e.node.each(fn)
	}
}
