package simfs

import (
	"slices"
	"time"
)

// listAge is how old a listing may be that a client gives again.
const listAge = time.Minute

// oldList perhaps gives c the listing that its client read last, and tells
// whether it did.
func (s *Sim) oldList(c *call) bool {
	k := c.p.client
	if k == nil || !s.opt.Profile.WeakLists || !s.spare() || !s.chance(s.faults.OldList) || c.resolve() != nil {
		return false
	}
	d := k.dirs[c.dir[0]]
	if d == nil || d.list == nil || s.now()-d.read > listAge {
		return false
	}
	s.faulty++
	c.res = result{names: slices.Clone(d.list)}
	return true
}

// spoilList perhaps leaves a name out of a listing, or repeats one.
func (s *Sim) spoilList(c *call) {
	names := c.res.names
	if len(names) == 0 || !s.spare() {
		return
	}
	miss := s.opt.Profile.WeakLists && s.chance(s.faults.MissList)
	twice := !miss && s.chance(s.faults.TwiceList)
	if !miss && !twice {
		return
	}
	s.faulty++
	i := s.rng.IntN(len(names))
	if miss {
		c.res.names = slices.Delete(names, i, i+1)
	} else {
		c.res.names = slices.Insert(names, i, names[i])
	}
}
