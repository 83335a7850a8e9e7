package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) copyCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"Copy a message to the folder Archive.", "bobbin copy 7 Archive"},
			{"Copy all of one folder to another.", "bobbin copy --folder Archive 1-* Old"},
		},
		SeeAlso: []string{"bobbin-move(1)", "bobbin-save(1)"},
	}, &cli.Command{
		Name:      "copy",
		Usage:     "copy messages to another folder",
		ArgsUsage: "UIDS FOLDER",
		Description: "Copies all messages to a FOLDER of the same user, or none, with their flags, keywords and dates. The copies get UIDs of their own: " +
			"with --json each old one is printed with the new one. UIDS is a list such as 3,7-9,12-*.",
		Flags: []cli.Flag{spoolFlag(), userFlag(), folderFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			return a.transfer(c, "copied", (*spool.Mailbox).Copy)
		},
	})
}

// copiedLine is a message that was copied or moved, as --json prints it.
type copiedLine struct {
	UID uint32 `json:"uid"`
	To  uint32 `json:"to"`
}

// transfer copies or moves messages to the folder that is the last argument.
func (a *app) transfer(c *cli.Context, did string, act func(*spool.Mailbox, context.Context, spool.UIDSet, *spool.Mailbox) ([]spool.Copied, error)) error {
	if err := wantArgs(c, 2, 2); err != nil {
		return err
	}
	set, err := uidSet(c.Args().Get(0))
	if err != nil {
		return err
	}
	return a.withTwo(c, c.Args().Get(1), func(m, target *spool.Mailbox) error {
		set, err := existing(m, set)
		if err != nil {
			return err
		}
		comes := amount(m, set)
		if did == "moved" {
			comes.Folder = m.Box().Folder
		}
		if err := a.admits(c, target.Box(), comes); err != nil {
			return err
		}
		done, err := act(m, c.Context, set, target)
		if err != nil || !c.Bool("json") {
			return err
		}
		lines := make([]copiedLine, len(done))
		for i, d := range done {
			lines[i] = copiedLine{d.Source, d.Target}
		}
		return writeJSON(a.out, map[string]any{did: lines, "uidvalidity": target.UIDValidity()})
	})
}
