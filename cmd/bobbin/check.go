package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) checkCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"Check the whole spool.", "bobbin check --spool /mnt/mail/spool"},
			{"Check one user's folders.", "bobbin check --user alice"},
		},
		SeeAlso: []string{"bobbin-log(1)"},
	}, &cli.Command{
		Name:  "check",
		Usage: "look for damage in the spool",
		Description: "Reads all slots and payloads of the accounts and of all folders of every user, the shared ones and each user's own log, or of what --user and --folder name, and " +
			"compares them with the message files. It changes nothing and may run while others work. " +
			"Damage ends it with exit code 1; what crashes left and nobody refers to is only mentioned.",
		Flags:  []cli.Flag{spoolFlag(), userFlag(), folderFlag(), jsonFlag()},
		Action: a.check,
	})
}

type checkLine struct {
	User  string `json:"user"`
	Wrong bool   `json:"wrong"`
	Where string `json:"where"`
	Text  string `json:"text"`
}

func (a *app) check(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	s, err := a.openSpool(c)
	if err != nil {
		return err
	}
	var users []string
	lines := []checkLine{}
	add := func(user string, found []spool.Finding) {
		for _, f := range found {
			lines = append(lines, checkLine{user, f.Wrong, f.Where, f.Text})
		}
	}
	if c.IsSet("user") {
		users = []string{c.String("user")}
	} else {
		found, err := s.CheckAccounts(c.Context)
		if err != nil && c.Context.Err() != nil {
			return err
		}
		if err != nil {
			found = append(found, spool.Finding{Wrong: true, Where: "accounts", Text: "they cannot be checked: " + err.Error()})
		}
		add("", found)
		if users, err = s.Users(c.Context); err != nil {
			return err
		}
	}
	checked := 0
	for _, u := range users {
		found, folders, err := checkBox(c, s, u)
		if errors.Is(err, spool.ErrNoFolder) && !c.IsSet("user") {
			continue // not everybody has it
		}
		checked += folders
		add(u, found)
		if err != nil && (c.IsSet("user") || c.Context.Err() != nil) {
			return err
		}
		if err != nil {
			add(u, []spool.Finding{{Wrong: true, Where: c.String("folder"), Text: "it cannot be checked: " + err.Error()}})
		}
	}
	if !c.IsSet("user") && !c.IsSet("folder") {
		found, folders, err := s.CheckPublic(c.Context)
		if err != nil {
			return err
		}
		checked += folders
		add("public", found)
	}
	return a.printFindings(c, lines, checked)
}

// checkBox checks the folder that --folder names, or all of a user's.
func checkBox(c *cli.Context, s *spool.Spool, user string) (found []spool.Finding, folders int, err error) {
	if !c.IsSet("folder") {
		return s.CheckUser(c.Context, user)
	}
	b, err := s.Box(c.Context, user, c.String("folder"))
	if err != nil {
		return nil, 0, err
	}
	found, err = b.Check(c.Context)
	return found, 1, errors.Join(err, b.Close())
}

func (a *app) printFindings(c *cli.Context, lines []checkLine, mailboxes int) error {
	wrong := 0
	for _, l := range lines {
		kind := "note"
		if l.Wrong {
			wrong++
			kind = "WRONG"
		}
		if c.Bool("json") {
			continue
		}
		where := l.Where
		if l.User != "" {
			where = l.User + "/" + where
		}
		if _, err := fmt.Fprintf(a.out, "%s: %s: %s\n", kind, printable(where), printable(l.Text)); err != nil {
			return err
		}
	}
	var err error
	if c.Bool("json") {
		err = writeJSON(a.out, lines)
	} else if wrong == 0 {
		_, err = fmt.Fprintf(a.out, "Nothing wrong. Mailboxes checked: %d.\n", mailboxes)
	}
	if err == nil && wrong > 0 {
		err = fmt.Errorf("check found %d things wrong", wrong)
	}
	return err
}
