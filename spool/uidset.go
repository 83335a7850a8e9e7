package spool

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// UIDRange is the UIDs from First to Last, both included.
type UIDRange struct{ First, Last uint32 }

// UIDSet is a set of UIDs as ascending ranges that neither overlap nor touch.
type UIDSet []UIDRange

// maxUID stands for "*", the highest UID there is.
const maxUID = 1<<32 - 1

// ParseUIDSet reads a list such as "1,4-7,10-*" or "1:4". "*" is the highest
// possible UID.
func ParseUIDSet(s string) (UIDSet, error) {
	var set UIDSet
	for part := range strings.SplitSeq(s, ",") {
		a, b, ranged := strings.Cut(part, "-")
		if !ranged {
			a, b, ranged = strings.Cut(part, ":")
		}
		if !ranged {
			b = a
		}
		first, err1 := parseUID(a)
		last, err2 := parseUID(b)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("UID set %q: write UIDs as in 3,7-9,12-*", s)
		}
		set = append(set, UIDRange{min(first, last), max(first, last)})
	}
	return set.normal(), nil
}

func parseUID(s string) (uint32, error) {
	if s == "*" {
		return maxUID, nil
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == 0 {
		err = strconv.ErrRange
	}
	return uint32(n), err
}

// SetOf returns the set of the given UIDs.
func SetOf(uids ...uint32) UIDSet {
	set := make(UIDSet, 0, len(uids))
	for _, u := range uids {
		set = append(set, UIDRange{u, u})
	}
	return set.normal()
}

func (s UIDSet) normal() UIDSet {
	slices.SortFunc(s, func(a, b UIDRange) int { return cmp.Compare(a.First, b.First) })
	out := s[:0]
	for _, r := range s {
		if n := len(out); n > 0 && uint64(r.First) <= uint64(out[n-1].Last)+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// Resolve returns the set with "*" alone standing for last, the highest UID in
// use. In a range "*" goes on to mean everything from there on.
func (s UIDSet) Resolve(last uint32) UIDSet {
	out := slices.Clone(s)
	for i, r := range out {
		if r.First == maxUID {
			out[i] = UIDRange{last, last}
		}
	}
	return out.normal()
}

// Contains reports whether uid is in the set.
func (s UIDSet) Contains(uid uint32) bool {
	_, ok := slices.BinarySearchFunc(s, uid, func(r UIDRange, u uint32) int {
		switch {
		case r.Last < u:
			return -1
		case r.First > u:
			return 1
		}
		return 0
	})
	return ok
}

// String writes the set as ParseUIDSet reads it, with "-" in ranges.
func (s UIDSet) String() string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 {
			b.WriteByte(',')
		}
		if r.First == maxUID {
			b.WriteByte('*')
			continue
		}
		b.WriteString(strconv.FormatUint(uint64(r.First), 10))
		if r.Last != r.First {
			b.WriteByte('-')
			if r.Last == maxUID {
				b.WriteByte('*')
			} else {
				b.WriteString(strconv.FormatUint(uint64(r.Last), 10))
			}
		}
	}
	return b.String()
}
