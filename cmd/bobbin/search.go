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
			&cli.BoolFlag{Name: "all-folders", Usage: "search all folders of the user, and the shared ones"},
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
	folders := []string{c.String("folder")}
	if c.Bool("all-folders") {
		if c.IsSet("folder") {
			return usageErrorf("give either --folder or --all-folders")
		}
		if folders, err = presentFolders(c, s, user); err != nil {
			return err
		}
	}
	r := searching{lister: lister{app: a, c: c}, key: key}
	for _, name := range folders {
		b, err := s.Box(c.Context, user, name)
		if err == nil {
			if c.Bool("all-folders") {
				r.folder = name
			}
			err = errors.Join(a.inMailbox(c, b, r.run), b.Close())
		}
		if err != nil {
			return err
		}
	}
	return r.end()
}

// presentFolders lists the folders that are there.
func presentFolders(c *cli.Context, s *spool.Spool, user string) (names []string, err error) {
	list, err := s.Folders(c.Context, user)
	for _, f := range list {
		if !f.Missing {
			names = append(names, f.Name)
		}
	}
	return names, err
}

// searching is a search through one folder or several.
type searching struct {
	lister
	key      search.Key
	count    int
	problems int
}

// run searches one folder and prints what it finds.
func (r *searching) run(m *spool.Mailbox) error {
	found, problems, err := search.Find(r.c.Context, m, r.key)
	if err != nil {
		return err
	}
	for _, p := range problems {
		r.warn(p)
	}
	r.problems += len(problems)
	for _, msg := range m.Messages() {
		if found.Contains(msg.UID) {
			r.count++
		}
	}
	if r.c.Bool("count") || len(found) == 0 {
		return nil
	}
	return r.add(m, found)
}

func (r *searching) end() (err error) {
	if r.c.Bool("count") {
		_, err = fmt.Fprintln(r.out, r.count)
	} else {
		err = r.lister.end()
	}
	switch {
	case err != nil:
		return err
	case r.problems > 0:
		return fmt.Errorf("%d messages cannot be searched; 'bobbin check' says more", r.problems)
	case r.count == 0:
		return errNothingFound
	}
	return nil
}
