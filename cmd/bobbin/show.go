package main

import (
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) showCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"Read a message.", "bobbin show 7"},
			{"Get it as it is stored.", "bobbin show --raw 7 > message"},
		},
		SeeAlso: []string{"bobbin-list(1)"},
	}, &cli.Command{
		Name:      "show",
		Usage:     "show a message",
		ArgsUsage: "UID",
		Description: "Prints the important header fields and the text of a message, decoded. It does not mark the message as read. " +
			"With --raw it writes the stored bytes; only if standard output is a terminal, control characters are replaced.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(),
			&cli.BoolFlag{Name: "raw", Usage: "write the stored bytes"},
		},
		Action: a.show,
	})
}

func (a *app) show(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	word := c.Args().First()
	uid, err := strconv.ParseUint(word, 10, 32)
	if err != nil || uid == 0 {
		return usageErrorf("UID %q: give the number that 'bobbin list' shows", word)
	}
	return a.withMailbox(c, func(m *spool.Mailbox) error {
		f, _, err := m.OpenMessage(c.Context, uint32(uid))
		if err != nil {
			return err
		}
		if c.Bool("raw") {
			err = a.raw(f)
		} else {
			var size int64
			if size, err = f.Size(); err == nil {
				err = readers.Text(a.out, f, size, readers.TextOptions{})
			}
		}
		return errors.Join(err, f.Close())
	})
}

// raw copies the stored bytes, made safe for a terminal if there is one.
func (a *app) raw(r io.Reader) error {
	f, ok := a.env.Stdout.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		_, err := io.Copy(a.out, r)
		return err
	}
	safe := readers.SafeWriter(a.out)
	_, err := io.Copy(safe, r)
	return errors.Join(err, safe.Close())
}
