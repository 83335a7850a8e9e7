package main

import (
	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/login"
	"github.com/bobbinmail/bobbin/readers/sasl"
	"github.com/bobbinmail/bobbin/spool"
)

// logins lets users of a spool in, by whatever protocol.
func (a *app) logins(c *cli.Context, s *spool.Spool) (*login.Service, error) {
	plain, err := isOn(c, "plain-login")
	if err != nil {
		return nil, err
	}
	return &login.Service{SASL: sasl.Server{Accounts: login.NewSpool(s)}, Delays: new(login.Delays), Plain: plain}, nil
}
