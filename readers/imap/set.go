package imap

import (
	"slices"
	"sort"

	"github.com/bobbinmail/bobbin/spool"
)

// star stands for "*", the highest number there is.
const star = 0

// span is a range of numbers, in either order.
type span struct{ first, last uint32 }

// numberSet is a sequence-set as the client wrote it.
type numberSet struct {
	spans []span
	saved bool // "$", the result of the last search (RFC 5182)
}

func (p *parser) numberSet() (s numberSet) {
	if p.take('$') {
		return numberSet{saved: true}
	}
	for p.err == nil {
		first := p.setNumber()
		last := first
		if p.take(':') {
			last = p.setNumber()
		}
		s.spans = append(s.spans, span{first, last})
		if !p.take(',') {
			break
		}
	}
	return s
}

func (p *parser) setNumber() uint32 {
	if p.take('*') {
		return star
	}
	n := p.number()
	if n == 0 {
		p.bad("0 is no number of a message")
	}
	return n
}

// ranges returns the set with last in the place of "*", in order.
func (s numberSet) ranges(last uint32) []span {
	out := make([]span, 0, len(s.spans))
	for _, r := range s.spans {
		if r.first == star {
			r.first = last
		}
		if r.last == star {
			r.last = last
		}
		out = append(out, span{min(r.first, r.last), max(r.first, r.last)})
	}
	slices.SortFunc(out, func(a, b span) int { return int(int64(a.first) - int64(b.first)) })
	return out
}

// open tells of a set that has "*" in each range, so that it may name nothing.
func (s numberSet) open() bool {
	return !slices.ContainsFunc(s.spans, func(r span) bool { return r.first != star && r.last != star })
}

// places returns which messages of a view a set names, in order. ok is false
// for a sequence number that there is none of.
func (x *session) places(s numberSet, uid bool) (at []int, ok bool) {
	v := x.view
	if s.saved {
		for _, u := range v.saved {
			if i, found := v.find(u); found {
				at = append(at, i)
			}
		}
		return at, true
	}
	var last uint32
	switch {
	case !uid && len(v.msgs) == 0 && s.open():
		return nil, true
	case !uid:
		last = uint32(len(v.msgs))
	case len(v.msgs) > 0:
		last = v.msgs[len(v.msgs)-1].UID
	}
	next := 0
	for _, r := range s.ranges(last) {
		first, end := int(r.first)-1, int(r.last)
		if uid {
			first, _ = v.find(r.first)
			end = sort.Search(len(v.msgs), func(i int) bool { return v.msgs[i].UID > r.last })
		} else if r.first == 0 || end > len(v.msgs) {
			return nil, false
		}
		for i := max(first, next); i < end; i++ {
			at = append(at, i)
		}
		next = max(next, end)
	}
	return at, true
}

// uids returns the UIDs of the messages at places.
func (v *view) uids(at []int) spool.UIDSet {
	set := make(spool.UIDSet, 0, 4)
	for _, i := range at {
		u := v.msgs[i].UID
		// What lies between two neighbours is gone.
		if n := len(set); n > 0 && i > 0 && v.msgs[i-1].UID == set[n-1].Last {
			set[n-1].Last = u
			continue
		}
		set = append(set, spool.UIDRange{First: u, Last: u})
	}
	return set
}

// appendSet writes a set of ascending numbers.
func appendSet(b []byte, numbers []uint32) []byte {
	for i := 0; i < len(numbers); {
		j := i + 1
		for j < len(numbers) && numbers[j] == numbers[j-1]+1 {
			j++
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNumber(b, uint64(numbers[i]))
		if j > i+1 {
			b = append(b, ':')
			b = appendNumber(b, uint64(numbers[j-1]))
		}
		i = j
	}
	return b
}
