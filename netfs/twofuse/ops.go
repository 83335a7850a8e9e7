package twofuse

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Op is the kind of a request that came through the kernel's caches, by its
// name in the FUSE protocol.
type Op string

// The kinds of requests that are counted and into which errors are injected.
// FORGET, RELEASE, RELEASEDIR and STATFS are neither: nobody waits for the
// first three, and the last says nothing of files.
const (
	Lookup   Op = "LOOKUP"
	Getattr  Op = "GETATTR"
	Setattr  Op = "SETATTR"
	Readlink Op = "READLINK"
	Symlink  Op = "SYMLINK"
	Link     Op = "LINK"
	Mkdir    Op = "MKDIR"
	Unlink   Op = "UNLINK"
	Rmdir    Op = "RMDIR"
	Rename   Op = "RENAME"
	Create   Op = "CREATE"
	Open     Op = "OPEN"
	Read     Op = "READ"
	Write    Op = "WRITE"
	Flush    Op = "FLUSH" // close(2)
	Fsync    Op = "FSYNC"
	Opendir  Op = "OPENDIR"
	Readdir  Op = "READDIR" // and READDIRPLUS
	Fsyncdir Op = "FSYNCDIR"
)

// Ops are all kinds.
var Ops = []Op{
	Lookup, Getattr, Setattr, Readlink, Symlink, Link, Mkdir, Unlink, Rmdir, Rename,
	Create, Open, Read, Write, Flush, Fsync, Opendir, Readdir, Fsyncdir,
}

// Counts says how many requests of each kind there were.
type Counts map[Op]int

// Sub returns what was counted between the earlier reading b and c.
func (c Counts) Sub(b Counts) Counts {
	d := Counts{}
	for op, n := range c {
		if n != b[op] {
			d[op] = n - b[op]
		}
	}
	return d
}

// String lists the kinds that were counted in the order of their names, for
// example "CREATE 1 WRITE 1".
func (c Counts) String() string {
	var words []string
	for _, op := range slices.Sorted(maps.Keys(c)) {
		words = append(words, fmt.Sprint(op, " ", c[op]))
	}
	return strings.Join(words, " ")
}
