package main

import (
	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) deleteCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"Mark two messages as deleted.", "bobbin delete 4,5"},
			{"Remove them for good.", "bobbin delete 4,5 --expunge"},
		},
		SeeAlso: []string{"bobbin-flag(1)"},
	}, &cli.Command{
		Name:      "delete",
		Usage:     "delete messages",
		ArgsUsage: "UIDS",
		Description: "Marks messages as deleted, which 'bobbin flag -deleted' undoes. With --expunge they are removed from the mailbox " +
			"for good; their files go to bobbin/x in the mailbox, where readers that have them open find them.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "expunge", Usage: "remove the messages for good"},
		},
		Action: a.delete,
	})
}

func (a *app) delete(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	set, err := uidSet(c.Args().First())
	if err != nil {
		return err
	}
	return a.withMailbox(c, func(m *spool.Mailbox) error {
		set, err := existing(m, set)
		if err != nil {
			return err
		}
		if c.Bool("expunge") {
			gone, err := m.Expunge(c.Context, set)
			if err != nil {
				return err
			}
			return a.report(c, "expunged", gone)
		}
		marked, err := m.SetFlags(c.Context, set, spool.FlagChange{Add: spool.Deleted})
		if err != nil {
			return err
		}
		return a.report(c, "deleted", marked)
	})
}
