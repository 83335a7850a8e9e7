package simfs

import (
	"io/fs"
	"maps"
	"slices"
	"time"
)

// client hashes what a computer's kernel remembers and will believe: not what
// is out of date by its rules, and times as ages, as far as they count.
func (v *visit) client(h uint64, k *client) uint64 {
	for _, dir := range v.dirs {
		h = v.known(hashWord(h, v.ids[dir]), k, dir)
	}
	if !k.rules.ByChange {
		return h
	}
	targets := uint64(0)
	for n, at := range k.links {
		if id := v.ids[n]; id != 0 {
			targets += hashWord(hashWord(offset, id), k.age(at, k.rules.Names))
		}
	}
	return hashWord(h, targets)
}

// known hashes what is remembered of a directory, and of those below that are
// not in the tree any more.
func (v *visit) known(h uint64, k *client, dir *inode) uint64 {
	d := k.dirs[dir]
	if d == nil {
		return hashWord(h, 0)
	}
	h = hashWord(h, 1)
	if d.id != k.changeID(dir) {
		h = hashWord(h, 2)
	}
	if k.rules.ByChange {
		h = hashWord(h, k.age(d.asked, k.rules.Names))
	}
	listed := k.age(d.listed, k.rules.Lists) // 0 with ByChange
	if d.listed >= 0 && (k.rules.ByChange || listed < uint64(k.rules.Lists)) {
		h = hashWord(h, listed+3)
		for _, n := range d.list {
			h = hashString(h, n)
		}
	}
	for _, leaf := range slices.Sorted(maps.Keys(d.names)) {
		e := d.names[leaf]
		limit := k.rules.Names
		if e.node == nil {
			limit = k.rules.Absent
		}
		age := k.age(e.at, limit)
		if k.rules.ByChange && e.version != d.version || !k.rules.ByChange && age == uint64(limit) {
			continue
		}
		h = hashString(h, leaf)
		if !k.rules.ByChange {
			h = hashWord(h, age)
		}
		h = v.remembered(h, k, e.node)
	}
	return h
}

// age is how long ago at was, or limit if that is longer.
func (k *client) age(at, limit time.Duration) uint64 {
	return uint64(min(k.server.clock()-at, limit))
}

// remembered hashes what a name is taken for, or where a tree begins. k may be nil.
func (v *visit) remembered(h uint64, k *client, n *inode) uint64 {
	switch {
	case n == nil:
		return hashWord(h, 0)
	case v.ids[n] != 0:
		return hashWord(h, v.ids[n])
	}
	h = v.tree(hashWord(h, 1), n)
	switch {
	case k == nil:
	case n.isDir():
		return v.known(h, k, n)
	case n.mode&fs.ModeSymlink != 0 && k.rules.ByChange:
		if at, ok := k.links[n]; ok {
			h = hashWord(h, k.age(at, k.rules.Names))
		}
	}
	return h
}
