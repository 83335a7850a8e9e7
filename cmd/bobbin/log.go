package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

func (a *app) logCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"What happened in a mailbox last?", "bobbin log --user alice | tail"},
		},
		SeeAlso: []string{"bobbin-check(1)"},
	}, &cli.Command{
		Name:  "log",
		Usage: "print a mailbox's commit log in words",
		Description: "Prints a line for each record: its number, which is IMAP's MODSEQ, the host that wrote it, and what it changed. " +
			"With --json the operations are printed as docs/spool-format.md has them.",
		Flags:  []cli.Flag{spoolFlag(), userFlag(), folderFlag(), jsonFlag()},
		Action: a.log,
	})
}

type logLine struct {
	Seq    uint64   `json:"seq"`
	Writer string   `json:"writer"`
	Token  string   `json:"token"`
	Ops    []string `json:"ops"`
}

func (a *app) log(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	b, err := a.box(c)
	if err != nil {
		return err
	}
	defer b.Close()
	lines := []logLine{}
	err = b.Records(c.Context, func(r *commitlog.Record) error {
		if c.Bool("json") {
			lines = append(lines, logLine{r.Seq, r.Writer, r.Token, r.Ops})
			return nil
		}
		words := make([]string, len(r.Ops))
		for i, op := range r.Ops {
			words[i] = printable(spool.Words(op))
		}
		_, err := fmt.Fprintf(a.out, "%6d  %-8s  %s\n", r.Seq, printable(r.Writer), strings.Join(words, "; "))
		return err
	})
	if err == nil && c.Bool("json") {
		err = writeJSON(a.out, lines)
	}
	return err
}
