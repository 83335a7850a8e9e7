package spool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// The operations of a user's log. docs/spool-format.md has the grammar.
const (
	opValidity    = "uidvalidity" // uidvalidity:NUMBER
	opSubscribe   = "subscribe"   // subscribe:FOLDER
	opUnsubscribe = "unsubscribe" // unsubscribe:FOLDER
	opUse         = "use"         // use:USE:FOLDER
	opUnuse       = "unuse"       // unuse:USE
	opSeen        = "seen"        // seen:UIDVALIDITY:+UIDS or -UIDS
	opLastRead    = "lastread"    // lastread:UIDVALIDITY:UID
	opForget      = "forget"      // forget:UIDVALIDITY
	opValue       = "value"       // value:KEY:TEXT
)

// userState is what the records of a user's log add up to.
type userState struct {
	validity   uint32 // the highest UIDVALIDITY given in this mail root
	subscribed map[string]bool
	uses       map[Use]string
	seen       map[uint32]UIDSet // in shared folders, by UIDVALIDITY
	lastRead   map[uint32]uint32 // likewise
	values     map[string]string
	counted    map[string]counted // by folder; usage.go
	taken      map[string]takes   // likewise
	newer      error              // an operation that is not known: no writing
}

func newUserState() userState {
	return userState{
		subscribed: map[string]bool{}, uses: map[Use]string{}, seen: map[uint32]UIDSet{},
		lastRead: map[uint32]uint32{}, values: map[string]string{},
		counted: map[string]counted{}, taken: map[string]takes{},
	}
}

func numberOp(word string, n uint32) string { return fmt.Sprintf("%s:%d", word, n) }

func folderOp(word, folder string) string { return word + ":" + commitlog.Encode(folder) }

func useOp(use Use, folder string) string {
	return opUse + ":" + string(use) + ":" + commitlog.Encode(folder)
}

func seenOp(validity uint32, uids UIDSet, seen bool) string {
	sign := "+"
	if !seen {
		sign = "-"
	}
	return fmt.Sprintf("%s:%d:%s%s", opSeen, validity, sign, uids)
}

func valueOp(key, value string) string {
	return opValue + ":" + commitlog.Encode(key) + ":" + commitlog.Encode(value)
}

// ops are the operations that make the state out of nothing, in a fixed order.
func (s *userState) ops() (ops []string) {
	if s.validity > 0 {
		ops = append(ops, numberOp(opValidity, s.validity))
	}
	for _, name := range slices.Sorted(maps.Keys(s.subscribed)) {
		ops = append(ops, folderOp(opSubscribe, name))
	}
	for _, use := range allUses {
		if folder, ok := s.uses[use]; ok {
			ops = append(ops, useOp(use, folder))
		}
	}
	for _, n := range s.shared() {
		if uids := s.seen[n]; len(uids) > 0 {
			ops = append(ops, seenOp(n, uids, true))
		}
		if uid := s.lastRead[n]; uid > 0 {
			ops = append(ops, fmt.Sprintf("%s:%d:%d", opLastRead, n, uid))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		ops = append(ops, valueOp(key, s.values[key]))
	}
	return append(ops, s.usageOps()...)
}

// shared lists the shared folders that the state speaks of.
func (s *userState) shared() []uint32 {
	set := map[uint32]bool{}
	for n := range s.seen {
		set[n] = true
	}
	for n := range s.lastRead {
		set[n] = true
	}
	return sorted(set)
}

// userOps tells how many fields each operation has, the word included.
var userOps = map[string]int{
	opValidity: 2, opSubscribe: 2, opUnsubscribe: 2, opUse: 3, opUnuse: 2, opSeen: 3, opLastRead: 3, opForget: 2, opValue: 3,
	opUsage: 6, opTake: 3, opUntake: 3, opUnusage: 2,
}

// apply takes in the operations of a record, all of them or, with an error,
// none.
func (s *userState) apply(ops []string) error {
	var todo []func()
	for _, op := range ops {
		f := strings.Split(op, ":")
		want, known := userOps[f[0]]
		if !known {
			err := unknownOp(f[0])
			if !errors.As(err, new(*optionalError)) {
				return err
			}
			todo = append(todo, func() { s.newer = err })
			continue
		}
		do, ok := s.perform(f)
		if len(f) != want || !ok {
			return fmt.Errorf("%w: operation %.80q", commitlog.ErrCorrupt, op)
		}
		todo = append(todo, do)
	}
	for _, do := range todo {
		do()
	}
	return nil
}

// perform reads one operation and returns what it does.
func (s *userState) perform(f []string) (do func(), ok bool) {
	f = append(slices.Clone(f), "", "")
	switch f[0] {
	case opSubscribe, opUnsubscribe, opUse, opUnuse, opValue:
		return s.performNamed(f)
	case opUsage, opTake, opUntake, opUnusage:
		return s.performUsage(f)
	}
	n, err := parseNumber(f[1])
	if err != nil {
		return nil, false
	}
	switch f[0] {
	case opValidity:
		return func() { s.validity = max(s.validity, n) }, true
	case opForget:
		return func() { delete(s.seen, n); delete(s.lastRead, n) }, true
	case opLastRead:
		uid, err := parseNumber(f[2])
		return func() { s.lastRead[n] = uid }, err == nil
	}
	if len(f[2]) < 2 || f[2][0] != '+' && f[2][0] != '-' {
		return nil, false
	}
	uids, err := parseStoredSet(f[2][1:])
	return func() {
		if f[2][0] == '+' {
			s.seen[n] = union(s.seen[n], uids)
		} else if s.seen[n] = minus(s.seen[n], uids); len(s.seen[n]) == 0 {
			delete(s.seen, n)
		}
	}, err == nil
}

// performNamed is perform for operations whose fields are texts.
func (s *userState) performNamed(f []string) (do func(), ok bool) {
	name, err := commitlog.Decode(f[1])
	second, err2 := commitlog.Decode(f[2])
	if err != nil || err2 != nil || name == "" {
		return nil, false
	}
	use := Use(name)
	switch f[0] {
	case opSubscribe:
		return func() { s.subscribed[name] = true }, true
	case opUnsubscribe:
		return func() { delete(s.subscribed, name) }, true
	case opUse:
		return func() { s.uses[use] = second }, use.known() && second != ""
	case opUnuse:
		return func() { delete(s.uses, use) }, use.known()
	}
	return func() {
		if s.values[name] = second; second == "" {
			delete(s.values, name)
		}
	}, true
}

// union returns the UIDs that are in a or in b.
func union(a, b UIDSet) UIDSet { return slices.Concat(a, b).normal() }

// minus returns the UIDs of a that are not in b.
func minus(a, b UIDSet) UIDSet {
	var out UIDSet
	for _, r := range a {
		for _, cut := range b {
			if cut.Last < r.First || cut.First > r.Last {
				continue
			}
			if cut.First > r.First {
				out = append(out, UIDRange{r.First, cut.First - 1})
			}
			if cut.Last >= r.Last {
				r.First = 0
				break
			}
			r.First = cut.Last + 1
		}
		if r.First != 0 {
			out = append(out, r)
		}
	}
	return out
}
