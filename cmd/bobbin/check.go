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
			{"Read the messages of one folder, too.", "bobbin check --user alice --folder INBOX --content"},
		},
		SeeAlso: []string{"bobbin-repair(1)", "bobbin-log(1)"},
	}, &cli.Command{
		Name:  "check",
		Usage: "look for damage in the spool",
		Description: "Reads all that the spool holds beside the messages, of the accounts, of all folders of every user, the shared ones and each user's own log, or of what --user and --folder name: " +
			"slots, payloads, bases, and the names and sizes of the message files, which are compared with the log. " +
			"It changes nothing and may run while others work: what is wrong was seen twice. " +
			"Damage ends it with exit code 1; what crashes left and what is still under way is only mentioned. " +
			"docs/operations.md explains the codes in brackets.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "content", Usage: "read every message of the folder that --folder names, too"},
		},
		Action: a.check,
	})
}

// checkLine is a finding as --json prints it.
type checkLine struct {
	User   string `json:"user"`
	Code   string `json:"code"`
	Wrong  bool   `json:"wrong"`
	Where  string `json:"where"`
	Text   string `json:"text"`
	Repair string `json:"repair,omitempty"`
	Error  string `json:"error,omitempty"`
}

func newLine(user string, f spool.Finding) checkLine {
	return checkLine{User: user, Code: f.Code, Wrong: f.Wrong, Where: f.Where, Text: f.Text, Repair: f.Repair}
}

// String is the line for people: the place as one finds it in a listing, the
// code in brackets, and what about it.
func (l checkLine) String() string {
	where := l.Where
	if l.User != "" {
		where = l.User + "/" + where
	}
	return fmt.Sprintf("%s: [%s] %s", printable(where), printable(l.Code), printable(l.Text))
}

func (a *app) check(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	if c.Bool("content") && !c.IsSet("folder") {
		return usageErrorf("flag --content: name a folder with --folder")
	}
	s, err := a.openSpool(c)
	if err != nil {
		return err
	}
	lines, mailboxes, err := a.findings(c, s, c.Bool("content"))
	if err != nil {
		return err
	}
	return a.printFindings(c, lines, mailboxes)
}

// findings checks what the flags name.
func (a *app) findings(c *cli.Context, s *spool.Spool, content bool) (lines []checkLine, mailboxes int, err error) {
	lines = []checkLine{}
	if !c.IsSet("user") {
		found, err := s.CheckAccounts(c.Context)
		if err != nil && c.Context.Err() != nil {
			return nil, 0, err
		}
		if err != nil {
			found = append(found, spool.Finding{Code: "unreadable", Wrong: true, Where: "accounts", Text: "they cannot be checked: " + err.Error()})
		}
		for _, f := range found {
			lines = append(lines, newLine("", f))
		}
	}
	add := func(user string, found []spool.Finding, folders int, err error) error {
		mailboxes += folders
		for _, f := range found {
			lines = append(lines, newLine(user, f))
		}
		if err != nil && !c.IsSet("user") && c.Context.Err() == nil {
			lines = append(lines, newLine(user, spool.Finding{Code: "unreadable", Wrong: true, Where: ".", Text: "it cannot be checked: " + err.Error()}))
			err = nil
		}
		return err
	}
	err = eachUser(c, s, func(user string) error {
		if !c.IsSet("folder") {
			found, folders, err := s.CheckUser(c.Context, user)
			return add(user, found, folders, err)
		}
		b, err := s.Box(c.Context, user, c.String("folder"))
		if err != nil {
			return err
		}
		check := b.Check
		if content {
			check = b.CheckContent
		}
		found, err := check(c.Context)
		return add(user, found, 1, errors.Join(err, b.Close()))
	})
	if err == nil && !c.IsSet("user") && !c.IsSet("folder") {
		found, folders, perr := s.CheckPublic(c.Context)
		err = add("public", found, folders, perr)
	}
	return lines, mailboxes, err
}

// eachUser calls f for the user that --user names, or for all of them; then
// one who has no folder of the name that --folder gives is passed over.
func eachUser(c *cli.Context, s *spool.Spool, f func(user string) error) error {
	if c.IsSet("user") {
		return f(c.String("user"))
	}
	users, err := s.Users(c.Context)
	for i := 0; err == nil && i < len(users); i++ {
		if err = f(users[i]); errors.Is(err, spool.ErrNoFolder) {
			err = nil
		}
	}
	return err
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
		if _, err := fmt.Fprintf(a.out, "%s: %s\n", kind, l); err != nil {
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
