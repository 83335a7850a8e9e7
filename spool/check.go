package spool

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Finding is one thing that check noticed.
type Finding struct {
	// Code is the kind of finding, a word that does not change: "slot-empty",
	// "message-missing". docs/operations.md lists them.
	Code string
	// Wrong: mail or state is lost or damaged. Otherwise it is litter or a
	// delay that will mend itself.
	Wrong bool
	// Where names the file or message, Text says what about it.
	Where, Text string
	// Repair is what repair would do about it; "" if that is nothing, or a
	// person's business.
	Repair string

	key string // what it is about, whatever its file is called now
}

// String is "WHERE: TEXT".
func (f Finding) String() string { return f.Where + ": " + f.Text }

// lookAgain is how long check waits before it looks a second time. On a spool
// where others work it may have seen two moments at once.
const lookAgain = time.Second

// Check reads everything a mailbox has and reports what is wrong. It changes
// nothing, and may run while others work: what is wrong was seen twice. The
// error is for what kept it from looking; damage is a finding.
func (b *Box) Check(ctx context.Context) ([]Finding, error) { return b.check(ctx, false) }

// CheckContent is Check; it also reads every message whole and compares it
// with what its name says.
func (b *Box) CheckContent(ctx context.Context) ([]Finding, error) { return b.check(ctx, true) }

func (b *Box) check(ctx context.Context, content bool) ([]Finding, error) {
	found, err := b.spool.lookTwice(ctx, func() ([]Finding, error) { return b.checkOnce(ctx, content) })
	return found, b.wrap(err)
}

// lookTries is how often check looks again when each look finds something wrong
// that the one before did not.
const lookTries = 5

// lookTwice looks again if something is wrong, and returns what two looks in a
// row found. A look that took the log for damaged has not looked at the rest.
func (s *Spool) lookTwice(ctx context.Context, look func() ([]Finding, error)) ([]Finding, error) {
	found, err := look()
	for try := 1; err == nil && slices.ContainsFunc(found, isWrong); try++ {
		if err := s.Host.Sleep(ctx, lookAgain); err != nil {
			return nil, err
		}
		var again []Finding
		if again, err = look(); err != nil {
			return nil, err
		}
		all := len(again)
		both := confirmed(found, slices.Clone(again))
		if len(both) == all || try == lookTries {
			return both, nil
		}
		found = again
	}
	return found, err
}

func isWrong(f Finding) bool { return f.Wrong }

// confirmed returns the second list without what is wrong in it alone.
func confirmed(first, second []Finding) []Finding {
	return slices.DeleteFunc(second, func(f Finding) bool {
		same := func(g Finding) bool { return g.Code == f.Code && g.key == f.key }
		return f.Wrong && !slices.ContainsFunc(first, same)
	})
}

func (b *Box) checkOnce(ctx context.Context, content bool) ([]Finding, error) {
	c := &checker{box: b, state: newState(b.spool.Marker.Separator), readAll: content, twice: map[string]bool{}}
	if whole, err := c.dirs(ctx); !whole || err != nil {
		return c.sorted(), err
	}
	err := c.log(ctx)
	if err == nil {
		err = c.files(ctx)
	}
	if err == nil {
		err = c.litter(ctx)
	}
	return c.sorted(), err
}

// findings collects what a check finds.
type findings struct{ list []Finding }

// add notes a finding about key; fix is what repair would do.
func (c *findings) add(f Finding) {
	if f.key == "" {
		f.key = f.Where
	}
	c.list = append(c.list, f)
}

func (c *findings) wrong(code, where, format string, args ...any) {
	c.add(Finding{Code: code, Wrong: true, Where: where, Repair: fixes[code], Text: fmt.Sprintf(format, args...)})
}

func (c *findings) note(code, where, format string, args ...any) {
	c.add(Finding{Code: code, Where: where, Repair: fixes[code], Text: fmt.Sprintf(format, args...)})
}

// sorted returns the findings as sortFindings puts them.
func (c *findings) sorted() []Finding {
	sortFindings(c.list)
	return c.list
}

// sortFindings puts what is wrong before what is not.
func sortFindings(found []Finding) {
	slices.SortStableFunc(found, func(x, y Finding) int {
		switch {
		case x.Wrong == y.Wrong:
			return 0
		case x.Wrong:
			return -1
		}
		return 1
	})
}

// checker is one look at a mailbox.
type checker struct {
	findings
	box     *Box
	readAll bool // messages, too
	state   *state
	newLog  bool // there is no log yet
	broken  bool // the log could not be read to its end
	now     time.Time
	twice   map[string]bool // base names with several files
}

// fixRenew is what repair does about a log.
const fixRenew = "begin the log anew with what can be read of it"

// fixes says in words what repair does about findings, by their codes.
var fixes = map[string]string{
	"dir-irregular":       "rename it, so that it is out of the way",
	"dir-missing":         "make the directory",
	"mailbox-missing":     "make the directory",
	"expunged-left":       "rename the file as the log wants it",
	"hold-left":           "rename the file as the log wants it",
	"hold-dropped":        "remove it",
	"litter":              "remove it",
	commitlog.FaultOrphan: "remove it",
	"message-irregular":   "rename it, so that it is out of the way",
	"message-missing":     "record that the message is gone, if it is still missing in two complete scans",
	"message-size":        "give the file a new name and the message a new UID, so that clients fetch it again",
	"usage":               "count the folders again",
	"name-twice":          "keep one name and move the other file to bobbin/x if they are equal, else make two messages of them",
}

// faults turns what a log's own check found into findings.
func (c *findings) faults(list []commitlog.Fault) (broken bool) {
	for _, f := range list {
		text := f.Err.Error()
		switch {
		case f.Code == commitlog.FaultNewer:
			c.wrong(f.Code, f.Name, "%s; update bobbin on this host", text)
		case !f.Litter:
			c.add(Finding{Code: f.Code, Wrong: true, Where: f.Name, Text: text, Repair: fixRenew})
		case f.Code == commitlog.FaultHistory:
			c.note(f.Code, f.Name, "%s; a newer base has replaced it, and only \"bobbin log\" misses it", text)
		default:
			c.note(f.Code, f.Name, "%s", text)
		}
		broken = broken || !f.Litter
	}
	return broken
}

// logFault tells whether a finding is about the log itself.
func (f Finding) logFault() bool { return f.Repair == fixRenew }

// base is a message file's name without the directory and flags.
func baseOf(where string) string {
	base, _, _ := splitName(where[strings.LastIndexByte(where, '/')+1:])
	return base
}
