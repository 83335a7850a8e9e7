package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
)

func (a *app) probeCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitUnfit},
		Examples: []example{
			{"Try a mounted share.", "bobbin probe /mnt/mail"},
			{"Try it from two hosts: give the same command on both.", "bobbin probe --peer /mnt/mail"},
		},
		SeeAlso: []string{"bobbin-init(1)"},
	}, &cli.Command{
		Name:      "probe",
		Usage:     "say what a share can do",
		ArgsUsage: "DIR",
		Description: "Tries in DIR whatever Bobbin needs of a share, and what other mail programs need, and prints for each check what came out, " +
			"its verdict, the number of the hazard, and what to change or what Bobbin does instead. " +
			"With --peer it waits for a second probe of the same share, on another host or on another mount, and tries with it what takes two: who " +
			"wins when both create one name, when one sees what the other did, whether locks exclude. The two find each other through the share. " +
			"It needs the right to write into DIR and leaves nothing there. " +
			"Exit code 0 means fit for several hosts, 1 fit for one host only, 2 unfit.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "peer", Usage: "try it together with a second host"},
			&cli.DurationFlag{Name: "wait", Usage: "wait for the second host for `TIME`", Value: 2 * time.Minute},
			jsonFlag(),
		},
		Action: a.probe,
	})
}

func (a *app) probe(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	if c.Duration("wait") <= 0 {
		return usageErrorf("flag --wait: give a time such as 30s or 5m")
	}
	dir := c.Args().First()
	h, err := a.env.Host(c.Context, dir)
	if err != nil {
		return exitWith(exitTempFail, fmt.Errorf("directory %s: %w", dir, err))
	}
	o := probe.Options{Dir: dir, Locks: fileLocks(h), Patience: c.Duration("wait"), Say: func(text string) {
		fmt.Fprintf(a.env.Stderr, "bobbin: %s\n", text)
	}}
	r, err := probe.Run(c.Context, h, o)
	if err == nil && c.Bool("peer") {
		err = probe.Peer(c.Context, h, o, r)
	}
	if err != nil {
		// The codes 1 and 2 are verdicts, and this is none.
		return exitWith(exitTempFail, err)
	}
	return a.printReport(c, dir, r)
}

// fileLocks are the kernel's locks as the probe tries them.
func fileLocks(h *netfs.Host) []probe.Lock {
	type lockFunc func(context.Context, *netfs.Host, string, locking.FileOptions) (context.Context, func() error, error)
	lock := func(name string, take lockFunc) probe.Lock {
		return probe.Lock{Name: name, Take: func(ctx context.Context, file string) (func() error, bool, error) {
			_, release, err := take(ctx, h, file, locking.FileOptions{Create: 0o600, Owner: "bobbin probe"})
			if errors.Is(err, locking.ErrHeld) {
				return nil, true, nil
			}
			return release, false, err
		}}
	}
	return []probe.Lock{lock("fcntl", locking.Fcntl), lock("flock", locking.Flock)}
}

// verdicts say what each grade means for the whole share, and its exit code.
var verdicts = map[probe.Grade]struct {
	text string
	code int
}{
	probe.Good:    {"Fit for several hosts.", exitOK},
	probe.Note:    {"Fit for several hosts.", exitOK},
	probe.OneHost: {"Fit for one host only.", exitFailure},
	probe.Unfit:   {"Unfit for a spool.", exitUnfit},
}

func (a *app) printReport(c *cli.Context, dir string, r *probe.Report) error {
	v := verdicts[r.Grade()]
	if c.Bool("json") {
		err := writeJSON(a.out, struct {
			*probe.Report
			Verdict probe.Grade `json:"verdict"`
		}{r, r.Grade()})
		return errors.Join(err, unfit(v.code, dir, v.text))
	}
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(a.out, "%-8s  %-4s  %-34s  %s\n", f.Grade, f.Hazard, f.Check, printable(f.Result)); err != nil {
			return err
		}
		if f.Advice != "" {
			if _, err := fmt.Fprintf(a.out, "%18s%s\n", "", printable(f.Advice)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(a.out, "\n%s\n", v.text)
	if err == nil && r.Choice != nil {
		_, err = fmt.Fprintf(a.out, "'bobbin init' takes: --slots %s --separator '%s'; records up to %d bytes.\n",
			r.Choice.Slots, r.Choice.Separator, r.Choice.RecordMax)
	}
	return errors.Join(err, unfit(v.code, dir, v.text))
}

// unfit is the error that ends the program with a code of verdicts.
func unfit(code int, dir, text string) error {
	if code == exitOK {
		return nil
	}
	return exitWith(code, fmt.Errorf("directory %s: %s", dir, text))
}
