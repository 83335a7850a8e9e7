package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// location returns the template that says where mail roots are, "" when they
// are in the spool.
func (a *app) location(c *cli.Context) string {
	if findFlag(c.Command.Flags, "location") == nil {
		return ""
	}
	return c.String("location")
}

// openMailRoot opens the mail root that a template gives a user. A directory
// that is missing may be one that is not mounted.
func (a *app) openMailRoot(ctx context.Context, location, user string) (*spool.Spool, error) {
	var owner account
	clean, err := spool.CleanUser(user)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(location, homeTemplate) {
		if owner, err = a.env.Account(ctx, clean); err != nil {
			return nil, err
		}
		if !filepath.IsAbs(owner.home) {
			return nil, exitWith(exitTempFail, fmt.Errorf("user %s: %q is no home directory", clean, owner.home))
		}
	}
	m, err := expand(location, clean, owner.home)
	if err != nil {
		return nil, err
	}
	s, err := a.openRoot(ctx, m, owner)
	if errors.Is(err, fs.ErrNotExist) {
		err = exitWith(exitTempFail, err)
	}
	return s, err
}

func (a *app) openRoot(ctx context.Context, m mailRoot, owner account) (*spool.Spool, error) {
	wrong := func(err error) (*spool.Spool, error) {
		return nil, fmt.Errorf("mail of %s, %s: %w", m.user, filepath.Join(m.Base, m.Dir), err)
	}
	h, err := a.env.MailRoot(ctx, m, owner)
	if err != nil {
		return wrong(err)
	}
	s, err := spool.OpenMailRoot(ctx, h, m.user)
	if err != nil {
		return wrong(err)
	}
	return s, nil
}

// ownMaildir opens ~/Maildir when nobody said where the mail is and the command
// is about the login user's. The error wraps [errNoSpool] when there is none.
func (a *app) ownMaildir(c *cli.Context) (*spool.Spool, error) {
	home := a.env.Getenv("HOME")
	login, err := a.env.Login()
	if err != nil || !filepath.IsAbs(home) || findFlag(c.Command.Flags, "user") == nil {
		return nil, errNoSpool
	}
	user, err := a.userName(c)
	if err != nil {
		return nil, err
	}
	user, err1 := spool.CleanUser(user)
	login, err2 := spool.CleanUser(login)
	if err1 != nil || err2 != nil || user != login {
		return nil, errNoSpool
	}
	m := mailRoot{user: user, Below: netfs.Below{Base: home, Dir: "Maildir"}}
	s, err := a.openRoot(c.Context, m, account{home: home})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoSpool
	}
	return s, err
}

// mailRoots finds mailboxes of several users by a template. It is used by one
// goroutine.
type mailRoots struct {
	app      *app
	location string
	open     map[string]*spool.Spool
}

func newMailRoots(a *app, location string) *mailRoots {
	return &mailRoots{app: a, location: location, open: map[string]*spool.Spool{}}
}

// close ends the use of all mail roots.
func (r *mailRoots) close() {
	for _, s := range r.open {
		_ = s.Host.Share.Close()
	}
}

// Box finds a user's folder, as [spool.Spool.Box] does.
func (r *mailRoots) Box(ctx context.Context, user, folder string) (*spool.Box, error) {
	s := r.open[user]
	if s == nil {
		var err error
		if s, err = r.app.openMailRoot(ctx, r.location, user); err != nil {
			return nil, err
		}
		r.open[user] = s
	}
	return s.Box(ctx, user, folder)
}
