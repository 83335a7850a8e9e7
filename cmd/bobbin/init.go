package main

import (
	"cmp"
	"context"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) initCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"Make a spool on a mounted share.", "bobbin init /mnt/mail/spool"},
			{"The same for a share that NFS and SMB clients use at once.", "bobbin init --slots link --separator ';' /mnt/mail/spool"},
		},
		SeeAlso: []string{"bobbin-probe(1)", "bobbin-user(1)"},
		Exits:   []int{exitUnfit},
	}, &cli.Command{
		Name:      "init",
		Usage:     "make a spool in a directory",
		ArgsUsage: "DIR",
		Description: "Makes DIR a spool, and DIR itself if its parent exists. It tries on the share how slots can be created and how " +
			"message files may be named, and records it in DIR/bobbin.toml for all hosts. " +
			"What \"bobbin probe\" tries with one host is tried before on anything but a local disk: a share that is unfit does not become a spool. " +
			"DIR must be empty or new; mount the share first.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "slots", Usage: "create slots by `WAY`: symlink, link or directory", DefaultText: "what works"},
			&cli.StringFlag{Name: "separator", Usage: "put `CHAR` before the flags in file names: ':' or ';'", DefaultText: "what works"},
			&cli.StringFlag{Name: "foreign", Value: "on", Usage: "`on|off`: off if no other Maildir program will change files; cur is not watched then"},
			&cli.StringFlag{Name: "project", Value: "on", Usage: "`on|off`: off if no other Maildir program will read; names do not show flags then"},
		},
		Action: a.init,
	})
}

func (a *app) init(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	dir := c.Args().First()
	o := spool.InitOptions{Slots: c.String("slots"), Separator: c.String("separator")}
	if _, err := netfs.ParseWay(cmp.Or(o.Slots, "link")); err != nil {
		return usageErrorf("flag --slots: %v", err)
	}
	if o.Separator != "" && o.Separator != ":" && o.Separator != ";" {
		return usageErrorf("separator %q: use ':' or ';'", o.Separator)
	}
	for name, off := range map[string]*bool{"foreign": &o.ForeignOff, "project": &o.ProjectOff} {
		v := c.String(name)
		if v != "on" && v != "off" {
			return usageErrorf("flag --%s %q: use 'on' or 'off'", name, v)
		}
		*off = v == "off"
	}
	if err := a.env.MakeDir(dir); err != nil && !os.IsExist(err) {
		return exitWith(exitCantCreate, err)
	}
	h, err := a.env.Host(c.Context, dir)
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	if err := a.tryShare(c.Context, h, dir); err != nil {
		return err
	}
	s, err := spool.Init(c.Context, h, o)
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	_, err = fmt.Fprintf(a.out, "%s is a spool now: file system %s, slots by %s, flags after %q.\nNext: bobbin --spool %s user add NAME\n",
		printable(dir), h.Profile.Kind, s.Marker.Slots, s.Marker.Separator, printable(dir))
	return err
}

// tryShare refuses a share on which no spool can be, and warns of what limits
// its use. A local disk has none of the defects that a probe looks for.
func (a *app) tryShare(ctx context.Context, h *netfs.Host, dir string) error {
	if h.Profile.Kind == "local" || h.Profile.Risk != "" { // which spool.Init refuses
		return nil
	}
	r, err := a.env.Probe(ctx, h, dir)
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	for _, f := range r.Findings {
		err := fmt.Errorf("directory %s: %s: %s; %s", dir, f.Check, f.Result, f.Advice)
		switch f.Grade {
		case probe.Unfit:
			return exitWith(exitUnfit, err)
		case probe.OneHost:
			a.warn(fmt.Errorf("fit for one host only: %w", err))
		}
	}
	return nil
}
