package main

import (
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) listCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"What is in the mailbox?", "bobbin list --user alice"},
			{"The UIDs of unread messages.", `bobbin list --json | jq '.[] | select(.flags | index("seen") | not) | .uid'`},
		},
		SeeAlso: []string{"bobbin-show(1)", "bobbin-flag(1)"},
	}, &cli.Command{
		Name:  "list",
		Usage: "list the messages of a mailbox",
		Description: "Prints a line for each message: UID, flags, date, sender and subject. The flags are D draft, F flagged, P passed, R answered, " +
			"S seen, T deleted. With --json it is one array of objects with uid, size (of the stored file, in bytes), flags, keywords, subject, from, " +
			"date and message_id; texts that are very long are cut.",
		Flags:  []cli.Flag{spoolFlag(), userFlag(), folderFlag(), jsonFlag()},
		Action: a.listMessages,
	})
}

// listEntry is one message as "list --json" and "search --json" print it.
type listEntry struct {
	UID       uint32   `json:"uid"`
	Size      int64    `json:"size"`
	Flags     []string `json:"flags"`
	Keywords  []string `json:"keywords"`
	Subject   string   `json:"subject"`
	From      string   `json:"from"`
	Date      string   `json:"date"`
	MessageID string   `json:"message_id"`
}

func (a *app) listMessages(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	return a.withMailbox(c, func(m *spool.Mailbox) error { return a.printList(c, m, spool.AllUIDs()) })
}

// printList prints the messages of a set.
func (a *app) printList(c *cli.Context, m *spool.Mailbox, set spool.UIDSet) error {
	entries := []listEntry{}
	unreadable := 0
	for s, err := range m.Summaries(c.Context, set, spool.Columns) {
		if err != nil {
			if c.Context.Err() != nil {
				return err
			}
			unreadable++
			a.warn(err)
		}
		msg, err := m.Message(s.UID)
		if err != nil {
			continue // expunged while we listed
		}
		e := listEntry{s.UID, msg.Size, msg.Flags.Words(), msg.Keywords, s.Subject, s.From, s.Sent, s.MessageID}
		if e.Keywords == nil {
			e.Keywords = []string{}
		}
		if c.Bool("json") {
			entries = append(entries, e)
		} else if err := a.listLine(msg, e); err != nil {
			return err
		}
	}
	if c.Bool("json") {
		if err := writeJSON(a.out, entries); err != nil {
			return err
		}
	}
	if unreadable > 0 {
		return fmt.Errorf("%d messages cannot be read; 'bobbin check' says more", unreadable)
	}
	return nil
}

func (a *app) listLine(msg *spool.Message, e listEntry) error {
	day := msg.Date.Format(time.DateOnly)
	_, err := fmt.Fprintf(a.out, "%6d  %-6s  %s  %s  %s\n", e.UID, msg.Flags.Letters(), day,
		column(readers.SafeLine(e.From), 28), cut(readers.SafeLine(e.Subject), 200))
	return err
}

// cut shortens s to at most width characters.
func cut(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// column fits s into exactly width characters.
func column(s string, width int) string {
	return fmt.Sprintf("%-*s", width, cut(s, width))
}
