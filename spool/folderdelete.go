package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/bobbinmail/bobbin/netfs"
)

// deletedMark says, to those who deliver and read no log, that the folder is
// going to the trash. It is put there after the record and holds its token.
const deletedMark = logDir + "/deleted"

var errDeleted = fmt.Errorf("the folder was deleted: %w", ErrNoFolder)

// uidValidity is what a mailbox that is being made gets.
func (h home) uidValidity(ctx context.Context) (uint32, error) {
	if h.spool.Level() < 2 {
		return uint32(max(1, h.spool.Host.Wall().Unix())), nil
	}
	u, err := h.state(ctx)
	if err != nil {
		return 0, err
	}
	n, err := u.allocate(ctx)
	return n, errors.Join(err, u.Close(ctx))
}

// DeleteFolder deletes a folder and the messages in it. Folders below it in
// the hierarchy stay. The mailbox goes to bobbin-trash/ in the mail root and is
// removed a week later. Mail that comes in meanwhile, and whatever else the
// mailbox's log does not know, goes to INBOX (for a shared folder, to
// public/INBOX). Hosts that have the folder open get [ErrNoFolder] from their
// next Refresh or change.
//
// After an error nothing was deleted, unless it matches [netfs.ErrUncertain];
// then the deletion may stand and is completed by whoever comes next. The error
// wraps [ErrNoFolder], [ErrBadName] (INBOX) or [ErrNoUser].
func (s *Spool) DeleteFolder(ctx context.Context, user, name string) error {
	if err := s.needs("to delete a folder", 2); err != nil {
		return err
	}
	b, err := s.Box(ctx, user, name)
	if err != nil {
		return err
	}
	defer b.Close()
	if b.leaf == "." {
		return badFolder(name, "INBOX stays; delete the messages in it")
	}
	m, err := b.Open(ctx)
	if err != nil {
		return err
	}
	u, err := b.home.state(ctx)
	if err != nil {
		return err
	}
	err = u.buried(ctx, b.Folder, m.UIDValidity())
	if err = errors.Join(err, u.Close(ctx)); err != nil {
		return err
	}
	r, err := b.home.root(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	token, err := s.Host.Token()
	if err != nil {
		return err
	}
	nest := path.Join(folderTrash, token)
	err = netfs.MkdirAll(ctx, s.Host, r, nest)
	if err == nil {
		err = netfs.WriteFile(ctx, r, path.Join(nest, epitaph), []byte(b.Folder+"\n"))
	}
	if err != nil {
		return err
	}
	err = m.commit(ctx, func(s *state) []string {
		if s.deleted != "" {
			return nil
		}
		return []string{deletedOp(token)}
	})
	if err != nil {
		return err
	}
	if err := m.bury(ctx, r); err != nil {
		return fmt.Errorf("folder %s is deleted, and not yet away: %w: %v", b.Folder, netfs.ErrUncertain, err)
	}
	_ = r.sweepTrash(ctx) // who comes next does it
	return nil
}

// ended returns ErrNoFolder if the folder was deleted, after it has done what
// the one who deleted it may have left undone.
func (m *Mailbox) ended(ctx context.Context) error {
	m.mu.RLock()
	deleted := m.state.deleted != ""
	m.mu.RUnlock()
	if !deleted {
		return nil
	}
	r, err := m.box.home.root(ctx)
	if err == nil {
		err = errors.Join(m.bury(ctx, r), r.Close())
	}
	if err != nil {
		return fmt.Errorf("%w (and cannot be moved away yet: %v)", errDeleted, err)
	}
	return errDeleted
}

// bury does what follows a deleted record: the mark for those who deliver, the
// rename to the trash, and mail that the log does not know to INBOX. Each may
// have been done before, by any host.
func (m *Mailbox) bury(ctx context.Context, r root) error {
	b := m.box
	m.mu.RLock()
	token := m.state.deleted
	m.mu.RUnlock()
	// The mark first: who delivers after the list was made finds it.
	text, err := b.spool.way.Put(ctx, b.spool.Host, b.fs, deletedMark, token)
	if err != nil && !(errors.Is(err, fs.ErrExist) && text == token) && !missing(err) {
		return err
	}
	id, err := b.identity(ctx)
	if missing(err) {
		return nil // removed from the trash
	}
	if err != nil {
		return err
	}
	if err := r.lay(ctx, b.leaf, path.Join(folderTrash, token), id); err != nil {
		return err
	}
	return m.rescue(ctx, r, path.Join(folderTrash, token, grave))
}

// lay moves the mailbox id to the trash, unless it is there or on its way.
func (r root) lay(ctx context.Context, leaf, nest, id string) error {
	to := path.Join(nest, grave)
	var err error
	for range 2 {
		// Under the name there may be a new folder by now.
		here, herr := r.identityOf(ctx, leaf)
		if here != id || herr != nil {
			return herr
		}
		if err = r.give(ctx, leaf, to, id); !missing(err) {
			break
		}
		// An empty directory in the trash is litter, and was removed.
		if merr := netfs.MkdirAll(ctx, r.spool.Host, r, nest); merr != nil {
			return merr
		}
	}
	if err != nil && !errors.Is(err, ErrNoFolder) && !errors.Is(err, ErrExists) {
		return err
	}
	there, err := r.identityOf(ctx, to)
	if err != nil || there == id || there == "" {
		return err
	}
	// The mailbox was renamed, and another one got its name, just then.
	return r.give(ctx, to, leaf, there)
}

// rescue moves message files of a deleted folder that the log does not know to
// INBOX. The log has ended, so none of them will ever be a message there.
func (m *Mailbox) rescue(ctx context.Context, r root, dir string) error {
	for _, d := range maildirs[1:] {
		names, err := listAnew(ctx, r, path.Join(dir, d))
		if err != nil && !missing(err) {
			return err
		}
		for _, n := range names {
			if err := m.rescueFile(ctx, r, path.Join(dir, d), n); err != nil {
				return err
			}
		}
	}
	return nil
}

// listAnew lists a directory to which nothing more comes.
//
// Problem: a client may believe a listing that was made too early (NFSv3, H35;
// FUSE, H49), by whatever process, and waiting does not help. What we do: make
// a change of our own first, for which the client throws it away.
func listAnew(ctx context.Context, r root, dir string) ([]string, error) {
	if !r.spool.Host.Profile.NamesFollow {
		token, err := r.spool.Host.Token()
		if err != nil {
			return nil, err
		}
		temp := path.Join(dir, ".t."+token)
		if err := netfs.WriteFile(ctx, r, temp, nil); err != nil {
			return nil, err
		}
		if err := netfs.Unlink(ctx, r.spool.Host, r, temp); err != nil {
			return nil, err
		}
	}
	return r.ReadDir(ctx, dir)
}

// rescueFile moves a file to INBOX unless the log knows it.
func (m *Mailbox) rescueFile(ctx context.Context, r root, dir, name string) error {
	base, _, ok := splitName(name)
	if !ok {
		return nil
	}
	m.mu.RLock()
	taken := m.state.taken(base)
	m.mu.RUnlock()
	if taken {
		return nil
	}
	i, err := r.Stat(ctx, path.Join(dir, name))
	if missing(err) || err == nil && !i.Mode.IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	to := path.Join(path.Base(dir), name)
	move := func() error { return netfs.Move(ctx, r.spool.Host, r, path.Join(dir, name), to) }
	err = move()
	if missing(err) && !errors.Is(err, netfs.ErrUncertain) {
		inbox := r.at(r.FS, ".", Inbox)
		if err = inbox.prepare(ctx, maildirs); err == nil {
			err = move()
		}
	}
	if errors.Is(err, netfs.ErrVanished) {
		return nil // another host moved it, and a reader of INBOX moved it on
	}
	return err
}

// stays makes sure that a message which was just published is in a folder, and
// not on its way to the trash: whoever deletes a folder puts the mark there
// before he looks for the last mail. INBOX is never deleted. If the folder is
// going, the message is taken back, unless it has been moved to INBOX already.
func (in *Incoming) stays(ctx context.Context, name string) error {
	b := in.box
	if b.leaf == "." || b.spool.Level() < 2 {
		return nil
	}
	marked, err := netfs.There(ctx, b.spool.Host, b.fs, deletedMark)
	if missing(err) || err == nil && !marked {
		return nil
	}
	if err == nil {
		var token string
		if token, err = b.spool.Host.Token(); err == nil {
			err = netfs.Move(ctx, b.spool.Host, b.fs, "new/"+name, "tmp/"+token)
		}
		switch {
		case err == nil:
			_ = b.fs.Remove(context.WithoutCancel(ctx), "tmp/"+token)
			return b.wrap(errDeleted)
		case errors.Is(err, netfs.ErrVanished):
			return nil
		}
	}
	return fmt.Errorf("deliver %s: %w: the folder may have been deleted: %v", name, netfs.ErrUncertain, err)
}
