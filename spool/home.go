package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// home is where a user's folders are: his mail root, which is the Maildir of
// INBOX.
type home struct {
	spool *Spool
	dir   string // its name on the share
	user  string

	public bool // it is that of the shared folders, for all users
}

// home tells where a user's mail is. It asks nothing of the server. The error
// wraps [ErrBadName].
func (s *Spool) home(user string) (home, error) {
	user, err := CleanUser(user)
	switch {
	case err != nil:
		return home{}, err
	case s.owner == user:
		return home{spool: s, dir: ".", user: user}, nil
	case s.owner != "":
		return home{}, fmt.Errorf("user %s: %w here: this is the mail root of %s", user, ErrNoUser, s.owner)
	}
	return home{spool: s, dir: path.Join(usersDir, user), user: user}, nil
}

// open opens the mail root. The error wraps [ErrNoUser].
func (h home) open(ctx context.Context) (netfs.FS, error) {
	f, err := h.spool.sub(ctx, h.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, h.whyNot(ctx, Inbox)
	}
	return f, err
}

// box finds a folder. The error wraps [ErrNoUser], [ErrNoFolder] or
// [ErrBadName], or fs.ErrPermission for one that has the sticky bit.
func (h home) box(ctx context.Context, folder string) (*Box, error) {
	leaf, err := h.spool.coder().dir(folder)
	if err != nil {
		return nil, err
	}
	f, err := h.spool.sub(ctx, path.Join(h.dir, leaf))
	if errors.Is(err, fs.ErrNotExist) && leaf != "." {
		if leaf, err = h.alias(ctx, folder); err == nil {
			f, err = h.spool.sub(ctx, path.Join(h.dir, leaf))
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, h.whyNot(ctx, folder)
	}
	if err != nil {
		return nil, err
	}
	if i, ok := netfs.RootInfo(f); ok && i.Mode&fs.ModeSticky != 0 {
		return nil, errors.Join(fmt.Errorf("folder %s of user %s: %w: %s has the sticky bit, with which nobody can move another's file; use chmod -t",
			folder, h.user, fs.ErrPermission, path.Join(h.dir, leaf)), f.Close())
	}
	return h.at(f, leaf, folder), nil
}

// at makes a Box of an open directory below the mail root.
func (h home) at(f netfs.FS, leaf, folder string) *Box {
	return &Box{spool: h.spool, fs: f, home: h, leaf: leaf, dir: path.Join(h.dir, leaf), User: h.user, Folder: h.full(folder)}
}

// whyNot says why a mailbox directory is missing. That there is no such user
// makes an MTA give mail back, so it takes more than a missing name: the
// accounts, read to their end, must not know him.
func (h home) whyNot(ctx context.Context, folder string) error {
	s := h.spool
	_, err := s.Host.Share.Stat(ctx, h.dir)
	if err == nil || h.public && errors.Is(err, fs.ErrNotExist) {
		return h.noFolder(folder)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := netfs.Fresh(ctx, s.Host.Share, usersDir); err != nil {
		return fmt.Errorf("user %s: %w", h.user, err)
	}
	a, err := s.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("user %s: %w", h.user, err)
	}
	if a.has(h.user) {
		return fmt.Errorf("user %s: the mailbox %s is missing: %w", h.user, h.dir, fs.ErrNotExist)
	}
	return fmt.Errorf("user %s: %w", h.user, ErrNoUser)
}

// Sibling finds another folder of the mailbox's user, and no shared one. With
// fold and without a folder of exactly that name it is the one whose name differs
// in nothing but case, if there is only one. The error wraps [ErrNoFolder] or
// [ErrBadName].
func (b *Box) Sibling(ctx context.Context, folder string, fold bool) (*Box, error) {
	h := b.home
	if _, public := splitPublic(folder); public || h.public {
		return nil, h.noFolder(folder)
	}
	found, err := h.box(ctx, folder)
	if !fold || !errors.Is(err, ErrNoFolder) {
		return found, err
	}
	names, lerr := h.list(ctx)
	if lerr != nil {
		return nil, lerr
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.EqualFold(n, folder) })
	if len(names) != 1 {
		return nil, err
	}
	return h.box(ctx, names[0])
}
