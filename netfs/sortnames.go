package netfs

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// sortNames is slices.Sort for the names in a directory. Those in a large
// mailbox begin alike and differ soon after, so the eight bytes there decide
// nearly always, and are compared without going to the strings.
func sortNames(names []string) {
	if len(names) < 1000 {
		slices.Sort(names)
		return
	}
	common := len(names[0])
	for _, n := range names {
		i := 0
		for i < min(common, len(n)) && n[i] == names[0][i] {
			i++
		}
		common = i
	}
	type keyed struct {
		key  uint64
		name string
	}
	list := make([]keyed, len(names))
	for i, n := range names {
		var b [8]byte
		copy(b[:], n[common:])
		list[i] = keyed{binary.BigEndian.Uint64(b[:]), n}
	}
	slices.SortFunc(list, func(a, b keyed) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		return cmp.Compare(a.name, b.name)
	})
	for i := range list {
		names[i] = list[i].name
	}
}
