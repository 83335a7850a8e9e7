package spool

import "hash/maphash"

// nameIndex finds messages by their files' base names. It holds UIDs alone:
// the names are those of the messages, so that a million of them fit into
// 8 MB. Its zero value is empty.
type nameIndex struct {
	seed  maphash.Seed
	table []uint32 // UIDs at their name's hash or after it; 0 is free
	used  int      // places that are not free
}

// gonePlace marks a place whose message was removed; no message has this UID.
const gonePlace = maxUID

// find returns the UID of the message that has the name; nameOf tells the name
// of each UID in the index.
func (x *nameIndex) find(name string, nameOf func(uid uint32) string) (uint32, bool) {
	if len(x.table) == 0 {
		return 0, false
	}
	for i := x.slot(name); x.table[i] != 0; i = (i + 1) & (len(x.table) - 1) {
		if uid := x.table[i]; uid != gonePlace && nameOf(uid) == name {
			return uid, true
		}
	}
	return 0, false
}

func (x *nameIndex) slot(name string) int {
	return int(maphash.String(x.seed, name) & uint64(len(x.table)-1))
}

// add puts in a name that is not there.
func (x *nameIndex) add(name string, uid uint32, nameOf func(uid uint32) string) {
	x.reserve(1, nameOf)
	x.used++
	x.put(name, uid)
}

func (x *nameIndex) put(name string, uid uint32) {
	i := x.slot(name)
	for x.table[i] != 0 {
		i = (i + 1) & (len(x.table) - 1)
	}
	x.table[i] = uid
}

// reserve makes room for n more names and then forgets the places that are
// gone.
func (x *nameIndex) reserve(n int, nameOf func(uid uint32) string) {
	if 4*(x.used+n) <= 3*len(x.table) {
		return
	}
	old, live := x.table, 0
	for _, uid := range old {
		if uid != 0 && uid != gonePlace {
			live++
		}
	}
	if x.seed == (maphash.Seed{}) {
		x.seed = maphash.MakeSeed()
	}
	size := 16
	for 2*size < 3*(live+n) {
		size *= 2
	}
	x.table, x.used = make([]uint32, size), live
	for _, uid := range old {
		if uid != 0 && uid != gonePlace {
			x.put(nameOf(uid), uid)
		}
	}
}

// remove takes out a message that is there.
func (x *nameIndex) remove(name string, uid uint32) {
	for i := x.slot(name); x.table[i] != 0; i = (i + 1) & (len(x.table) - 1) {
		if x.table[i] == uid {
			x.table[i] = gonePlace
			return
		}
	}
}
