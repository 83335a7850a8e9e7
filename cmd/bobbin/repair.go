package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

func (a *app) repairCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"See what would be done.", "bobbin repair --dry-run"},
			{"After the whole spool was restored from a backup, or its share went back in time.", "bobbin repair --restored"},
			{"After one folder was restored.", "bobbin repair --restored --user alice --folder Archive"},
		},
		SeeAlso: []string{"bobbin-check(1)"},
	}, &cli.Command{
		Name:  "repair",
		Usage: "mend what check finds",
		Description: "Mends what 'bobbin check' reports, in all mailboxes or in those that --user and --folder name, and prints what it does. " +
			"It may run while others work, and again after it was broken off. It never removes the bytes of a message: what is surplus is moved to bobbin/x " +
			"and cleared away an hour later. " +
			"A log that cannot be read is begun anew with what can be; hosts that have the mailbox open are told to open it again. " +
			"With --restored every mailbox begins anew under a higher UIDVALIDITY, so that no client takes new messages for ones that it knew before; " +
			"give it after a restore from a backup, or when a command says that the share went back in time. " +
			"Exit code 1 if something is left that a person must look at.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "change nothing, and print what would be done"},
			&cli.BoolFlag{Name: "restored", Usage: "begin all logs anew: the share was restored or went back in time"},
		},
		Action: a.repair,
	})
}

func (a *app) repair(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	s, err := a.openToRepair(c)
	if err != nil {
		return err
	}
	var lines []checkLine
	failed := 0
	options := func(user string) spool.RepairOptions {
		return spool.RepairOptions{Dry: c.Bool("dry-run"), Restored: c.Bool("restored"), Say: func(r spool.Repaired) {
			l := newLine(user, r.Finding)
			if r.Err != nil {
				failed++
				l.Error = r.Err.Error()
			}
			lines = append(lines, l)
			if !c.Bool("json") {
				a.sayRepaired(l)
			}
		}}
	}
	// What failed was printed, and is looked at again at the end.
	told := func(steps int, err error) error {
		if steps < failed && c.Context.Err() == nil {
			return nil
		}
		return err
	}
	if !c.IsSet("user") {
		steps := failed
		if err := told(steps, s.RepairAccounts(c.Context, options(""))); err != nil {
			return err
		}
	}
	err = eachUser(c, s, func(user string) error {
		steps := failed
		if !c.IsSet("folder") {
			return told(steps, s.RepairUser(c.Context, user, options(user)))
		}
		b, err := s.Box(c.Context, user, c.String("folder"))
		if err != nil {
			return err
		}
		return told(steps, errors.Join(b.Repair(c.Context, options(user)), b.Close()))
	})
	if err == nil && !c.IsSet("user") && !c.IsSet("folder") {
		steps := failed
		err = told(steps, s.RepairPublic(c.Context, options("public")))
	}
	if err != nil {
		return err
	}
	return a.afterRepair(c, s, lines)
}

func (a *app) sayRepaired(l checkLine) {
	if l.Error != "" {
		fmt.Fprintf(a.out, "%s: not done: %s\n", l, printable(l.Error))
		return
	}
	fmt.Fprintf(a.out, "%s: %s\n", l, printable(l.Repair))
}

// afterRepair tells what is left.
func (a *app) afterRepair(c *cli.Context, s *spool.Spool, lines []checkLine) error {
	left := 0
	if !c.Bool("dry-run") {
		found, _, err := a.findings(c, s, false)
		if err != nil {
			return err
		}
		for _, l := range found {
			if !l.Wrong {
				continue
			}
			left++
			l.Error = "left for a person to look at"
			lines = append(lines, l)
			if !c.Bool("json") {
				a.sayRepaired(l)
			}
		}
	}
	var err error
	switch {
	case c.Bool("json"):
		err = writeJSON(a.out, append([]checkLine{}, lines...))
	case len(lines) == 0:
		_, err = fmt.Fprintln(a.out, "Nothing to repair.")
	}
	if err == nil && left > 0 {
		err = fmt.Errorf("%d things are still wrong", left)
	}
	return err
}

// openToRepair opens the spool, and mends its marker first if need be.
func (a *app) openToRepair(c *cli.Context) (*spool.Spool, error) {
	s, err := a.openSpool(c)
	lost := errors.Is(err, spool.ErrNotSpool) || errors.Is(err, commitlog.ErrCorrupt)
	if err == nil || !lost || c.IsSet("user") {
		return s, err
	}
	h, herr := a.host(c)
	if herr != nil {
		return nil, herr
	}
	m, merr := spool.RepairMarker(c.Context, h, c.Bool("dry-run"))
	if merr != nil {
		return nil, fmt.Errorf("%w; it cannot be made anew: %w", err, merr)
	}
	a.warn(fmt.Errorf("%w; made anew from what the spool has: slots by %s, flags after %q", err, m.Slots, m.Separator))
	if c.Bool("dry-run") {
		return nil, errors.New("the rest is looked at when the marker is there")
	}
	return a.openSpool(c)
}
