package spool_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/bobbinmail/bobbin/spool"
)

// histIn is an operation of a history, histOut what its caller was told.
type histIn struct {
	op     string // deliver, append, list, flags, expunge
	name   string // of the message's file; "" if the caller does not know it
	set    string // of UIDs
	change spool.FlagChange
}

type histOut struct {
	told             string
	refused, unknown bool
}

// box is the state of a mailbox in the model, one line a message: UID, flags,
// name. Delivered mail has no UID yet. The text is the state, so that equal
// states are equal.
type box struct {
	gone    string   // UIDs of messages that were expunged
	pending []string // delivered, in order of names
	msgs    []line   // by UID
}

type line struct {
	uid   uint32
	flags spool.Flags
	name  string
}

func listed(msgs []*spool.Message) string {
	var b strings.Builder
	for _, m := range msgs {
		fmt.Fprintln(&b, line{m.UID, m.Flags, m.Name})
	}
	return b.String()
}

func (l line) String() string { return fmt.Sprintf("%d:%s:%s", l.uid, l.flags.Letters(), l.name) }

func parseLines(text string) (lines []line) {
	for s := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSpace(s), ":", 3)
		uid, _ := strconv.ParseUint(f[0], 10, 32)
		var flags spool.Flags
		for bit := spool.Flags(1); bit < 64; bit <<= 1 {
			if strings.Contains(f[1], bit.Letters()) {
				flags |= bit
			}
		}
		lines = append(lines, line{uint32(uid), flags, f[2]})
	}
	return lines
}

func (b box) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "%s %s\n", b.gone, strings.Join(b.pending, " "))
	for _, l := range b.msgs {
		fmt.Fprintln(&s, l)
	}
	return s.String()
}

func parseBox(state any) (b box) {
	head, rest, _ := strings.Cut(state.(string), "\n")
	gone, pending, _ := strings.Cut(head, " ")
	b.gone, b.pending = gone, strings.Fields(pending)
	b.msgs = parseLines(rest)
	return b
}

// mailboxModel is a mailbox as one host alone would have it.
//
// A delivery puts a message among those that are waiting. A list shows all
// messages, and gives UIDs that nobody had to some that are waiting: it looks
// at the files first and at the log last, so what was delivered in between it
// need not show (see [journal.fresh]). Append gives its UID at once. Flags and expunges tell exactly what they
// changed. What was refused changes nothing; what ended in doubt may have
// happened.
func mailboxModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return box{}.String() },
		Step: func(state, input, output any) (bool, any) {
			b := parseBox(state)
			ok := b.step(input.(histIn), output.(histOut))
			return ok, b.String()
		},
		DescribeOperation: describe,
	}
}

func describe(input, output any) string {
	in, out := input.(histIn), output.(histOut)
	what := strings.TrimSpace(strings.Join([]string{in.op, in.name, in.set}, " "))
	if in.op == "flags" {
		what += fmt.Sprintf(" +%s -%s", in.change.Add.Letters(), in.change.Remove.Letters())
	}
	switch {
	case out.unknown:
		return what + ": unknown"
	case out.refused:
		return what + ": refused"
	}
	return what + ": " + strings.ReplaceAll(strings.TrimSpace(out.told), "\n", " ")
}

// step does one operation and tells whether its outcome is possible.
func (b *box) step(in histIn, out histOut) bool {
	if out.refused && !out.unknown {
		return true
	}
	switch in.op {
	case "deliver":
		b.pending = append(b.pending, in.name)
		slices.Sort(b.pending)
		return true
	case "append":
		if out.unknown {
			return true // whoever lists it takes it for granted
		}
		uid, _ := strconv.ParseUint(out.told, 10, 32)
		return b.assign(line{uint32(uid), spool.Draft, in.name})
	case "list":
		return b.list(parseLines(out.told))
	}
	set, _ := spool.ParseUIDSet(in.set)
	var hit []uint32
	b.msgs = slices.Clone(b.msgs)
	for i, l := range b.msgs {
		flags := (l.flags | in.change.Add) &^ in.change.Remove
		if set.Contains(l.uid) && (in.op == "expunge" || flags != l.flags) {
			b.msgs[i].flags = flags
			hit = append(hit, l.uid)
		}
	}
	if in.op == "expunge" && len(hit) > 0 {
		old, _ := spool.ParseUIDSet(b.gone)
		b.gone = spool.SetOf(append(uidsOf(old), hit...)...).String()
		b.msgs = slices.DeleteFunc(b.msgs, func(l line) bool { return set.Contains(l.uid) })
	}
	return out.unknown || out.told == spool.SetOf(hit...).String()
}

func uidsOf(set spool.UIDSet) (uids []uint32) {
	for _, r := range set {
		for uid := r.First; uid <= r.Last; uid++ {
			uids = append(uids, uid)
		}
	}
	return uids
}

func (b *box) at(uid uint32) (int, bool) {
	return slices.BinarySearchFunc(b.msgs, uid, func(l line, uid uint32) int { return cmp.Compare(l.uid, uid) })
}

// assign gives a UID to a message; nobody had it before.
func (b *box) assign(l line) bool {
	i, taken := b.at(l.uid)
	gone, _ := spool.ParseUIDSet(b.gone)
	if taken || gone.Contains(l.uid) {
		return false
	}
	b.msgs = slices.Insert(slices.Clone(b.msgs), i, l)
	return true
}

// list takes what a listing shows and the model does not have for waiting
// mail that gets its UID now.
func (b *box) list(lines []line) bool {
	for _, l := range lines {
		if _, known := b.at(l.uid); known {
			continue
		}
		i := slices.Index(b.pending, l.name)
		if i < 0 && l.flags != spool.Draft || !b.assign(l) { // a Draft may be an append in doubt
			return false
		}
		if i >= 0 {
			if l.flags != 0 {
				return false
			}
			b.pending = slices.Delete(slices.Clone(b.pending), i, i+1)
		}
	}
	return slices.Equal(lines, b.msgs)
}

// The model refuses what must not be.
func TestHistoryModel(t *testing.T) {
	add := spool.FlagChange{Add: spool.Seen}
	op := func(at int64, in histIn, out histOut) porcupine.Operation {
		return porcupine.Operation{Input: in, Output: out, Call: 2 * at, Return: 2*at + 1}
	}
	deliver := op(1, histIn{op: "deliver", name: "m"}, histOut{})
	list := op(2, histIn{op: "list"}, histOut{told: "1::m\n"})
	flag := op(3, histIn{op: "flags", set: "1", change: add}, histOut{told: "1"})
	late := op(1, histIn{op: "deliver", name: "m"}, histOut{refused: true, unknown: true})
	late.Return = 1 << 62
	for name, c := range map[string]struct {
		want bool
		ops  []porcupine.Operation
	}{
		"flagged":             {true, []porcupine.Operation{deliver, list, flag, op(4, histIn{op: "list"}, histOut{told: "1:S:m\n"})}},
		"lost":                {false, []porcupine.Operation{deliver, list, op(3, histIn{op: "list"}, histOut{})}},
		"unknown, not there":  {true, []porcupine.Operation{late, op(2, histIn{op: "list"}, histOut{})}},
		"unknown, and there":  {true, []porcupine.Operation{late, list}},
		"refused, and there":  {false, []porcupine.Operation{op(1, histIn{op: "deliver", name: "m"}, histOut{refused: true}), list}},
		"flag lost":           {false, []porcupine.Operation{deliver, list, flag, op(4, histIn{op: "list"}, histOut{told: "1::m\n"})}},
		"set twice":           {false, []porcupine.Operation{deliver, list, flag, op(4, histIn{op: "flags", set: "1", change: add}, histOut{told: "1"})}},
		"UID given twice":     {false, []porcupine.Operation{deliver, list, op(3, histIn{op: "append", name: "n"}, histOut{told: "1"})}},
		"expunged and listed": {false, []porcupine.Operation{deliver, list, op(3, histIn{op: "expunge", set: "1"}, histOut{told: "1"}), op(4, histIn{op: "list"}, histOut{told: "1::m\n"})}},
	} {
		if got := porcupine.CheckOperations(mailboxModel(), c.ops); got != c.want {
			t.Errorf("%s: linearizable is %v, want %v", name, got, c.want)
		}
	}
}

// fresh tells which message is not listed although its delivery was over
// before the list began, and nobody expunged it.
func (j *journal) fresh() error {
	uids, expunged := map[string]uint32{}, map[uint32]bool{}
	for _, op := range j.ops {
		if op.Input.(histIn).op != "list" {
			continue
		}
		for _, l := range parseLines(op.Output.(histOut).told) {
			uids[l.name] = l.uid
		}
	}
	for _, op := range j.ops {
		if in := op.Input.(histIn); in.op == "expunge" {
			set, _ := spool.ParseUIDSet(in.set)
			for _, uid := range uids {
				expunged[uid] = expunged[uid] || set.Contains(uid)
			}
		}
	}
	for _, d := range j.ops {
		in := d.Input.(histIn)
		if in.op != "deliver" || d.Output.(histOut).refused || expunged[uids[in.name]] {
			continue
		}
		for _, l := range j.ops {
			if l.Input.(histIn).op == "list" && d.Return < l.Call && !strings.Contains(l.Output.(histOut).told, in.name) {
				return fmt.Errorf("%s is not listed by h%d", in.name, l.ClientId)
			}
		}
	}
	return nil
}
