package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) initCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"Make a spool on a mounted share.", "bobbin init /mnt/mail/spool"},
			{"The same for a share that NFS and SMB clients use at once.", "bobbin init --slots link --separator ';' /mnt/mail/spool"},
		},
		SeeAlso: []string{"bobbin-user(1)"},
	}, &cli.Command{
		Name:      "init",
		Usage:     "make a spool in a directory",
		ArgsUsage: "DIR",
		Description: "Makes DIR a spool, and DIR itself if its parent exists. It tries on the share how slots can be created and how " +
			"message files may be named, and records it in DIR/bobbin.toml for all hosts. " +
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
	s, err := spool.Init(c.Context, h, o)
	if err != nil {
		return fmt.Errorf("directory %s: %w", dir, err)
	}
	_, err = fmt.Fprintf(a.out, "%s is a spool now: file system %s, slots by %s, flags after %q.\nNext: bobbin --spool %s user add NAME\n",
		printable(dir), h.Profile.Kind, s.Marker.Slots, s.Marker.Separator, printable(dir))
	return err
}
