package spool

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// RepairOptions say what Repair does. The zero value repairs what check finds.
type RepairOptions struct {
	// Dry changes nothing and says what would be done.
	Dry bool
	// Restored is for a mailbox that was restored from a backup or went back in
	// time with its share: it begins anew under a higher UIDVALIDITY, so that no
	// client and no other host takes new messages for ones that it knew.
	Restored bool
	// Say is told each step as it is taken, and once more with an error if it
	// did not succeed.
	Say func(Repaired)
}

// Repaired is one step of a repair.
type Repaired struct {
	// Finding is what the step is about; Repair says what is done.
	Finding
	// Err is why it could not be done.
	Err error
}

// restoredCode is the code of what Restored does.
const restoredCode = "restored"

// repairPasses is how often a mailbox is looked through again: what is
// repaired first shows what is left.
const repairPasses = 4

// Repair mends what Check reports. It may run while others work, and several
// times; one that was broken off is completed by the next. No message's bytes
// are ever removed: what is surplus is moved to bobbin/x, which is cleared an
// hour later. What is left over is told by another Check.
//
// Hosts that have the mailbox open may find [commitlog.ErrWentBack], and open
// it again.
func (b *Box) Repair(ctx context.Context, o RepairOptions) error {
	r := &repairer{box: b, options: o}
	if o.Restored {
		f := Finding{Code: restoredCode, Where: logDir, Text: "it may be older than it was", Repair: "begin the log anew with a higher UIDVALIDITY"}
		if err := r.step(f, func() error { return r.renew(ctx, true) }); err != nil {
			return b.wrap(err)
		}
	}
	var err error
	for range repairPasses {
		var found []Finding
		if found, err = b.Check(ctx); err != nil || o.Dry {
			r.announce(found)
			break
		}
		var more bool
		if more, err = r.pass(ctx, found); err != nil || !more {
			break
		}
	}
	return b.wrap(err)
}

// repairer is one repair of a mailbox.
type repairer struct {
	box     *Box
	options RepairOptions
	failed  map[string]bool // code and key of what could not be mended
}

func (r *repairer) say(f Finding, err error) {
	if r.options.Say != nil {
		r.options.Say(Repaired{f, err})
	}
}

// step says what is done and does it.
func (r *repairer) step(f Finding, do func() error) error {
	r.say(f, nil)
	if r.options.Dry {
		return nil
	}
	err := do()
	if err != nil {
		r.say(f, err)
	}
	return err
}

func (r *repairer) announce(found []Finding) {
	for _, f := range found {
		if f.Repair != "" {
			r.say(f, nil)
		}
	}
}

// pass mends what one check found and reports whether it did anything.
func (r *repairer) pass(ctx context.Context, found []Finding) (more bool, err error) {
	if r.failed == nil {
		r.failed = map[string]bool{}
	}
	// The log comes first: whoever cannot read it does not know what files are.
	first := found
	for _, kind := range []func(Finding) bool{isDirFault, Finding.logFault} {
		if i := slices.IndexFunc(found, kind); i >= 0 {
			first = slices.DeleteFunc(slices.Clone(found), func(f Finding) bool { return !kind(f) })
			break
		}
	}
	m := &mender{repairer: r}
	var errs []error
	for _, f := range first {
		id := f.Code + " " + f.key
		if f.Repair == "" || r.failed[id] {
			continue
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		more = true
		if err := r.step(f, func() error { return m.mend(ctx, f) }); err != nil {
			r.failed[id] = true
			errs = append(errs, fmt.Errorf("%s: %w", f.Where, err))
		}
	}
	if m.mailbox != nil {
		errs = append(errs, m.mailbox.projectAll(ctx))
	}
	return more, several(errs)
}

func isDirFault(f Finding) bool { return f.Code == "dir-irregular" || f.Code == "dir-missing" }

// mender mends the findings of one pass.
type mender struct {
	*repairer
	mailbox *Mailbox
	renewed bool
	absent  bool
}

func (m *mender) mend(ctx context.Context, f Finding) error {
	b := m.box
	switch {
	case f.Code == "dir-missing":
		return b.prepare(ctx, []string{f.Where})
	case f.Code == "dir-irregular":
		return b.aside(ctx, f.Where)
	case f.logFault() && m.renewed:
		return nil // one new beginning is enough for all
	case f.logFault():
		m.renewed = true
		return m.renew(ctx, false)
	case f.Code == commitlog.FaultOrphan:
		return b.spool.way.Remove(ctx, b.spool.Host, b.fs, f.Where)
	}
	if err := m.open(ctx); err != nil {
		return err
	}
	switch f.Code {
	case "message-irregular":
		return netfs.Move(ctx, b.spool.Host, b.fs, f.Where, goneDir+"/"+baseOf(f.Where))
	case "message-missing":
		if m.absent {
			return nil // all of them at once
		}
		m.absent = true
		return m.mailbox.expungeAbsent(ctx)
	case "message-size":
		return m.mailbox.giveNewName(ctx, f.Where)
	case "name-twice":
		return m.mailbox.untwin(ctx)
	case "litter":
		return m.sweep(ctx, f)
	}
	return nil // projection, at the end of the pass
}

func (m *mender) open(ctx context.Context) (err error) {
	if m.mailbox == nil {
		m.mailbox, err = m.box.Open(ctx)
	}
	return err
}

// sweep removes what check found to be old, if it still is by the server's
// own word.
func (m *mender) sweep(ctx context.Context, f Finding) error {
	now, err := m.mailbox.serverTime(ctx)
	if err != nil {
		return err
	}
	keep := map[string]aged{"tmp": {keep: keepLitter}, onceDir: {keep: keepOnce}, goneDir: {keep: keepGone}}[path.Dir(f.Where)].keep
	a := aged{dir: path.Dir(f.Where), names: []string{path.Base(f.Where)}, now: now, keep: keep}
	if a.dir == onceDir {
		return m.mailbox.sweepOnce(ctx, a)
	}
	return m.mailbox.removeAged(ctx, a)
}

// aside renames what stands in the place of a directory, which is then made.
func (b *Box) aside(ctx context.Context, name string) error {
	token, err := b.spool.Host.Token()
	if err == nil {
		err = netfs.Move(ctx, b.spool.Host, b.fs, name, name+"."+token+".aside")
	}
	if err == nil {
		err = b.prepare(ctx, []string{name})
	}
	return err
}

// projectAll makes all file names show the log.
func (m *Mailbox) projectAll(ctx context.Context) error {
	if err := m.relist(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	m.owed, m.behind = m.behind, m.owed
	m.owed.held = true // sweep, too
	m.mu.Unlock()
	return m.Project(ctx)
}

// expungeAbsent records that messages are gone whose files are missing in two
// complete scans.
func (m *Mailbox) expungeAbsent(ctx context.Context) error {
	h := m.box.spool.Host
	pause := h.Profile.Grain
	if h.Profile.WeakLists {
		pause = weakGap
	}
	var first map[uint32]bool
	for range 2 {
		unlock, err := m.scanning.Lock(ctx)
		if err != nil {
			return err
		}
		absent, _, err := m.complete(ctx)
		unlock()
		if err == nil && absent == nil {
			err = fmt.Errorf("the mailbox does not come to rest: %w", ErrRetry)
		}
		if err != nil {
			return err
		}
		if first == nil {
			first = map[uint32]bool{}
			for _, msg := range absent {
				first[msg.UID] = true
			}
			if err := h.Sleep(ctx, pause); err != nil {
				return err
			}
			continue
		}
		absent = slices.DeleteFunc(absent, func(msg *Message) bool { return !first[msg.UID] })
		_, err = m.Expunge(ctx, setOfMessages(absent))
		return err
	}
	return nil
}

// RepairAccounts is Repair for the spool as a whole: its directories, the
// accounts' log, and mailboxes that accounts lack.
func (s *Spool) RepairAccounts(ctx context.Context, o RepairOptions) error {
	if s.owner != "" {
		return nil
	}
	r := &repairer{options: o}
	err := r.bareLog(ctx, logAt{s, s.Host.Share, accountsDir}, func() machine {
		return (&Accounts{spool: s, users: map[string]Credentials{}}).machine()
	})
	if err != nil {
		return err
	}
	found, err := s.CheckAccounts(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, f := range found {
		switch f.Code {
		case "mailbox-missing":
			errs = append(errs, r.step(f, func() error { return s.makeHome(ctx, path.Base(f.Where)) }))
		case "dir-missing":
			errs = append(errs, r.step(f, func() error { return netfs.MkdirPrivate(ctx, s.Host, s.Host.Share, f.Where) }))
		}
	}
	return several(errs)
}

func (s *Spool) makeHome(ctx context.Context, user string) error {
	a, err := s.Accounts(ctx)
	if err != nil {
		return err
	}
	return a.makeMailbox(ctx, user)
}

// needLevel refuses to renew a log that hosts of a lower level may read.
func (s *Spool) needLevel() error {
	if s.Level() < commitlog.FeatureLevel {
		return fmt.Errorf("%w: a log is begun anew at feature level %d: run \"bobbin upgrade\" first", errors.ErrUnsupported, commitlog.FeatureLevel)
	}
	return nil
}
