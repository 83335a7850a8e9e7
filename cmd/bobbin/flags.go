package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/urfave/cli/v2"
)

// The flags that several commands share. Each command lists those it takes;
// only these may also stand before the command's name.

func folderFlag() cli.Flag {
	return &cli.StringFlag{
		Name:  "folder",
		Usage: "work on the folder `NAME`",
		Value: "INBOX",
	}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{
		Name:  "json",
		Usage: "print JSON on one line",
	}
}

func commonFlags() []cli.Flag {
	return []cli.Flag{spoolFlag(), userFlag(), folderFlag(), jsonFlag(), configFlag(), locationFlag()}
}

// spoolDir returns the spool's root.
func (a *app) spoolDir(c *cli.Context) (string, error) {
	dir := c.String("spool")
	switch {
	case dir != "":
		return dir, nil
	case c.IsSet("spool"):
		return "", usageErrorf("flag --spool needs the name of a directory")
	}
	return "", errNoSpool
}

// host opens the spool's share. A missing directory means "not mounted", which
// may be over soon.
func (a *app) host(c *cli.Context) (*netfs.Host, error) {
	dir, err := a.spoolDir(c)
	if err != nil {
		return nil, err
	}
	h, err := a.env.Host(c.Context, dir)
	if err != nil {
		err = fmt.Errorf("spool %s: %w", dir, err)
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = exitWith(exitTempFail, err)
	}
	return h, err
}

// userName returns the user whose mail the command is about.
func (a *app) userName(c *cli.Context) (string, error) {
	name := c.String("user")
	switch {
	case name != "":
		return name, nil
	case c.IsSet("user"):
		return "", usageErrorf("flag --user needs a name")
	}
	return a.env.Login()
}

// findFlag returns the flag of that name among flags, or nil.
func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(flagNames(f), name) {
			return f
		}
	}
	return nil
}

// flagNames are the names of a flag, the long one first. The library's Names
// takes a regular expression to each, which a mail system would wait for.
func flagNames(f cli.Flag) []string {
	switch f := f.(type) {
	case *cli.StringFlag:
		return append([]string{f.Name}, f.Aliases...)
	case *cli.BoolFlag:
		return append([]string{f.Name}, f.Aliases...)
	}
	return f.Names()
}

// documented returns the flag as the library's own kinds of flag are: with
// everything a help text needs.
func documented(f cli.Flag) cli.DocGenerationFlag {
	return f.(cli.DocGenerationFlag)
}

// dashed writes a flag's name as one types it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}
