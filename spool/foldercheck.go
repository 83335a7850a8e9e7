package spool

import (
	"context"
	"errors"
	"path"
	"slices"
	"syscall"
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
	all, err := r.ReadDir(ctx, ".")
	if err != nil {
		return nil, 0, err
	}
	dirs := folderDirs(all)
	if !h.public || slices.Contains(all, "cur") {
		dirs = append([]string{"."}, dirs...)
	}
	for _, d := range dirs {
		f, is, err := root{h, r}.check(ctx, d)
		if err != nil && ctx.Err() != nil {
			return found, folders, err
		}
		if is {
			folders++
		}
		if err != nil {
			f = append(f, Finding{Wrong: true, Where: ".", Text: "it cannot be checked: " + err.Error()})
		}
		for i := range f {
			f[i].Where = path.Join(d, f[i].Where)
		}
		found = append(found, f...)
	}
	if slices.Contains(all, userLogDir) {
		u := &UserState{home: h, state: newUserState()}
		faults, err := h.spool.log(r, userLogDir, u.machine()).Verify(ctx)
		if err != nil && !missing(err) {
			return found, folders, err
		}
		for _, f := range faults {
			found = append(found, Finding{!f.Litter, f.Name, f.Err.Error()})
		}
	}
	sortFindings(found)
	return found, folders, nil
}

// check checks one folder; what has no cur is none.
func (r root) check(ctx context.Context, dir string) (found []Finding, is bool, err error) {
	f, err := r.Sub(ctx, dir)
	if missing(err) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return nil, false, nil
	}
	if err != nil {
		return nil, true, err
	}
	defer f.Close()
	if i, err := f.Stat(ctx, "cur"); dir != "." && (missing(err) || err == nil && !i.Mode.IsDir()) {
		return nil, false, nil
	}
	found, err = r.at(f, dir, r.spool.coder().nameOf(dir)).Check(ctx)
	return found, true, err
}
