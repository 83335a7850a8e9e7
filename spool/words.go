package spool

import (
	"fmt"
	"strings"
	"time"
)

// Words says in plain words what an operation of a mailbox's log does. What it
// cannot read comes back as it is. The result may hold what a foreign program
// put into a file's name: it is not fit for a terminal as it is.
func Words(op string) string {
	if strings.HasPrefix(op, "rotate:") {
		return "a new generation begins"
	}
	o, err := parseOp(op)
	if err != nil {
		return op
	}
	switch o.word {
	case opGenesis:
		return fmt.Sprintf("mailbox made, UIDVALIDITY %d", o.number)
	case opAssign:
		s := fmt.Sprintf("UID %d is %s, %d bytes of %s", o.number, o.name, o.size, o.date.UTC().Format(time.RFC3339))
		if o.change.Add != 0 {
			s += ", " + strings.Join(o.change.Add.Words(), " and ")
		}
		return s
	case opExpunge:
		return "expunged " + o.uids.String()
	case opImport:
		return fmt.Sprintf("another program's flags of %d taken over: %s", o.number, letters(o.change.Add))
	case opGone:
		return "the file " + o.name + " is gone"
	case opSegment:
		return "summaries of " + o.uids.String() + " are in " + o.file.name
	case opDeleted:
		return "folder deleted, to be found in " + folderTrash + "/" + o.name
	case opDrop:
		return "the held file " + o.name + " will not become a message"
	}
	var done []string
	say := func(what, verb string) {
		if what != "" {
			done = append(done, verb+" "+what)
		}
	}
	say(strings.Join(o.change.Add.Words(), " and "), "set")
	say(strings.Join(o.change.Remove.Words(), " and "), "cleared")
	say(strings.Join(o.change.AddKeywords, " and "), "added keyword")
	say(strings.Join(o.change.RemoveKeywords, " and "), "removed keyword")
	return strings.Join(done, ", ") + " on " + o.uids.String()
}
