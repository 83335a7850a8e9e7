package spool

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// The operations of a mailbox's log, as words with colon-separated fields.
// docs/spool-format.md has the grammar.
const (
	opGenesis = "genesis"   // genesis:UIDVALIDITY
	opAssign  = "assign"    // assign:UID:FLAGS:DATE:SIZE:NAME
	opFlags   = "flags"     // flags:UIDS:+LETTERS-LETTERS
	opKeyword = "keyword"   // keyword:UIDS:+NAME or -NAME
	opExpunge = "expunge"   // expunge:UIDS
	opImport  = "import"    // import:UID:FLAGS
	opGone    = "gone"      // gone:NAME
	opDrop    = "drop"      // drop:NAME
	opDeleted = "deleted@2" // deleted@2:TOKEN
	opSegment = "seg@2?"    // seg@2?:UIDS:LIST:STRUCTURES:NAME
)

// operation is one decoded operation.
type operation struct {
	word   string
	number uint32 // UIDVALIDITY or UID
	uids   UIDSet
	change FlagChange
	date   time.Time
	size   int64
	name   string
	file   segmentFile // for opSegment
}

func genesisOp(uidValidity uint32) string {
	return fmt.Sprintf("%s:%d", opGenesis, uidValidity)
}

func assignOp(m *Message) string {
	return fmt.Sprintf("%s:%d:%s:%d:%d:%s", opAssign, m.UID, letters(m.Flags),
		m.Date.Unix(), m.Size, commitlog.Encode(m.Name))
}

func letters(f Flags) string {
	if f == 0 {
		return "-"
	}
	return f.Letters()
}

func importOp(uid uint32, f Flags) string {
	return fmt.Sprintf("%s:%d:%s", opImport, uid, letters(f))
}

func goneOp(name string) string { return opGone + ":" + commitlog.Encode(name) }

func dropOp(name string) string { return opDrop + ":" + commitlog.Encode(name) }

func deletedOp(token string) string { return opDeleted + ":" + token }

func expungeOp(uids UIDSet) string { return opExpunge + ":" + uids.String() }

// flagOps writes a change of flags, and one operation for each keyword.
func flagOps(uids UIDSet, c FlagChange) []string {
	var ops []string
	if c.Add|c.Remove != 0 {
		w := ""
		if c.Add != 0 {
			w += "+" + c.Add.Letters()
		}
		if c.Remove != 0 {
			w += "-" + c.Remove.Letters()
		}
		ops = append(ops, opFlags+":"+uids.String()+":"+w)
	}
	for _, k := range c.AddKeywords {
		ops = append(ops, opKeyword+":"+uids.String()+":+"+commitlog.Encode(k))
	}
	for _, k := range c.RemoveKeywords {
		ops = append(ops, opKeyword+":"+uids.String()+":-"+commitlog.Encode(k))
	}
	return ops
}

// parseOp reads one operation. A word that this version does not know is
// commitlog.ErrNewer, whose text says which level is needed. The error of an
// operation that may be passed over when reading ("word?") is errOptional.
func parseOp(s string) (operation, error) {
	f := strings.Split(s, ":")
	op := operation{word: f[0]}
	bad := func() (operation, error) {
		return op, fmt.Errorf("%w: operation %q", commitlog.ErrCorrupt, s)
	}
	want := map[string]int{opGenesis: 2, opAssign: 6, opFlags: 3, opKeyword: 3, opExpunge: 2, opImport: 3, opGone: 2, opDrop: 2, opDeleted: 2, opSegment: 5}[op.word]
	switch {
	case want == 0:
		return op, unknownOp(op.word)
	case len(f) != want:
		return bad()
	}
	var err error
	switch op.word {
	case opGenesis:
		op.number, err = parseNumber(f[1])
	case opAssign:
		err = op.parseAssign(f)
	case opImport:
		op.number, err = parseNumber(f[1])
		op.change.Add, _ = flagsOf(f[2])
	case opGone, opDrop:
		err = op.parseName(f[1])
	case opSegment:
		err = op.parseSegment(f)
	case opDeleted:
		op.name = f[1]
		if !netfs.IsToken(op.name) {
			err = strconv.ErrSyntax
		}
	default:
		if op.uids, err = parseStoredSet(f[1]); err == nil && len(f) == 3 {
			err = op.parseChange(f[2])
		}
	}
	// There is one way to write an operation, so that hashes and eyes agree.
	if err != nil || op.String() != s {
		return bad()
	}
	return op, nil
}

// String writes the operation as parseOp reads it.
func (op operation) String() string {
	switch op.word {
	case opGenesis:
		return genesisOp(op.number)
	case opAssign:
		return assignOp(&Message{UID: op.number, Flags: op.change.Add, Date: op.date, Size: op.size, Name: op.name})
	case opExpunge:
		return expungeOp(op.uids)
	case opImport:
		return importOp(op.number, op.change.Add)
	case opGone:
		return goneOp(op.name)
	case opDrop:
		return dropOp(op.name)
	case opSegment:
		return segmentOp(op.uids, &op.file)
	case opDeleted:
		return deletedOp(op.name)
	}
	return strings.Join(flagOps(op.uids, op.change), " ")
}

// unknownOp reads "word@LEVEL" or "word@LEVEL?".
func unknownOp(word string) error {
	name, level, _ := strings.Cut(word, "@")
	plain, optional := strings.CutSuffix(level, "?")
	if _, err := parseNumber(plain); err != nil {
		return fmt.Errorf("%w: unknown operation %q", commitlog.ErrCorrupt, word)
	}
	err := fmt.Errorf("%w: operation %q needs feature level %s, this version has %d", commitlog.ErrNewer, name, plain, Level)
	if optional {
		return &optionalError{err}
	}
	return err
}

// optionalError is an unknown operation that only stops writing.
type optionalError struct{ error }

func (e *optionalError) Unwrap() error { return e.error }

func parseNumber(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err == nil && n == 0 {
		err = strconv.ErrSyntax
	}
	return uint32(n), err
}

func parseStoredSet(s string) (UIDSet, error) {
	set, err := ParseUIDSet(s)
	if err == nil && strings.Contains(s, "*") {
		err = strconv.ErrSyntax
	}
	return set, err
}

func (op *operation) parseAssign(f []string) (err error) {
	if op.number, err = parseNumber(f[1]); err != nil {
		return err
	}
	op.change.Add, _ = flagsOf(f[2])
	sec, err := strconv.ParseInt(f[3], 10, 64)
	if err != nil {
		return err
	}
	op.date = time.Unix(sec, 0)
	if op.size, err = strconv.ParseInt(f[4], 10, 64); err != nil || op.size < 0 {
		return strconv.ErrSyntax
	}
	return op.parseName(f[5])
}

func (op *operation) parseName(s string) (err error) {
	op.name, err = commitlog.Decode(s)
	if _, _, ok := splitName(op.name); err == nil && (!ok || strings.ContainsAny(op.name, "/\x00")) {
		err = strconv.ErrSyntax
	}
	return err
}

func (op *operation) parseChange(s string) error {
	if len(s) < 2 {
		return strconv.ErrSyntax
	}
	if op.word == opKeyword {
		kw, err := commitlog.Decode(s[1:])
		switch s[0] {
		case '+':
			op.change.AddKeywords = []string{kw}
		case '-':
			op.change.RemoveKeywords = []string{kw}
		default:
			err = strconv.ErrSyntax
		}
		return err
	}
	add, remove, _ := strings.Cut(s, "-")
	op.change.Add, _ = flagsOf(add)
	op.change.Remove, _ = flagsOf(remove)
	if op.change.Add&op.change.Remove != 0 {
		return strconv.ErrSyntax
	}
	return nil
}
