package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// CheckAccounts is Check for the spool as a whole: its directories, the
// marker as far as the share contradicts it, and the accounts. A mail root
// has none of them.
func (s *Spool) CheckAccounts(ctx context.Context) ([]Finding, error) {
	if s.owner != "" {
		return nil, nil
	}
	found, err := s.lookTwice(ctx, func() ([]Finding, error) { return s.checkSpool(ctx) })
	if err != nil {
		err = fmt.Errorf("accounts: %w", err)
	}
	return found, err
}

func (s *Spool) checkSpool(ctx context.Context) ([]Finding, error) {
	c := &checker{}
	for _, dir := range []string{usersDir, trashDir} {
		i, err := s.Host.Share.Stat(ctx, dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.wrong("dir-missing", dir, "the directory is missing")
		case err != nil:
			return nil, err
		case !i.Mode.IsDir():
			c.wrong("dir-foreign", dir, "it is not a directory")
		}
	}
	// Who shares a mailbox with a group lets it through users/.
	for _, d := range []struct {
		dir       string
		forbidden fs.FileMode
	}{{accountsDir, 0o077}, {usersDir, 0o066}, {trashDir, 0o077}} {
		if err := c.private(ctx, s, d.dir, d.forbidden); err != nil {
			return nil, err
		}
	}
	if err := c.root(ctx, s); err != nil {
		return nil, err
	}
	a := &Accounts{spool: s, users: map[string]Credentials{}}
	faults, err := s.log(s.Host.Share, accountsDir, a.machine()).Verify(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		faults, err = []commitlog.Fault{{Name: accountsDir, Code: "accounts-missing", Err: errors.New("there is no log of the accounts")}}, nil
	}
	if err != nil {
		return nil, err
	}
	if c.faults(faults) {
		return c.sorted(), nil
	}
	err = c.users(ctx, s, a)
	return c.sorted(), err
}

// users compares the accounts with the mailbox directories.
func (c *checker) users(ctx context.Context, s *Spool, a *Accounts) error {
	for _, name := range a.Names() {
		if _, err := s.Host.Share.Stat(ctx, usersDir+"/"+name); errors.Is(err, fs.ErrNotExist) {
			c.wrong("mailbox-missing", usersDir+"/"+name, "the mailbox of an account is missing")
		} else if err != nil {
			return err
		}
	}
	names, err := s.Host.Share.ReadDir(ctx, usersDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, n := range names {
		clean, err := CleanUser(n)
		switch {
		case err != nil || clean != n:
			c.note("stray", usersDir+"/"+n, "no user's name; it is ignored")
		case !a.has(n):
			c.note("account-missing", usersDir+"/"+n, "a mailbox without an account; \"bobbin user add\" makes one")
		}
	}
	return nil
}

// root looks at the spool's own directory and at whether slots are made as the
// marker says.
func (c *checker) root(ctx context.Context, s *Spool) error {
	names, err := s.Host.Share.ReadDir(ctx, ".")
	if err != nil {
		return err
	}
	for _, n := range names {
		if temp := probe.Temporary(n) || strings.HasPrefix(n, ".marker.") || netfs.Temporary(n); temp {
			c.note("temporary", n, "what a broken \"bobbin init\" or \"bobbin probe\" left; it may be removed")
		}
	}
	slot := accountsDir + "/g.0/1"
	i, err := s.Host.Share.Stat(ctx, slot)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if is := wayOf(i.Mode); is != s.Marker.Slots {
		c.wrong("marker-slots", markerName, "it says that slots are made by %s, and %s was made by %s; restore this file", s.Marker.Slots, slot, is)
	}
	return nil
}

// wayOf tells how a slot of this kind was made.
func wayOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return netfs.ViaDir.String()
	case mode.IsRegular():
		return netfs.ViaLink.String()
	case mode&fs.ModeSymlink != 0:
		return netfs.ViaSymlink.String()
	}
	return "something else"
}
