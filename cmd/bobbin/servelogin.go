package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/login"
	"github.com/bobbinmail/bobbin/readers/sasl"
	"github.com/bobbinmail/bobbin/spool"
)

// loginFlags are the settings of logins by whatever protocol.
func loginFlags() (list []cli.Flag) {
	for _, name := range []string{"plain-login", "auth-mechanisms", "token-command", "accounts", "master-users"} {
		list = append(list, settingOf(name).flag())
	}
	return list
}

// logins lets users of a spool in, on a host of that name.
func (a *app) logins(c *cli.Context, s *spool.Spool, host string, log *slog.Logger) (*login.Service, error) {
	plain, err := isOn(c, "plain-login")
	if err != nil {
		return nil, err
	}
	l := &login.Service{Delays: new(login.Delays), Plain: plain}
	l.SASL.Name = host
	if err := accountSource(c.Context, &l.SASL, c.String("accounts"), s, log); err != nil {
		return nil, err
	}
	if command := c.String("token-command"); command != "" {
		if l.SASL.Tokens, err = newTokenCommand(command); err != nil {
			return nil, err
		}
	}
	if masters := strings.Fields(c.String("master-users")); len(masters) > 0 {
		addMasters(&l.SASL, masters, log)
	}
	if c.String("auth-mechanisms") == "" {
		return l, nil
	}
	l.SASL.Enabled = strings.Fields(c.String("auth-mechanisms"))
	for _, name := range l.SASL.Enabled {
		if !sasl.Known(name) {
			return nil, fmt.Errorf("%w: auth-mechanisms: there is no %q", errConfig, name)
		}
	}
	return l, nil
}

// accountSource says where the accounts are: in the spool, in a file, or where
// a command looks.
func accountSource(ctx context.Context, l *sasl.Server, source string, s *spool.Spool, log *slog.Logger) error {
	own := login.NewSpool(s)
	kind, what, _ := strings.Cut(source, ":")
	switch {
	case source == "" || source == "spool":
		l.Accounts, l.Keys, l.Users = own, own, own
		return nil
	case kind == "passwd-file" && what != "":
		f := &passwdFile{name: what, log: log}
		if _, err := f.read(ctx); err != nil {
			return fmt.Errorf("%w: accounts: %w", errConfig, err)
		}
		p := login.NewPasswd(f.read, s.Marker.Share)
		l.Accounts, l.Keys, l.Users = p, p, p
		return nil
	case kind == "checkpassword" && strings.TrimSpace(what) != "":
		l.Accounts, l.Users = newCheckpassword(what), own
		return nil
	}
	return fmt.Errorf("%w: accounts %q: it is spool, passwd-file:FILE or checkpassword:COMMAND", errConfig, source)
}

// masterSeparator stands between a user's name and a master's.
const masterSeparator = "*"

func addMasters(l *sasl.Server, names []string, log *slog.Logger) {
	m := &login.Masters{Authenticator: l.Accounts, KeyStore: l.Keys, Directory: l.Users, Names: names, Separator: masterSeparator, Log: log}
	l.Accounts, l.Authorize = m, m.Authorize
	if l.Keys != nil {
		l.Keys = m
	}
}
