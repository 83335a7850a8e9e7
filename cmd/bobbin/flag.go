package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) flagCommand() *cli.Command {
	return a.with(notes{
		Exits:    []int{exitNoUser},
		DashArgs: isFlagChange,
		Examples: []example{
			{"Mark a message as read and give it a keyword.", "bobbin flag +seen,+kw:work 7"},
			{"Mark some as unread.", "bobbin flag -seen 3,10-12"},
		},
		SeeAlso: []string{"bobbin-list(1)", "bobbin-delete(1)"},
	}, &cli.Command{
		Name:      "flag",
		Usage:     "change flags and keywords",
		ArgsUsage: "CHANGES UIDS",
		Description: "CHANGES is a list such as +seen,-flagged,+kw:work. Flags are draft, flagged, passed, answered, seen and deleted; " +
			"a keyword of your own stands after kw:. UIDS is a list such as 3,7-9,12-*. " +
			"All messages change by one commit; then the file names show it to other programs.",
		Flags:  []cli.Flag{spoolFlag(), userFlag(), folderFlag(), jsonFlag()},
		Action: a.flag,
	})
}

// isFlagChange tells -seen from a flag of the command.
func isFlagChange(word string) bool {
	_, err := spool.ParseFlagChange(word)
	return err == nil && !strings.HasPrefix(word, "--")
}

func (a *app) flag(c *cli.Context) error {
	if err := wantArgs(c, 2, 2); err != nil {
		return err
	}
	change, err := spool.ParseFlagChange(c.Args().Get(0))
	if err != nil {
		return usageErrorf("%v", err)
	}
	set, err := uidSet(c.Args().Get(1))
	if err != nil {
		return err
	}
	return a.withMailbox(c, func(m *spool.Mailbox) error {
		set, err := existing(m, set)
		if err != nil {
			return err
		}
		changed, err := m.SetFlags(c.Context, set, change)
		if err != nil {
			return err
		}
		return a.report(c, "changed", changed)
	})
}

// existing resolves "*" and makes a request for nothing an error: somebody
// mistyped.
func existing(m *spool.Mailbox, set spool.UIDSet) (spool.UIDSet, error) {
	all := m.Messages()
	if len(all) > 0 {
		set = set.Resolve(all[len(all)-1].UID)
	}
	for _, msg := range all {
		if set.Contains(msg.UID) {
			return set, nil
		}
	}
	return nil, fmt.Errorf("UIDs %s: %w", set, spool.ErrNoMessage)
}

// report prints which messages a command worked on, if it was asked to.
func (a *app) report(c *cli.Context, did string, set spool.UIDSet) error {
	if !c.Bool("json") {
		return nil
	}
	return writeJSON(a.out, map[string]string{did: set.String()})
}
