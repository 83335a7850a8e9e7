package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

// openSpool opens the spool that the command is about: where --location is
// given, the user's mail root.
func (a *app) openSpool(c *cli.Context) (*spool.Spool, error) {
	if location := a.location(c); location != "" {
		user, err := a.userName(c)
		if err != nil {
			return nil, err
		}
		return a.openMailRoot(c.Context, location, user)
	}
	h, err := a.host(c)
	if errors.Is(err, errNoSpool) {
		return a.ownMaildir(c)
	}
	if err != nil {
		return nil, err
	}
	s, err := spool.Open(c.Context, h)
	if err != nil {
		return nil, fmt.Errorf("spool %s: %w", c.String("spool"), err)
	}
	return s, nil
}

// box finds the mailbox that --user and --folder name.
func (a *app) box(c *cli.Context) (*spool.Box, error) {
	s, err := a.openSpool(c)
	if err != nil {
		return nil, err
	}
	user, err := a.userName(c)
	if err != nil {
		return nil, err
	}
	return s.Box(c.Context, user, c.String("folder"))
}

// withMailbox runs f on the open mailbox and afterwards makes the file names
// show what f committed, so that other programs see it.
func (a *app) withMailbox(c *cli.Context, f func(m *spool.Mailbox) error) error {
	b, err := a.box(c)
	if err != nil {
		return err
	}
	defer b.Close()
	return a.inMailbox(c, b, f)
}

// withTwo is withMailbox with a second folder of the same user.
func (a *app) withTwo(c *cli.Context, folder string, f func(m, second *spool.Mailbox) error) error {
	s, err := a.openSpool(c)
	if err != nil {
		return err
	}
	user, err := a.userName(c)
	if err != nil {
		return err
	}
	b, err := s.Box(c.Context, user, c.String("folder"))
	if err != nil {
		return err
	}
	defer b.Close()
	b2, err := s.Box(c.Context, user, folder)
	if err != nil {
		return err
	}
	defer b2.Close()
	return a.inMailbox(c, b, func(m *spool.Mailbox) error {
		return a.inMailbox(c, b2, func(second *spool.Mailbox) error { return f(m, second) })
	})
}

// inMailbox is withMailbox for one that was found.
func (a *app) inMailbox(c *cli.Context, b *spool.Box, f func(m *spool.Mailbox) error) error {
	m, err := b.Open(c.Context)
	if err != nil {
		return err
	}
	if why := m.Limited(); why != nil {
		a.warn(fmt.Errorf("new mail cannot be listed: %w", why))
	}
	before := m.Resized()
	err = f(m)
	if perr := m.Project(c.Context); perr != nil {
		// What was committed stays committed; only the names are behind.
		a.warn(fmt.Errorf("file names do not show the change yet: %w", perr))
	}
	if m.Resized() != before {
		if cerr := a.count(c, b, m); cerr != nil {
			a.warn(fmt.Errorf("the quota does not know of the change yet: %w", cerr))
		}
	}
	m.Close(c.Context)
	return err
}

// warn prints a line on standard error that is no failure.
func (a *app) warn(err error) {
	fmt.Fprintf(a.env.Stderr, "bobbin: warning: %s\n", printable(err.Error()))
}

// uidSet reads the argument that names messages.
func uidSet(word string) (spool.UIDSet, error) {
	set, err := spool.ParseUIDSet(word)
	if err != nil {
		return nil, usageErrorf("%v", err)
	}
	return set, nil
}
