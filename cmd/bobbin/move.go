package main

import (
	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) moveCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"Move two messages to the folder Archive.", "bobbin move 3,7 Archive"},
			{"Move them back.", "bobbin move --folder Archive 1-2 INBOX"},
		},
		SeeAlso: []string{"bobbin-copy(1)", "bobbin-save(1)"},
	}, &cli.Command{
		Name:      "move",
		Usage:     "move messages to another folder",
		ArgsUsage: "UIDS FOLDER",
		Description: "Copies all messages to a FOLDER of the same user as 'bobbin copy' does, then removes them from where they are. If it is " +
			"interrupted in between, they are in both; the same command again then removes them and makes no second copy.",
		Flags: []cli.Flag{spoolFlag(), userFlag(), folderFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			return a.transfer(c, "moved", (*spool.Mailbox).Move)
		},
	})
}
