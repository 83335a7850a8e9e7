package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) upgradeCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"Would it change anything?", "bobbin upgrade --spool /mnt/mail/spool --dry-run"},
			{"Raise the level when all hosts have the new version.", "bobbin upgrade --spool /mnt/mail/spool"},
		},
		SeeAlso: []string{"bobbin-init(1)", "bobbin-check(1)"},
	}, &cli.Command{
		Name:  "upgrade",
		Usage: "raise the spool's feature level",
		Description: "A spool has a feature level: hosts write nothing that an earlier version could not read until the level is raised. " +
			"First install the new version on all hosts, then run this once, on any of them, while the others go on working. It cannot be taken back. " +
			"A host whose version is too old stops at the first thing it does not know, says which level it needs, and loses nothing. " +
			"A mail root outside the spool has a level of its own: with --location, that of --user is raised.\n\n" +
			fmt.Sprintf("This version knows levels up to %d.", spool.Level),
		Flags: []cli.Flag{
			spoolFlag(),
			userFlag(),
			&cli.IntFlag{Name: "to", Usage: "raise it to level `N`", DefaultText: "the highest that this version knows"},
			&cli.BoolFlag{Name: "dry-run", Usage: "only say what would be done"},
		},
		Action: a.upgrade,
	})
}

func (a *app) upgrade(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	to := spool.Level
	if c.IsSet("to") {
		to = c.Int("to")
	}
	if to < 1 || to > spool.Level {
		return usageErrorf("level %d: this version knows levels 1 to %d", to, spool.Level)
	}
	s, err := a.openSpool(c)
	if err != nil {
		return err
	}
	was, text := s.Level(), "The spool's feature level was %d and is %d now.\n"
	switch {
	case to < was:
		return usageErrorf("the spool's feature level is %d and cannot be lowered to %d", was, to)
	case to == was:
		_, err = fmt.Fprintf(a.out, "The spool's feature level is %d already.\n", was)
		return err
	case c.Bool("dry-run"):
		text = "The spool's feature level is %d and would become %d.\n"
	default:
		if err := s.Upgrade(c.Context, to); err != nil {
			return fmt.Errorf("upgrade: %w", err)
		}
	}
	_, err = fmt.Fprintf(a.out, text, was, to)
	return err
}
