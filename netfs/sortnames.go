package netfs

import (
	"encoding/binary"
	"slices"
)

// sortNames is slices.Sort for the names in a directory. Those in a large
// mailbox begin alike and differ soon after, so the eight bytes there decide
// nearly always. By these they are sorted as numbers, byte by byte from the
// last, which compares nothing. The names that are given are not used again.
func sortNames(names []string) []string {
	if len(names) < 1000 {
		slices.Sort(names)
		return names
	}
	common := len(names[0])
	for _, n := range names {
		i := 0
		for i < min(common, len(n)) && n[i] == names[0][i] {
			i++
		}
		common = i
	}
	list, room := make([]keyed, len(names)), make([]keyed, len(names))
	Whole(list)
	Whole(room)
	var count [8][256]int // of each byte of the keys
	for i, n := range names {
		var b [8]byte
		copy(b[:], n[common:])
		list[i] = keyed{binary.BigEndian.Uint64(b[:]), uint32(i)}
		for at := range count {
			count[at][b[7-at]]++
		}
	}
	for at := range count {
		if scatter(room, list, at, &count[at]) {
			list, room = room, list
		}
	}
	sorted := make([]string, len(names))
	Whole(sorted)
	for i, k := range list {
		sorted[i] = names[k.at]
	}
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end].key == list[i].key {
			end++
		}
		if end > i+1 {
			slices.Sort(sorted[i:end])
		}
		i = end
	}
	return sorted
}

// keyed stands for the name at a place of the list.
type keyed struct {
	key uint64
	at  uint32
}

// scatter puts list into sorted by one byte of the keys, 0 for the last, in
// the order of list where that is the same. It does nothing, and says so, if
// the byte is the same in all.
func scatter(sorted, list []keyed, at int, count *[256]int) bool {
	var next [256]int
	sum := 0
	for b, n := range count {
		if n == len(list) {
			return false
		}
		next[b] = sum
		sum += n
	}
	for _, k := range list {
		b := byte(k.key >> (8 * at))
		sorted[next[b]] = k
		next[b]++
	}
	return true
}
