package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// RenameFolder renames a folder, and those below it one after the other, itself
// last. Hosts that have them open go on working. Subscriptions and special uses
// of the user who renames follow (RFC 9051 section 6.3.6 leaves that to
// clients).
//
// INBOX is not renamed, a folder does not go below itself, nor from a user's
// folders to the shared ones; all that is [ErrBadName]. The error wraps
// [ErrExists] if there is a folder of the new name or of one that a folder below
// would get, and [ErrNoFolder]. If it is broken off in the middle, the same
// rename again does the rest.
func (s *Spool) RenameFolder(ctx context.Context, user, from, to string) error {
	if err := s.needs("to rename a folder", 2); err != nil {
		return err
	}
	h, rest, err := s.place(ctx, user, from)
	if err != nil {
		return err
	}
	h2, rest2, err := s.place(ctx, user, to)
	if err != nil {
		return err
	}
	if h2.dir != h.dir {
		return badFolder(to, "a folder does not change between a user's own and the shared ones; make a new one and move the messages")
	}
	clean, dir, err := s.coder().newFolder(rest2)
	if err != nil {
		return err
	}
	r, err := h.root(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	plan, err := r.renames(ctx, rest, clean, dir)
	if err == nil {
		err = r.renameAll(ctx, plan)
	}
	if err != nil && !errors.Is(err, ErrNoFolder) {
		return err
	}
	name, nerr := s.folderName(from)
	u, uerr := s.UserState(ctx, user)
	if uerr = errors.Join(nerr, uerr); uerr != nil {
		return uerr
	}
	followed, uerr := u.renamed(ctx, name, h.full(clean))
	uerr = errors.Join(uerr, u.Close(ctx))
	if followed && uerr == nil && errors.Is(err, ErrNoFolder) && r.has(ctx, dir) {
		err = nil // what an earlier try had not come to
	}
	return errors.Join(err, uerr)
}

// move is a directory of the mail root that gets another name.
type move struct{ from, to string }

// renames lists what a rename moves, the folder itself last, and makes sure
// that all of it can be.
func (r root) renames(ctx context.Context, from, to, dir string) ([]move, error) {
	all, err := r.ReadDir(ctx, ".")
	if err != nil {
		return nil, err
	}
	dirs := folderDirs(all)
	old, err := r.spool.coder().dir(from)
	if err != nil {
		return nil, err
	}
	if old == "." {
		return nil, badFolder(from, "INBOX is not renamed; make a folder and move the messages")
	}
	if !slices.Contains(dirs, old) {
		if alias, err := r.alias(ctx, from); err == nil {
			old = alias
		}
	}
	var plan []move
	var sources []string
	for _, d := range dirs {
		if rest, ok := strings.CutPrefix(d, old); ok && (rest == "" || rest[0] == '.') {
			plan = append(plan, move{d, dir + rest})
			sources = append(sources, d)
		}
	}
	if len(plan) == 0 {
		return nil, r.noFolder(from)
	}
	if dir == old {
		return nil, r.free(ctx, to, dir, nil)
	}
	if strings.HasPrefix(dir, old+".") {
		return nil, badFolder(to, "it is below the folder itself")
	}
	if err := r.free(ctx, to, dir, sources); err != nil {
		return nil, err
	}
	for _, m := range plan {
		if len(m.to) > dirMax {
			return nil, badFolder(r.spool.coder().exact(m.from), "its new name would be too long")
		}
		if err := r.free(ctx, r.spool.coder().exact(m.to), m.to, sources); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(plan, func(a, b move) int { return strings.Compare(b.from, a.from) })
	return plan, nil
}

// renameAll makes the moves. A folder that was deleted meanwhile is passed
// over, but for the last.
func (r root) renameAll(ctx context.Context, plan []move) error {
	for i, m := range plan {
		err := r.rename(ctx, m)
		if errors.Is(err, ErrNoFolder) && i < len(plan)-1 {
			continue
		}
		if err != nil {
			return fmt.Errorf("folder %s: %w", r.full(r.spool.coder().exact(m.from)), err)
		}
	}
	return nil
}

func (r root) rename(ctx context.Context, m move) error {
	f, err := r.Sub(ctx, m.from)
	if missing(err) {
		return ErrNoFolder
	}
	if err != nil {
		return err
	}
	defer f.Close()
	b := r.at(f, m.from, r.spool.coder().exact(m.from))
	if _, err := b.open(ctx); err != nil { // a mailbox without a log gets one: it says which it is
		return err
	}
	id, err := b.identity(ctx)
	if err != nil {
		return err
	}
	return r.give(ctx, m.from, m.to, id)
}

// has tells whether a directory of the mail root is surely there.
func (r root) has(ctx context.Context, dir string) bool {
	_, err := r.Stat(ctx, dir)
	return err == nil
}
