package locking

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// state is what the name of the lock's file says. No name is ever used again,
// so of all requests to rename one of them, however late or repeated, the
// server carries out one.
type state struct {
	epoch uint64
	owner string // empty when the lock is free
	beat  uint64
}

// seedStride parts the epochs of one seed from those of the next.
const seedStride = 1_000_000_000_000

// maxSeed keeps epochs within 64 bits.
const maxSeed = 1_000_000

func (s state) name() string {
	if s.owner == "" {
		return "F." + strconv.FormatUint(s.epoch, 10)
	}
	return fmt.Sprintf("H.%d.%s.%d", s.epoch, s.owner, s.beat)
}

// taken is the state after owner took the lock from s.
func (s state) taken(owner string) state { return state{epoch: s.epoch + 1, owner: owner} }

// beaten is the state after the holder's next beat.
func (s state) beaten() state { return state{s.epoch, s.owner, s.beat + 1} }

// free is the state after the holder gave the lock back.
func (s state) free() state { return state{epoch: s.epoch} }

// after orders states by when the lock can have come into them.
func (s state) after(o state) bool {
	if c := cmp.Compare(s.epoch, o.epoch); c != 0 {
		return c > 0
	}
	if s.owner == "" || o.owner == "" {
		return s.owner == "" && o.owner != ""
	}
	return s.beat > o.beat
}

// parseState reads a name that state.name wrote.
func parseState(name string) (s state, ok bool) {
	kind, rest, _ := strings.Cut(name, ".")
	switch kind {
	case "F":
		s.epoch, ok = parseNumber(rest)
		return s, ok
	case "H":
		p := strings.Split(rest, ".")
		if len(p) != 3 || len(p[1]) < netfs.TokenLen {
			return s, false
		}
		epoch, ok1 := parseNumber(p[0])
		beat, ok2 := parseNumber(p[2])
		return state{epoch, p[1], beat}, ok1 && ok2
	}
	return s, false
}

func parseNumber(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && strconv.FormatUint(n, 10) == s
}

// tempPrefix begins the names of files that are to become free locks.
const tempPrefix = "t."

func seedName(k uint64) string { return "seed." + strconv.FormatUint(k, 10) }

// view is a listing of a lock's directory.
type view struct {
	state  state
	found  bool     // there is a state at all
	seeds  uint64   // one more than the highest seed
	litter []string // what the holder may remove
}

// key is what stands still while nothing happens to the lock.
func (v *view) key() string {
	if !v.found {
		return ""
	}
	return v.state.name()
}

func readView(names []string) (v view) {
	for _, name := range names {
		if s, ok := parseState(name); ok {
			switch {
			case !v.found:
				v.state, v.found = s, true
			case s.after(v.state):
				v.litter = append(v.litter, v.state.name())
				v.state = s
			default:
				v.litter = append(v.litter, name)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(name, "seed."); ok {
			if k, ok := parseNumber(rest); ok && k <= maxSeed {
				v.seeds = max(v.seeds, k+1)
			}
		} else if strings.HasPrefix(name, tempPrefix) {
			v.litter = append(v.litter, name)
		}
	}
	return v
}

// ownerText is an owner for people: its label, and enough of the random part
// to tell two of them apart.
func ownerText(owner string) string {
	id, label := owner[:netfs.TokenLen], strings.TrimPrefix(owner[netfs.TokenLen:], "-")
	if label == "" {
		return id[:6]
	}
	return label + " (" + id[:6] + ")"
}

// labelOf keeps of a label what can stand in a name on every share (H59).
func labelOf(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
	return strings.Trim(s[:min(len(s), 32)], "-")
}
