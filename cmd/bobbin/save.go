package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) saveCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser, exitCantCreate},
		Examples: []example{
			{"Save two messages as saved/3.eml and saved/7.eml.", "bobbin save 3,7 saved"},
			{"Save all of a folder in a file that every mail program reads.", "bobbin save --folder Archive --format mbox 1-* archive.mbox"},
		},
		SeeAlso: []string{"bobbin-show(1)", "bobbin-copy(1)"},
	}, &cli.Command{
		Name:      "save",
		Usage:     "save messages outside the spool",
		ArgsUsage: "UIDS PATH",
		Description: "Writes messages as they are stored. --format files makes a file UID.eml for each in the directory PATH; maildir adds them, with " +
			"their flags, to the Maildir PATH; mbox makes the file PATH with all of them, lines that begin with From quoted by > (mboxrd). A directory that is " +
			"missing is made. A file that is there already is never overwritten: then nothing is saved. Keywords are not saved.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.StringFlag{Name: "format", Usage: "save as `KIND`: files, maildir or mbox", Value: "files"},
		},
		Action: a.save,
	})
}

// saver writes messages to files outside the spool. Nothing that exists is
// replaced.
type saver interface {
	// save writes one message and returns its file's name.
	save(msg *spool.Message, r io.Reader) (string, error)
	// end makes what was saved durable. After an error it removes the file that
	// was under way.
	end(err error) error
}

// savers make a saver for the messages of all UIDs.
var savers = map[string]func(path string, msgs []*spool.Message) (saver, error){
	"files": newFileSaver, "maildir": newMaildirSaver, "mbox": newMboxSaver,
}

// savedLine is a message that was saved, as --json prints it.
type savedLine struct {
	UID  uint32 `json:"uid"`
	File string `json:"file"`
}

func (a *app) save(c *cli.Context) error {
	if err := wantArgs(c, 2, 2); err != nil {
		return err
	}
	set, err := uidSet(c.Args().Get(0))
	if err != nil {
		return err
	}
	path := c.Args().Get(1)
	if path == "" {
		return usageErrorf("PATH is empty: name a file or directory")
	}
	begin, ok := savers[c.String("format")]
	if !ok {
		return usageErrorf("format %q: use files, maildir or mbox", c.String("format"))
	}
	return a.withMailbox(c, func(m *spool.Mailbox) error {
		set, err := existing(m, set)
		if err != nil {
			return err
		}
		var msgs []*spool.Message
		for _, msg := range m.Messages() {
			if set.Contains(msg.UID) {
				msgs = append(msgs, msg)
			}
		}
		s, err := begin(path, msgs)
		if err != nil {
			return exitWith(exitCantCreate, err)
		}
		lines, err := saveAll(c, m, s, msgs)
		if err = s.end(err); err != nil || !c.Bool("json") {
			return err
		}
		return writeJSON(a.out, map[string]any{"saved": lines})
	})
}

func saveAll(c *cli.Context, m *spool.Mailbox, s saver, msgs []*spool.Message) ([]savedLine, error) {
	lines := []savedLine{}
	for _, msg := range msgs {
		f, _, err := m.OpenMessage(c.Context, msg.UID)
		if err != nil {
			return nil, err
		}
		name, err := s.save(msg, f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("save UID %d: %w", msg.UID, err)
		}
		lines = append(lines, savedLine{msg.UID, name})
	}
	return lines, nil
}
