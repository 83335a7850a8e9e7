package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers/search"
	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) expireCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"What would go from the trash?", "bobbin expire --folder Trash --dry-run before:30d"},
			{"Each night, for all users: old spam, and old news that nobody flagged.",
				"bobbin expire --all-users --folder Junk before:14d && bobbin expire --all-users --folder News before:90d unflagged"},
			{"Everything that is old, seen and large, in all folders.", "bobbin expire --all-folders before:365d seen larger:10M"},
		},
		SeeAlso: []string{"bobbin-search(1)", "bobbin-delete(1)"},
	}, &cli.Command{
		Name:      "expire",
		Usage:     "remove old messages",
		ArgsUsage: "CRITERION...",
		Description: "Removes the messages that meet all criteria for good, as 'bobbin delete --expunge' does. Criteria are those of bobbin-search(1): before:30d is mail that was delivered more " +
			"than thirty days ago, wherever it was moved since; seen, unflagged, larger:5M and all others can be added. What it did is printed with a line for each folder; " +
			"with --dry-run it prints what it would do, and does nothing. A message that cannot be searched stays, and the exit code is 1.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "all-folders", Usage: "in all folders of the user; not in the shared ones"},
			&cli.BoolFlag{Name: "all-users", Usage: "for all users of the spool; who does not have the folder is passed over"},
			&cli.BoolFlag{Name: "dry-run", Usage: "print what would be removed"},
		},
		Action: a.expire,
	})
}

func (a *app) expire(c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	switch {
	case c.Bool("all-folders") && c.IsSet("folder"):
		return usageErrorf("give either --folder or --all-folders")
	case c.Bool("all-users") && a.location(c) != "":
		return usageErrorf("--all-users is for the users of a spool; with --location nobody knows them all")
	case c.Bool("all-users") && a.inv.from("user") == "--user":
		return usageErrorf("give either --user or --all-users")
	}
	s, err := a.openSpool(c)
	if err != nil {
		return err
	}
	key, err := search.Parse(c.Args().Slice(), s.Host.Wall())
	if err != nil {
		return usageErrorf("%v", err)
	}
	users, err := a.usersToExpire(c, s)
	if err != nil {
		return err
	}
	e := expiry{app: a, c: c, spool: s, key: key}
	var failed error
	for _, user := range users {
		if err := e.user(user); err != nil {
			if failed != nil {
				a.warn(err)
			}
			failed = cmp.Or(failed, err)
		}
	}
	if failed == nil && e.problems > 0 {
		failed = fmt.Errorf("%d messages cannot be searched; 'bobbin check' says more", e.problems)
	}
	return failed
}

func (a *app) usersToExpire(c *cli.Context, s *spool.Spool) ([]string, error) {
	if c.Bool("all-users") {
		return s.Users(c.Context)
	}
	user, err := a.userName(c)
	return []string{user}, err
}

// expiry removes messages from one folder after the other.
type expiry struct {
	*app
	c        *cli.Context
	spool    *spool.Spool
	key      search.Key
	problems int
}

// expired is what "expire --json" prints for a folder.
type expired struct {
	User    string `json:"user"`
	Folder  string `json:"folder"`
	Expired string `json:"expired"`
	Count   int    `json:"count"`
	DryRun  bool   `json:"dry_run"`
}

func (e *expiry) user(user string) error {
	folders := []string{e.c.String("folder")}
	if e.c.Bool("all-folders") {
		present, err := presentFolders(e.c, e.spool, user)
		if err != nil {
			return err
		}
		folders = nil
		for _, name := range present {
			if !spool.IsPublic(name) {
				folders = append(folders, name)
			}
		}
	}
	for _, name := range folders {
		b, err := e.spool.Box(e.c.Context, user, name)
		if errors.Is(err, spool.ErrNoFolder) && e.c.Bool("all-users") {
			continue
		}
		if err == nil {
			run := func(m *spool.Mailbox) error {
				return e.run(m, expired{User: b.User, Folder: name, DryRun: e.c.Bool("dry-run")})
			}
			err = errors.Join(e.inMailbox(e.c, b, run), b.Close())
		}
		if err != nil {
			return fmt.Errorf("user %s, folder %s: %w", user, name, err)
		}
	}
	return nil
}

func (e *expiry) run(m *spool.Mailbox, line expired) error {
	found, problems, err := search.Find(e.c.Context, m, e.key)
	if err != nil {
		return err
	}
	for _, p := range problems {
		e.warn(p)
	}
	e.problems += len(problems)
	for _, msg := range m.Messages() {
		if found.Contains(msg.UID) {
			line.Count++
		}
	}
	if line.Count == 0 {
		return nil
	}
	did := "expired"
	if line.DryRun {
		did = "would expire"
	} else if found, err = m.Expunge(e.c.Context, found); err != nil {
		return err
	}
	line.Expired = found.String()
	if e.c.Bool("json") {
		return writeJSON(e.out, line)
	}
	_, err = fmt.Fprintf(e.out, "%s %s: %s %d: %s\n", printable(line.User), printable(line.Folder), did, line.Count, line.Expired)
	return err
}
