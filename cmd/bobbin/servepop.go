package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/pop"
)

// popFlags are the settings of POP3 alone.
func popFlags() []cli.Flag {
	var list []cli.Flag
	for _, name := range []string{"pop3-expire", "pop3-login-delay", "pop3-uidl", "pop3-lock", "pop3-send"} {
		list = append(list, settingOf(name).flag())
	}
	return list
}

// popOptions reads what the settings say of POP3.
func (a *app) popOptions(c *cli.Context, host string) (o pop.Options, err error) {
	o.Name, o.MaxSize = host, c.Int64("max-size")
	if days := c.String("pop3-expire"); days != "" && days != "never" {
		if o.Expire, err = strconv.Atoi(days); err != nil || o.Expire <= 0 {
			return o, fmt.Errorf("%w: pop3-expire %q: it is a number of days above 0, or never", errConfig, days)
		}
	}
	if delay := c.String("pop3-login-delay"); delay != "" {
		if o.LoginDelay, err = time.ParseDuration(delay); err != nil || o.LoginDelay < 0 || o.LoginDelay%time.Second != 0 {
			return o, fmt.Errorf("%w: pop3-login-delay %q: it is a time in whole seconds, such as 5m", errConfig, delay)
		}
	}
	if o.Lock, err = isOn(c, "pop3-lock"); err != nil {
		return o, err
	}
	if sends, err := isOn(c, "pop3-send"); err != nil {
		return o, err
	} else if sends {
		way, err := a.outgoing(c)
		if err != nil {
			return o, err
		}
		o.Post = func(_ context.Context, user string) (pop.Letter, error) { return post(way, host, user) }
	}
	if form := c.String("pop3-uidl"); form != "" {
		if o.UIDL, err = pop.ParseUIDL(form); err != nil {
			return o, fmt.Errorf("%w: pop3-uidl %w", errConfig, err)
		}
	}
	return o, nil
}

// popBackend shows the mail of a spool.
type popBackend struct{ pool *pool.Pool }

// Open opens a user's folder.
func (b *popBackend) Open(ctx context.Context, user, folder string) (*pool.Use, error) {
	return b.pool.Open(ctx, user, folder)
}

// Shared lists the shared folders.
func (b *popBackend) Shared(ctx context.Context, user string) ([]string, error) {
	return b.pool.Spool.SharedFolders(ctx, user)
}
