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
	Folder    string   `json:"folder,omitempty"` // in a search of all folders
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
	return a.withMailbox(c, func(m *spool.Mailbox) error {
		l := lister{app: a, c: c}
		if err := l.add(m, spool.AllUIDs()); err != nil {
			return err
		}
		return l.end()
	})
}

// lister prints messages, of one folder or several.
type lister struct {
	*app
	c          *cli.Context
	folder     string // of the messages to come; "" where it need not be said
	entries    []listEntry
	unreadable int
}

// add prints the messages of a set.
func (l *lister) add(m *spool.Mailbox, set spool.UIDSet) error {
	for s, err := range m.Summaries(l.c.Context, set, spool.Columns) {
		if err != nil {
			if l.c.Context.Err() != nil {
				return err
			}
			l.unreadable++
			l.warn(err)
		}
		msg, err := m.Message(s.UID)
		if err != nil {
			continue // expunged while we listed
		}
		e := listEntry{l.folder, s.UID, msg.Size, msg.Flags.Words(), msg.Keywords, s.Subject, s.From, s.Sent, s.MessageID}
		if e.Keywords == nil {
			e.Keywords = []string{}
		}
		if l.c.Bool("json") {
			l.entries = append(l.entries, e)
		} else if err := l.line(msg, e); err != nil {
			return err
		}
	}
	return nil
}

// end prints what must come at once.
func (l *lister) end() error {
	if l.c.Bool("json") {
		if l.entries == nil {
			l.entries = []listEntry{}
		}
		if err := writeJSON(l.out, l.entries); err != nil {
			return err
		}
	}
	if l.unreadable > 0 {
		return fmt.Errorf("%d messages cannot be read; 'bobbin check' says more", l.unreadable)
	}
	return nil
}

func (l *lister) line(msg *spool.Message, e listEntry) error {
	day := msg.Date.Format(time.DateOnly)
	folder := ""
	if l.folder != "" {
		folder = column(readers.SafeLine(l.folder), 16) + "  "
	}
	_, err := fmt.Fprintf(l.out, "%s%6d  %-6s  %s  %s  %s\n", folder, e.UID, msg.Flags.Letters(), day,
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
