package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func useFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "use", Usage: "the folder is for `USE`: " + spool.UseNames() + "; may be repeated"}
}

func (a *app) folderCommand() *cli.Command {
	n := notes{Exits: []int{exitNoUser, exitCantCreate}, SeeAlso: []string{"bobbin-list(1)", "bobbin-move(1)"}}
	sub := func(name, usage, args string, action cli.ActionFunc, flags ...cli.Flag) *cli.Command {
		return a.with(n, &cli.Command{
			Name: name, Usage: usage, ArgsUsage: args, Action: action,
			Flags: append([]cli.Flag{spoolFlag(), userFlag(), jsonFlag()}, flags...),
		})
	}
	c := &cli.Command{
		Name:  "folder",
		Usage: "list, create, rename and delete folders",
		Description: "A folder's name is any text; a slash stands between the names of a folder and of those below it, as in Work/2026. INBOX is always there. " +
			"Folders that begin with public/ are shared by all users: flags and keywords are everybody's, but each sees what he has read himself. " +
			"A deleted folder stays in the user's trash for a week; folders below it are not deleted. " +
			"Mail programs show the folders that one is subscribed to: 'create' subscribes.",
		Subcommands: []*cli.Command{
			sub("list", "list the folders", "", a.folderList),
			sub("create", "create a folder and subscribe to it", "NAME", a.folderCreate, useFlag()),
			sub("rename", "rename a folder and those below it", "NAME NEW", a.folderRename),
			sub("delete", "delete a folder and the messages in it", "NAME", a.folderDelete),
			sub("subscribe", "let mail programs show a folder", "NAME", a.folderSubscribe(true)),
			sub("unsubscribe", "let mail programs not show a folder", "NAME", a.folderSubscribe(false)),
			sub("use", "say what a folder is for: "+spool.UseNames()+"; or nothing", "NAME [USE...]", a.folderUse),
		},
	}
	n.Examples = []example{
		{"What folders are there?", "bobbin folder list --user alice"},
		{"Create the one for mail that was sent.", "bobbin folder create --use sent Sent"},
		{"A folder for everybody.", "bobbin folder create public/Announcements"},
	}
	return a.with(n, c)
}

// folderLine is a folder as "folder list --json" prints it.
type folderLine struct {
	Name       string      `json:"name"`
	Exists     bool        `json:"exists"`
	Messages   int         `json:"messages"`
	Unseen     int         `json:"unseen"`
	Subscribed bool        `json:"subscribed"`
	Uses       []spool.Use `json:"uses"`
}

func (a *app) folderList(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	s, user, err := a.spoolAndUser(c)
	if err != nil {
		return err
	}
	list, err := s.Folders(c.Context, user)
	if err != nil {
		return err
	}
	lines := []folderLine{}
	failed := 0
	for _, f := range list {
		l := folderLine{f.Name, !f.Missing, 0, 0, f.Subscribed, f.Uses}
		if l.Uses == nil {
			l.Uses = []spool.Use{}
		}
		err := a.countFolder(c, s, user, &l)
		if errors.Is(err, spool.ErrNoFolder) && !f.Missing {
			continue // deleted while we listed
		}
		if err != nil && c.Context.Err() != nil {
			return err
		}
		if err != nil && !f.Missing {
			failed++
			a.warn(err)
		}
		if lines = append(lines, l); !c.Bool("json") {
			if err := a.folderText(l); err != nil {
				return err
			}
		}
	}
	if c.Bool("json") {
		if err := writeJSON(a.out, lines); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d folders cannot be read; 'bobbin check' says more", failed)
	}
	return nil
}

// countFolder counts the messages of a folder that is there.
func (a *app) countFolder(c *cli.Context, s *spool.Spool, user string, l *folderLine) error {
	if !l.Exists {
		return nil
	}
	b, err := s.Box(c.Context, user, l.Name)
	if err != nil {
		return err
	}
	defer b.Close()
	return a.inMailbox(c, b, func(m *spool.Mailbox) error {
		for _, msg := range m.Messages() {
			l.Messages++
			if msg.Flags&spool.Seen == 0 {
				l.Unseen++
			}
		}
		return nil
	})
}

func (a *app) folderText(l folderLine) error {
	var tags []string
	if l.Subscribed {
		tags = append(tags, "subscribed")
	}
	for _, u := range l.Uses {
		tags = append(tags, u.Attribute())
	}
	if !l.Exists {
		tags = append(tags, "missing")
	}
	line := fmt.Sprintf("%6d %6d  %s  %s", l.Messages, l.Unseen, column(printable(l.Name), 32), strings.Join(tags, " "))
	_, err := fmt.Fprintln(a.out, strings.TrimRight(line, " "))
	return err
}

// spoolAndUser opens the spool and finds out whose folders are meant.
func (a *app) spoolAndUser(c *cli.Context) (*spool.Spool, string, error) {
	s, err := a.openSpool(c)
	if err != nil {
		return nil, "", err
	}
	user, err := a.userName(c)
	return s, user, err
}

// folderDone reports a change with --json.
func (a *app) folderDone(c *cli.Context, did string, err error) error {
	if err != nil || !c.Bool("json") {
		return err
	}
	return writeJSON(a.out, map[string]any{did: c.Args().Slice()})
}

func (a *app) folderCreate(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	uses, err := parseUses(c.StringSlice("use"))
	if err != nil {
		return err
	}
	s, user, err := a.spoolAndUser(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	if err := s.CreateFolder(c.Context, user, name); err != nil {
		return err
	}
	err = a.inState(c, s, user, func(u *spool.UserState) error {
		if err := u.Subscribe(c.Context, name, true); err != nil || len(uses) == 0 {
			return err
		}
		return u.SetUses(c.Context, name, uses...)
	})
	return a.folderDone(c, "created", err)
}

func parseUses(words []string) (uses []spool.Use, err error) {
	for _, w := range words {
		use, err := spool.ParseUse(w)
		if err != nil {
			return nil, err
		}
		uses = append(uses, use)
	}
	return uses, nil
}

// inState runs f on a user's state.
func (a *app) inState(c *cli.Context, s *spool.Spool, user string, f func(u *spool.UserState) error) error {
	u, err := s.UserState(c.Context, user)
	if err != nil {
		return err
	}
	return errors.Join(f(u), u.Close(c.Context))
}

func (a *app) folderRename(c *cli.Context) error {
	if err := wantArgs(c, 2, 2); err != nil {
		return err
	}
	s, user, err := a.spoolAndUser(c)
	if err != nil {
		return err
	}
	return a.folderDone(c, "renamed", s.RenameFolder(c.Context, user, c.Args().Get(0), c.Args().Get(1)))
}

func (a *app) folderDelete(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	s, user, err := a.spoolAndUser(c)
	if err != nil {
		return err
	}
	return a.folderDone(c, "deleted", s.DeleteFolder(c.Context, user, c.Args().First()))
}

func (a *app) folderSubscribe(on bool) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := wantArgs(c, 1, 1); err != nil {
			return err
		}
		s, user, err := a.spoolAndUser(c)
		if err != nil {
			return err
		}
		name, did := c.Args().First(), "unsubscribed"
		if on {
			// A name that is not there is most likely a slip of the pen.
			did = "subscribed"
			b, err := s.Box(c.Context, user, name)
			if err == nil {
				err = b.Close()
			}
			if err != nil {
				return err
			}
		}
		err = a.inState(c, s, user, func(u *spool.UserState) error { return u.Subscribe(c.Context, name, on) })
		return a.folderDone(c, did, err)
	}
}

func (a *app) folderUse(c *cli.Context) error {
	if err := wantArgs(c, 1, -1); err != nil {
		return err
	}
	uses, err := parseUses(c.Args().Tail())
	if err != nil {
		return err
	}
	s, user, err := a.spoolAndUser(c)
	if err != nil {
		return err
	}
	name := c.Args().First()
	b, err := s.Box(c.Context, user, name)
	if err != nil {
		return err
	}
	err = a.inState(c, s, user, func(u *spool.UserState) error { return u.SetUses(c.Context, name, uses...) })
	return a.folderDone(c, "used", errors.Join(err, b.Close()))
}
