package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/pop"
	"github.com/bobbinmail/bobbin/spool"
)

// popFlags are the settings of POP3 alone.
func popFlags() []cli.Flag {
	return []cli.Flag{settingOf("pop3-expire").flag(), settingOf("pop3-login-delay").flag(), settingOf("pop3-uidl").flag(), settingOf("pop3-lock").flag()}
}

// popOptions reads what the settings say of POP3.
func popOptions(c *cli.Context) (o pop.Options, err error) {
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
	if form := c.String("pop3-uidl"); form != "" {
		if o.UIDL, err = pop.ParseUIDL(form); err != nil {
			return o, fmt.Errorf("%w: pop3-uidl %w", errConfig, err)
		}
	}
	return o, nil
}

// popBackend shows the mail of a spool.
type popBackend struct{ pool *pool.Pool }

// Inbox opens a user's INBOX.
func (b *popBackend) Inbox(ctx context.Context, user string) (*pool.Use, error) {
	return b.pool.Open(ctx, user, spool.Inbox)
}
