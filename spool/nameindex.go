package spool

import (
	"hash/maphash"
	"runtime"
	"slices"

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
	return x.addAt(at, nameEntry{uid, hash}, name, nameOf)
}

// addAt is add where room is reserved and the name's slot is known.
func (x *nameIndex) addAt(at int, n nameEntry, name string, nameOf func(uid uint32) string) bool {
	for ; x.table[at].uid != 0; at = (at + 1) & (len(x.table) - 1) {
		if e := x.table[at]; e.hash == n.hash && e.uid != gonePlace && nameOf(e.uid) == name {
			return false
		}
	}
	x.table[at] = n
	x.used++
	return true
}

// addAll adds many messages' names and tells whether none was there. It looks
// at the places of some before it fills them: so the processor waits for the
// memory of all of them at once, and that wait is most of the work.
func (x *nameIndex) addAll(msgs []*Message, nameOf func(uid uint32) string) bool {
	x.reserve(len(msgs), nameOf)
	for some := range slices.Chunk(msgs, 64) {
		var at [64]int
		var new [64]nameEntry
		for i, m := range some {
			at[i], new[i].hash = x.slot(m.Name)
			new[i].uid = m.UID
		}
		free := 0
		for _, a := range at[:len(some)] {
			if x.table[a].uid == 0 {
				free++
			}
		}
		for i, m := range some {
			if !x.addAt(at[i], new[i], m.Name, nameOf) {
				return false
			}
		}
		runtime.KeepAlive(free)
	}
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
