package spool

import (
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// CheckUser is Box.Check for all folders of a user and for the user's own log.
// It names files below the mail root, and tells how many folders there are.
func (s *Spool) CheckUser(ctx context.Context, user string) (found []Finding, folders int, err error) {
	h, err := s.home(user)
	if err != nil {
		return nil, 0, err
	}
	return h.check(ctx)
}

// CheckPublic is CheckUser for the shared folders.
func (s *Spool) CheckPublic(ctx context.Context) (found []Finding, folders int, err error) {
	if s.owner != "" {
		return nil, 0, nil
	}
	return home{spool: s, dir: publicDir, user: publicName, public: true}.check(ctx)
}

func (h home) check(ctx context.Context) (found []Finding, folders int, err error) {
	r, err := h.open(ctx)
	if h.public && errors.Is(err, ErrNoFolder) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	var user *UserState
	folders, user, err = h.each(ctx, root{h, r}, func(dir string, b *Box) error {
		f, err := b.Check(ctx)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil {
			f = append(f, Finding{Code: "unreadable", Wrong: true, Where: ".", Text: "it cannot be checked: " + err.Error()})
		}
		for _, f := range f {
			f.Where = path.Join(dir, f.Where)
			found = append(found, f)
		}
		return nil
	})
	if err == nil {
		var more []Finding
		more, err = h.spool.lookTwice(ctx, func() ([]Finding, error) { return root{h, r}.checkTrash(ctx) })
		found = append(found, more...)
	}
	if err == nil && user != nil {
		var more []Finding
		more, err = h.spool.lookTwice(ctx, func() ([]Finding, error) { return h.checkLog(ctx, r) })
		found = append(found, more...)
	}
	sortFindings(found)
	return found, folders, err
}

// checkLog looks at the user's own log, and in it for what this host read of it
// before.
func (h home) checkLog(ctx context.Context, r netfs.FS) ([]Finding, error) {
	user := &UserState{home: h, fs: r, state: newUserState()}
	user.log = h.spool.log(r, userLogDir, user.machine())
	faults, err := user.log.Verify(ctx)
	if missing(err) {
		return nil, nil
	}
	var c findings
	if c.faults(faults) || err != nil {
		return c.list, err
	}
	err = user.recall(ctx)
	if errors.Is(err, commitlog.ErrWentBack) {
		c.wrong(codeWentBack, userLogDir, "%v", err)
		return c.list, nil
	}
	if err == nil {
		err = h.checkUsage(ctx, &c, &user.state)
	}
	return c.list, err
}

// checkUsage compares what the user's log says of folders with their own logs.
func (h home) checkUsage(ctx context.Context, c *findings, s *userState) error {
	for _, folder := range slices.Sorted(maps.Keys(s.counted)) {
		b, err := h.box(ctx, folder)
		if errors.Is(err, ErrNoFolder) || errors.Is(err, ErrBadName) {
			c.note("usage-left", folder, "the user's log counts a folder that is not there; \"bobbin quota --recount\" forgets it")
			continue
		}
		if err != nil {
			return err
		}
		m := b.view()
		_, err = m.log.Refresh(ctx)
		if err == nil {
			is, _ := m.count()
			s.checkUsage(c, folder, is)
		}
		// A log that cannot be read is a finding of that folder's own check.
		if cerr := b.Close(); err != nil && ctx.Err() != nil || cerr != nil {
			return errors.Join(err, cerr)
		}
	}
	return nil
}

// checkTrash looks for mailboxes in the trash that nobody deleted: somebody put
// them there by hand, and no host will bring them back or remove them.
func (r root) checkTrash(ctx context.Context) ([]Finding, error) {
	names, err := r.ReadDir(ctx, folderTrash)
	if err != nil && !missing(err) {
		return nil, err
	}
	var c findings
	for _, n := range names {
		dir := path.Join(folderTrash, n, grave)
		f, err := r.Sub(ctx, dir)
		if missing(err) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
			continue
		}
		if err != nil {
			return nil, err
		}
		m := r.at(f, dir, dir).view()
		_, err = m.log.Refresh(ctx)
		if live := len(m.state.msgs); err == nil && live > 0 && m.state.deleted == "" {
			c.wrong("folder-in-trash", dir, "a folder with %d messages that nobody deleted: rename it to where it belongs", live)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
		if err != nil && !missing(err) && !errors.Is(err, commitlog.ErrCorrupt) && !errors.Is(err, commitlog.ErrNewer) {
			return nil, err
		}
	}
	return c.list, nil
}

// each calls f for all folders below a mail root, and returns the user's own
// state if there is a log of it.
func (h home) each(ctx context.Context, r root, f func(dir string, b *Box) error) (folders int, user *UserState, err error) {
	all, err := r.ReadDir(ctx, ".")
	if err != nil {
		return 0, nil, err
	}
	dirs := folderDirs(all)
	if !h.public || slices.Contains(all, "cur") {
		dirs = append([]string{"."}, dirs...)
	}
	for _, d := range dirs {
		is, err := r.check(ctx, d, f)
		if err != nil {
			return folders, nil, err
		}
		if is {
			folders++
		}
	}
	if slices.Contains(all, userLogDir) {
		user = &UserState{home: h, state: newUserState()}
	}
	return folders, user, nil
}

// check calls f for one folder; what has no cur is none.
func (r root) check(ctx context.Context, dir string, do func(dir string, b *Box) error) (is bool, err error) {
	f, err := r.Sub(ctx, dir)
	if missing(err) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return false, nil
	}
	if err != nil {
		return true, err
	}
	defer f.Close()
	if i, err := f.Stat(ctx, "cur"); dir != "." && (missing(err) || err == nil && !i.Mode.IsDir()) {
		return false, nil
	}
	return true, do(dir, r.at(f, dir, r.spool.coder().nameOf(dir)))
}

// RepairUser is Box.Repair for all folders of a user and for the user's own
// log. It goes on with the other folders when one cannot be repaired.
func (s *Spool) RepairUser(ctx context.Context, user string, o RepairOptions) error {
	h, err := s.home(user)
	if err != nil {
		return err
	}
	return h.repair(ctx, o)
}

// RepairPublic is RepairUser for the shared folders.
func (s *Spool) RepairPublic(ctx context.Context, o RepairOptions) error {
	if s.owner != "" {
		return nil
	}
	return home{spool: s, dir: publicDir, user: publicName, public: true}.repair(ctx, o)
}

func (h home) repair(ctx context.Context, o RepairOptions) error {
	r, err := h.open(ctx)
	if h.public && errors.Is(err, ErrNoFolder) {
		return nil
	}
	if err != nil {
		return err
	}
	defer r.Close()
	var errs []error
	_, user, err := h.each(ctx, root{h, r}, func(dir string, b *Box) error {
		here := o
		here.Say = func(r Repaired) {
			r.Where = path.Join(dir, r.Where)
			if o.Say != nil {
				o.Say(r)
			}
		}
		errs = append(errs, b.Repair(ctx, here))
		return ctx.Err()
	})
	if err == nil && user != nil {
		lr := &repairer{options: o}
		err = lr.bareLog(ctx, logAt{h.spool, r, userLogDir}, user.machine)
		if err == nil {
			err = h.repairUsage(ctx, r, lr)
		}
	}
	return several(append(errs, err))
}

// repairUsage counts the folders again if the user's log is wrong about them.
func (h home) repairUsage(ctx context.Context, r netfs.FS, lr *repairer) error {
	found, err := h.spool.lookTwice(ctx, func() ([]Finding, error) { return h.checkLog(ctx, r) })
	i := slices.IndexFunc(found, func(f Finding) bool { return f.Code == "usage" })
	if err != nil || i < 0 {
		return err
	}
	return lr.step(found[i], func() error {
		u, err := h.state(ctx)
		if err != nil {
			return err
		}
		return errors.Join(u.Recount(ctx), u.Close(ctx))
	})
}
