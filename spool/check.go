package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"syscall"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Finding is one thing that check noticed.
type Finding struct {
	// Wrong: mail or state is lost or damaged. Otherwise it is litter or a
	// delay that will mend itself.
	Wrong bool
	// Where names the file or message, Text says what about it and what to do.
	Where, Text string
}

// String is "WHERE: TEXT".
func (f Finding) String() string { return f.Where + ": " + f.Text }

// Check reads everything a mailbox has and reports what is wrong. It changes
// nothing, and may run while others work. The error is for what kept it from
// looking; damage is a finding.
func (b *Box) Check(ctx context.Context) ([]Finding, error) {
	c := &checker{box: b, state: newState(b.spool.Marker.Separator)}
	if !c.dirs(ctx) {
		return c.found, nil
	}
	err := c.log(ctx)
	if err == nil {
		err = c.files(ctx)
	}
	if err != nil {
		return c.found, b.wrap(err)
	}
	sortFindings(c.found)
	return c.found, nil
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

type checker struct {
	box    *Box
	state  *state
	broken bool // the log could not be read to its end
	found  []Finding
}

func (c *checker) wrong(where, format string, args ...any) {
	c.found = append(c.found, Finding{true, where, fmt.Sprintf(format, args...)})
}

func (c *checker) note(where, format string, args ...any) {
	c.found = append(c.found, Finding{false, where, fmt.Sprintf(format, args...)})
}

// dirs looks for directories that are something else, such as a link that
// somebody planted; nothing behind one is looked at.
func (c *checker) dirs(ctx context.Context) bool {
	whole := true
	for _, d := range mailboxDirs() {
		i, err := c.box.fs.Stat(ctx, d)
		if err == nil && !i.Mode.IsDir() || errors.Is(err, syscall.ENOTDIR) {
			c.wrong(d, "it is not a directory; remove it, the next user makes a new one")
			whole = false
		}
	}
	return whole
}

// log reads every slot, not only as many as the tails make necessary.
func (c *checker) log(ctx context.Context) error {
	names := segmentNames{}
	l := c.box.spool.log(c.box.fs, logDir, machine{
		apply: func(r *commitlog.Record) error {
			names.note(r)
			return c.state.apply(r)
		},
		snapshot: func(since uint64) ([]byte, uint64) { return c.state.snapshot(since), since },
		load: func(text []byte) error {
			names.list(c.state) // a base may name fewer than the one before it
			return loadInto(&c.state, text)
		},
		named: func() []string { return names.list(c.state) },
	})
	faults, err := l.Verify(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		c.note(logDir, "there is no log yet; the first reader makes it")
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range faults {
		if f.Litter {
			c.note(f.Name, "%v", f.Err)
			continue
		}
		c.broken = true
		c.wrong(f.Name, "%v; restore this file from a backup: nothing was changed", f.Err)
	}
	c.segments(ctx, l)
	if c.state.deleted != "" {
		c.note(".", "the folder was deleted; who opens it next moves it to %s/%s", folderTrash, c.state.deleted)
	}
	return nil
}

// files compares the state with what is in new and cur.
func (c *checker) files(ctx context.Context) error {
	seen := map[string]string{}
	// hold before new and cur: files move in this direction.
	held, err := c.box.fs.ReadDir(ctx, holdDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, dir := range []string{"new", "cur"} {
		names, err := c.box.fs.ReadDir(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) {
			c.note(dir, "the directory is missing; the next delivery makes it")
			continue
		}
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := c.file(ctx, dir, n, seen); err != nil {
				return err
			}
		}
	}
	for _, n := range held {
		if err := c.held(ctx, n, seen); err != nil {
			return err
		}
	}
	if c.broken {
		return nil // what is not in new or cur may be in the part that cannot be read
	}
	for _, m := range c.state.msgs {
		if seen[m.Name] != "" {
			continue
		}
		if there, err := c.box.holds(ctx, m.Name); err != nil {
			return err
		} else if !there {
			c.wrong(m.Name, "the file of UID %d is missing", m.UID)
		}
	}
	return nil
}

// held looks at one file in hold, after those in new and cur.
func (c *checker) held(ctx context.Context, name string, seen map[string]string) error {
	where := holdDir + "/" + name
	_, dead := c.state.tombs[name]
	switch {
	case seen[name] != "": // moved on since, or a second file that does no harm
	case c.state.dropped[name] != 0:
		c.note(where, "it will not become a message and is cleared away later")
	case dead:
		return c.file(ctx, holdDir, name, seen)
	case c.state.named(name) != nil:
		c.note(where, "its message is not shown in cur yet")
		return c.file(ctx, holdDir, name, seen)
	default:
		c.note(where, "a message under way, or what broken work left; it is cleared away after 36 hours")
	}
	return nil
}

func (c *checker) file(ctx context.Context, dir, name string, seen map[string]string) error {
	where := dir + "/" + name
	base, _, ok := splitName(name)
	if !ok {
		return nil
	}
	i, err := c.box.fs.Stat(ctx, where)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // moved on while we looked
	case err != nil:
		return err
	case !i.Mode.IsRegular() && c.state.named(base) != nil:
		seen[base] = where
		c.wrong(where, "the file of UID %d has become something else", c.state.named(base).UID)
		return nil
	case !i.Mode.IsRegular():
		c.note(where, "it is not a regular file and is ignored")
		return nil
	}
	if first := seen[base]; first != "" {
		c.note(where, "the same message as %s", first)
	}
	seen[base] = where
	m := c.state.named(base)
	if m == nil {
		if _, dead := c.state.tombs[base]; dead {
			c.note(where, "the message is expunged; its file has not been moved away yet")
		}
		return nil
	}
	if i.Size != m.Size {
		c.wrong(where, "UID %d has %d bytes and was stored with %d", m.UID, i.Size, m.Size)
	}
	return nil
}

// CheckAccounts is Check for the accounts' log. A mail root has none.
func (s *Spool) CheckAccounts(ctx context.Context) ([]Finding, error) {
	if s.owner != "" {
		return nil, nil
	}
	a := &Accounts{spool: s, hash: map[string]string{}}
	l := s.log(s.Host.Share, accountsDir, a.machine())
	faults, err := l.Verify(ctx)
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	var out []Finding
	for _, dir := range []string{usersDir, trashDir} {
		i, err := s.Host.Share.Stat(ctx, dir)
		if err == nil && !i.Mode.IsDir() {
			out = append(out, Finding{true, dir, "it is not a directory"})
		}
	}
	for _, f := range faults {
		out = append(out, Finding{!f.Litter, f.Name, f.Err.Error()})
	}
	for _, name := range a.Names() {
		if _, err := s.Host.Share.Stat(ctx, usersDir+"/"+name); errors.Is(err, fs.ErrNotExist) {
			out = append(out, Finding{true, usersDir + "/" + name, "the mailbox of an account is missing"})
		} else if err != nil {
			return out, err
		}
	}
	return out, nil
}
