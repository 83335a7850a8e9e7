package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/search"
	"github.com/bobbinmail/bobbin/spool"
)

// errNothingFound makes the exit code 1 without a word, as grep does.
var errNothingFound = errors.New("nothing found")

func (a *app) searchCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"Unread mail of the last week from Joe.", "bobbin search from:joe unread since:7d"},
			{"What speaks of an invoice, or has more than 5 MiB.", "bobbin search invoice or larger:5M"},
			{"How many messages wait for an answer?", "bobbin search --count flagged not answered"},
			{"Parentheses are for the shell too.", `bobbin search '(' to:ann or cc:ann ')' subject:'quarterly report'`},
		},
		SeeAlso: []string{"bobbin-list(1)", "bobbin-show(1)"},
	}, &cli.Command{
		Name:      "search",
		Usage:     "find messages",
		ArgsUsage: "CRITERION...",
		Description: "Prints the messages that meet all criteria, as 'bobbin list' does. A criterion is one of from:TEXT, to:TEXT, cc:TEXT, bcc:TEXT, subject:TEXT, " +
			"body:TEXT, text:TEXT (header or body), header:NAME or header:NAME=TEXT; since:DAY, before:DAY, on:DAY for the day of delivery, sentsince:DAY, sentbefore:DAY, " +
			"senton:DAY for the sender's date, where DAY is as 2026-01-31, today, yesterday or 7d (seven days ago); larger:SIZE, smaller:SIZE as in 20k or 3M; seen (or read), flagged, answered, draft, deleted, passed, " +
			"and each of them with un before it; keyword:NAME; uid:SET as in 3,7-9; all. Any other word without a colon is a text to be found anywhere. Between criteria may stand and, which may be " +
			"left out, or or; before one not; parentheses group. Texts are compared without regard to upper and lower case, decoded, in any script. " +
			"The exit code is 1 if nothing is found; there is no message then. Body and text open those messages that the other criteria leave.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "count", Usage: "print how many there are and nothing else"},
		},
		Action: a.search,
	})
}

func (a *app) search(c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	s, err := a.openSpool(c)
	if err != nil {
		return err
	}
	key, err := search.Parse(c.Args().Slice(), s.Host.Wall())
	if err != nil {
		return usageErrorf("%v", err)
	}
	user, err := a.userName(c)
	if err != nil {
		return err
	}
	b, err := s.Box(c.Context, user, c.String("folder"))
	if err != nil {
		return err
	}
	defer b.Close()
	return a.inMailbox(c, b, func(m *spool.Mailbox) error {
		found, problems, err := search.Find(c.Context, m, key)
		if err != nil {
			return err
		}
		for _, p := range problems {
			a.warn(p)
		}
		if c.Bool("count") {
			n := 0
			for _, msg := range m.Messages() {
				if found.Contains(msg.UID) {
					n++
				}
			}
			_, err = fmt.Fprintln(a.out, n)
		} else if len(found) > 0 || c.Bool("json") {
			err = a.printList(c, m, found)
		}
		switch {
		case err != nil:
			return err
		case len(problems) > 0:
			return fmt.Errorf("%d messages cannot be searched; 'bobbin check' says more", len(problems))
		case len(found) == 0:
			return errNothingFound
		}
		return nil
	})
}
