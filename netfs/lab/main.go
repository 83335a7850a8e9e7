// Command lab runs programs on real network file systems: it boots a guest (a
// user-mode-linux kernel, an ordinary process) in which one server and three
// hosts have networks and mounts of their own. docs/lab.md explains it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit codes of the lab itself; any other is the command's.
const (
	exitTimeout = 124
	exitLab     = 125
)

// shares are the file systems the lab can set up.
var shares = []string{
	"nfs3", "nfs4", "nfs40", "nfs41", "nfs4-async", "smb3", "smb3-nolink", "smb3posix", "mixed", "local",
}

const usage = `usage:
  lab build                                  make what guests are booted from
  lab run [flags] [--] COMMAND [ARGUMENT...] boot a guest, run a command, power it off
  lab up [flags]                             boot a guest that stays
  lab exec [flags] [--] COMMAND [ARGUMENT...] run a command in it
  lab down [flags]                           power it off

The exit status is the command's; 124: it took too long; 125: the lab failed.
File systems: ` // and the list

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	os.Exit(code)
}

// settings are what the flags say.
type settings struct {
	fs, options, share, name, memory string
	timeout                          time.Duration
	command                          []string
}

func parse(verb string, args []string) (s settings, err error) {
	set := flag.NewFlagSet("lab "+verb, flag.ContinueOnError)
	set.Usage = func() {
		fmt.Fprintf(set.Output(), "%s%s\n\nFlags:\n", usage, strings.Join(shares, " "))
		set.PrintDefaults()
	}
	set.StringVar(&s.fs, "fs", "nfs4", "the `FILE-SYSTEM` to mount")
	set.StringVar(&s.options, "options", "", "more mount `OPTIONS`")
	set.StringVar(&s.share, "dir", ".", "the `FOLDER` of this machine that the guest sees, at the same place")
	set.StringVar(&s.name, "name", "lab", "the guest's `NAME`")
	set.StringVar(&s.memory, "memory", "768M", "the guest's memory")
	set.DurationVar(&s.timeout, "timeout", 10*time.Minute, "how long the command may take")
	if err := set.Parse(args); err != nil {
		return s, err
	}
	s.command = set.Args()
	needs := verb == "run" || verb == "exec"
	switch {
	case needs == (len(s.command) == 0):
		err = fmt.Errorf("%s: a command is needed by run and exec, and by nothing else", verb)
	case !slices.Contains(shares, s.fs):
		err = fmt.Errorf("no file system %q: there are %s", s.fs, strings.Join(shares, ", "))
	default:
		s.share, err = filepath.Abs(s.share)
	}
	return s, err
}

func run(ctx context.Context, args []string) (int, error) {
	if len(args) == 0 {
		fmt.Fprintf(os.Stderr, "%s%s\n", usage, strings.Join(shares, " "))
		return exitLab, nil
	}
	s, err := parse(args[0], args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return exitLab, err
	}
	c, err := openCache(ctx)
	if err != nil {
		return exitLab, err
	}
	g := &guest{cache: c, name: s.name}
	switch args[0] {
	case "build":
		return 0, nil
	case "up":
		if err := g.up(ctx, s); err != nil {
			return exitLab, err
		}
		return 0, nil
	case "exec":
		return g.exec(ctx, s, os.Stdout)
	case "down":
		return 0, g.down()
	case "run":
		if err := g.up(ctx, s); err != nil {
			return exitLab, err
		}
		code, err := g.exec(ctx, s, os.Stdout)
		return code, errors.Join(err, g.down())
	}
	return exitLab, fmt.Errorf("no command %q: there are build, run, up, exec and down", args[0])
}
