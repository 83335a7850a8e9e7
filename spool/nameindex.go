package spool

import (
	"hash/maphash"

	"github.com/bobbinmail/bobbin/netfs"
)

// nameIndex finds messages by their files' base names. It holds UIDs and half
// of each name's hash: the names are those of the messages, and are compared
// only where the hashes agree. A million of them fit into 16 MB. Its zero value
// is empty.
type nameIndex struct {
	seed  maphash.Seed
	table []nameEntry // at their name's hash or after it; those without UID are free
	used  int         // places that are not free
}

type nameEntry struct{ uid, hash uint32 }

// gonePlace marks a place whose message was removed; no message has this UID.
const gonePlace = maxUID

// find returns the UID of the message that has the name; nameOf tells the name
// of each UID in the index.
func (x *nameIndex) find(name string, nameOf func(uid uint32) string) (uint32, bool) {
	if len(x.table) == 0 {
		return 0, false
	}
	at, hash := x.slot(name)
	for ; x.table[at].uid != 0; at = (at + 1) & (len(x.table) - 1) {
		if e := x.table[at]; e.hash == hash && e.uid != gonePlace && nameOf(e.uid) == name {
			return e.uid, true
		}
	}
	return 0, false
}

// slot is where a name's place would be, and the part of its hash that is kept.
func (x *nameIndex) slot(name string) (at int, hash uint32) {
	h := maphash.String(x.seed, name)
	return int(h>>32) & (len(x.table) - 1), uint32(h)
}

// add puts in a name, unless it is there.
func (x *nameIndex) add(name string, uid uint32, nameOf func(uid uint32) string) bool {
	x.reserve(1, nameOf)
	at, hash := x.slot(name)
	for ; x.table[at].uid != 0; at = (at + 1) & (len(x.table) - 1) {
		if e := x.table[at]; e.hash == hash && e.uid != gonePlace && nameOf(e.uid) == name {
			return false
		}
	}
	x.table[at] = nameEntry{uid, hash}
	x.used++
	return true
}

// put puts in a name that is not there.
func (x *nameIndex) put(name string, uid uint32) {
	at, hash := x.slot(name)
	for x.table[at].uid != 0 {
		at = (at + 1) & (len(x.table) - 1)
	}
	x.table[at] = nameEntry{uid, hash}
}

// reserve makes room for n more names and then forgets the places that are
// gone.
func (x *nameIndex) reserve(n int, nameOf func(uid uint32) string) {
	if 4*(x.used+n) <= 3*len(x.table) {
		return
	}
	old, live := x.table, 0
	for _, e := range old {
		if e.uid != 0 && e.uid != gonePlace {
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
	x.table, x.used = make([]nameEntry, size), live
	netfs.Whole(x.table)
	for _, e := range old {
		if e.uid != 0 && e.uid != gonePlace {
			x.put(nameOf(e.uid), e.uid)
		}
	}
}

// remove takes out a message that is there.
func (x *nameIndex) remove(name string, uid uint32) {
	for at, _ := x.slot(name); x.table[at].uid != 0; at = (at + 1) & (len(x.table) - 1) {
		if x.table[at].uid == uid {
			x.table[at].uid = gonePlace
			return
		}
	}
}
