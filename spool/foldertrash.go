package spool

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

const (
	// keepFolder is how long a deleted folder stays in the trash, by the
	// server's clock.
	keepFolder = 7 * 24 * time.Hour
	// purgeMax is how many names of the trash one sweep removes.
	purgeMax = 500
)

// sweepTrash removes folders that were deleted a week ago, and what broken work
// left beside them. It does a bounded part of that; the rest is the next one's.
func (r root) sweepTrash(ctx context.Context) error {
	names, err := r.ReadDir(ctx, folderTrash)
	if missing(err) || len(names) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	now, err := r.trashTime(ctx)
	if err != nil {
		return err
	}
	p := &purge{root: r, left: purgeMax}
	var errs []error
	for _, n := range names[:min(len(names), sweepMax)] {
		nest := path.Join(folderTrash, n)
		// The directory got its time when the folder came.
		i, err := r.Stat(ctx, nest)
		switch {
		case missing(err):
		case err != nil:
			errs = append(errs, err)
		case now.Sub(i.Mtime) < keepFolder:
		case i.Mode.IsDir():
			errs = append(errs, p.nest(ctx, nest))
		default:
			errs = append(errs, netfs.Unlink(ctx, r.spool.Host, r, nest))
		}
	}
	return several(errs)
}

// sweepTrash sweeps that of the mail root whose INBOX m is.
func (m *Mailbox) sweepTrash(ctx context.Context) error {
	if m.box.leaf != "." {
		return nil
	}
	return root{m.box.home, m.box.fs}.sweepTrash(ctx)
}

// trashTime asks what time the server has.
func (r root) trashTime(ctx context.Context) (time.Time, error) {
	token, err := r.spool.Host.Token()
	if err != nil {
		return time.Time{}, err
	}
	f, err := netfs.CreateNew(ctx, r, path.Join(folderTrash, token))
	if err != nil {
		return time.Time{}, err
	}
	f.Abort(ctx)
	i, err := r.Stat(ctx, folderTrash)
	return i.Mtime, err
}

// purge is one sweep's work.
type purge struct {
	root
	left int // names that may be removed yet
}

// nest removes a directory of the trash and the mailbox in it.
func (p *purge) nest(ctx context.Context, nest string) error {
	if done, err := p.mailbox(ctx, path.Join(nest, grave)); !done || err != nil {
		return err
	}
	_, err := p.tree(ctx, nest)
	return err
}

// mailbox removes a mailbox: its messages first, while the log tells which
// files they are, and the log last. What the log does not know goes to INBOX.
func (p *purge) mailbox(ctx context.Context, dir string) (done bool, err error) {
	f, err := p.Sub(ctx, dir)
	if err != nil {
		return p.none(err)
	}
	defer f.Close()
	m := p.at(f, dir, dir).view()
	for _, d := range maildirs[1:] {
		names, err := f.ReadDir(ctx, d)
		if err != nil && !missing(err) {
			return false, err
		}
		if len(names) > 0 && m.UIDValidity() == 0 {
			if _, err := m.log.Refresh(ctx); err != nil && !missing(err) {
				return false, err
			}
			if len(m.state.msgs) > 0 && m.state.deleted == "" {
				return false, nil // this is no deleted folder
			}
		}
		for _, n := range names {
			if err := m.rescueFile(ctx, p.root, path.Join(dir, d), n); err != nil {
				return false, err
			}
		}
	}
	for _, d := range []string{"new", "cur", "."} {
		if done, err = p.tree(ctx, path.Join(dir, d)); !done || err != nil {
			return false, err
		}
	}
	return true, nil
}

// none is the end of what is not there.
func (p *purge) none(err error) (done bool, _ error) {
	if missing(err) {
		return true, nil
	}
	return false, err
}

// tree removes a directory and what is in it.
func (p *purge) tree(ctx context.Context, dir string) (done bool, err error) {
	names, err := p.ReadDir(ctx, dir)
	if err != nil {
		return p.none(err)
	}
	for _, n := range names {
		name := path.Join(dir, n)
		if p.left--; p.left < 0 {
			return false, nil
		}
		i, err := p.Stat(ctx, name)
		switch {
		case missing(err):
			continue
		case err == nil && i.Mode.IsDir():
			if done, err = p.tree(ctx, name); !done && err == nil {
				return false, nil
			}
		case err == nil:
			err = netfs.Unlink(ctx, p.spool.Host, p, name)
		}
		if err != nil {
			return false, err
		}
	}
	err = netfs.Unlink(ctx, p.spool.Host, p, dir)
	return err == nil, err
}

// forgetVanished drops what the user's log keeps for shared folders that are
// gone, once it speaks of more than there are. That one is gone takes a
// listing made while nothing changed (H48).
func (u *UserState) forgetVanished(ctx context.Context, pub home, there int) error {
	kept := u.shared()
	h := u.home.spool.Host
	if len(kept) <= there || h.Profile.WeakLists || u.home.spool.Level() < 2 {
		return nil
	}
	r, err := pub.root(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	before, settled, err := netfs.Settled(ctx, h, r, ".")
	if err != nil || !settled {
		return err
	}
	names, err := pub.list(ctx)
	if err != nil {
		return err
	}
	live := map[uint32]bool{}
	for _, name := range names {
		rest, _ := splitPublic(name)
		b, err := pub.box(ctx, rest)
		if errors.Is(err, ErrNoFolder) {
			continue
		}
		if err != nil {
			return err
		}
		m := b.view()
		_, err = m.log.Refresh(ctx)
		live[m.UIDValidity()] = true
		if err = errors.Join(err, b.Close()); err != nil && !missing(err) {
			return err
		}
	}
	if after, err := netfs.Fresh(ctx, r, "."); err != nil || after != before {
		return err
	}
	var gone []uint32
	for _, n := range kept {
		if !live[n] {
			gone = append(gone, n)
		}
	}
	return u.forget(ctx, gone)
}
