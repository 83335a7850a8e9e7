package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"path"
	"reflect"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// app is one run of the program.
type app struct {
	env   environment
	out   *checkedWriter
	list  []namedCommand
	built map[string]*cli.Command // the commands of list that were asked for
	notes map[*cli.Command]notes
	inv   invocation
}

// notes is what a command has to say that the library has no place for.
type notes struct {
	// Examples for the help text and the man page.
	Examples []example
	// Files are the FILES of the man page; a command with --spool has the
	// spool's marker there already.
	Files []entry
	// SeeAlso names further man pages: "mutt(1)".
	SeeAlso []string
	// Exits are exit codes that the command uses beside those of exitTable.
	Exits []int
	// MTA says that a mail system runs the command: unknown errors are
	// temporary.
	MTA bool
	// DashArgs tells of a word that begins with a single dash whether it is
	// an argument and not a flag. Nil means that none is.
	DashArgs func(word string) bool
}

// example is a command line and what it is good for.
type example struct{ Text, Line string }

// entry is a name and its explanation.
type entry struct{ Name, Text string }

func newApp(env environment) *app {
	a := &app{env: env, out: &checkedWriter{w: env.Stdout}, built: make(map[string]*cli.Command), notes: make(map[*cli.Command]notes)}
	a.list = a.commands()
	return a
}

// namedCommand is a sub-command that is built when it is asked for: a mail
// system starts the program for each message.
type namedCommand struct {
	name  string
	build func() *cli.Command
}

// commands lists the sub-commands in the order of the help text.
func (a *app) commands() []namedCommand {
	return []namedCommand{
		{"demo", a.demoCommand},
		{"init", a.initCommand},
		{"probe", a.probeCommand},
		{"user", a.userCommand},
		{"folder", a.folderCommand},
		{"deliver", a.deliverCommand},
		{"serve", a.serveCommand},
		{"list", a.listCommand},
		{"search", a.searchCommand},
		{"show", a.showCommand},
		{"flag", a.flagCommand},
		{"delete", a.deleteCommand},
		{"expire", a.expireCommand},
		{"quota", a.quotaCommand},
		{"copy", a.copyCommand},
		{"move", a.moveCommand},
		{"save", a.saveCommand},
		{"watch", a.watchCommand},
		{"log", a.logCommand},
		{"check", a.checkCommand},
		{"repair", a.repairCommand},
		{"upgrade", a.upgradeCommand},
		{"demo-host", a.demoHostCommand},
		{"completion", a.completionCommand},
		{"man", a.manCommand},
		{"config", a.configCommand},
		{"version", a.versionCommand},
		{"help", a.helpCommand},
	}
}

// command returns the sub-command of that name, nil if there is none.
func (a *app) command(name string) *cli.Command {
	if c := a.built[name]; c != nil {
		return c
	}
	for _, c := range a.list {
		if c.name == name {
			a.built[name] = c.build()
			return a.built[name]
		}
	}
	return nil
}

// allCommands builds all sub-commands.
func (a *app) allCommands() (list []*cli.Command) {
	for _, c := range a.list {
		list = append(list, a.command(c.name))
	}
	return list
}

// with attaches notes to a command.
func (a *app) with(n notes, c *cli.Command) *cli.Command {
	withSettings(c, n)
	a.notes[c] = n
	return c
}

// run runs one command line, without the program's name, and returns the exit
// code.
func run(ctx context.Context, words []string, env environment) int {
	return newApp(env).run(ctx, words)
}

func (a *app) run(ctx context.Context, words []string) (code int) {
	defer func() {
		if p := recover(); p != nil {
			a.complain(fmt.Errorf("internal error: %v at %s", p, panicSite()))
			code = exitTempFail
		}
	}()
	inv, err := a.parse(words)
	a.inv = inv
	if err == nil {
		err = a.execute(ctx, inv)
	}
	if lost := a.out.Err(); lost != nil && (err == nil || errors.Is(err, lost)) {
		err = fmt.Errorf("%w: %w", errOutput, lost)
	}
	mta := a.notes[inv.command()].MTA
	code = exitCode(err, mta)
	if err != nil && !errors.Is(err, errNothingFound) {
		if mta && code != exitUsage {
			// Mail systems look for it at the beginning of what we say.
			fmt.Fprint(a.env.Stderr, statusCode(err, code)+" ")
		}
		a.complain(err)
	}
	return code
}

// complain prints err as the one line on standard error.
func (a *app) complain(err error) {
	fmt.Fprintf(a.env.Stderr, "bobbin: %s\n", printable(err.Error()))
}

func (a *app) execute(ctx context.Context, inv invocation) error {
	switch {
	case inv.help:
		return a.printHelp(inv.path)
	case inv.version:
		return a.printVersion()
	}
	return inv.act(ctx)
}

// act runs the command. Of the library it takes flags and what commands read
// them by: its own way to a command does again what parse has done, or what is
// not wanted (help, environment, flags among arguments).
func (inv invocation) act(ctx context.Context) error {
	c := *inv.command()
	c.HelpName, c.Flags = pathName(inv.path), make([]cli.Flag, len(inv.command().Flags))
	set := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	for i, f := range inv.command().Flags {
		if f, ok := f.(*cli.StringFlag); ok {
			// As Apply would, but for the environment; that takes names apart with a regular expression.
			for _, name := range flagNames(f) {
				set.String(name, f.Value, f.Usage)
			}
			c.Flags[i] = f
			continue
		}
		c.Flags[i] = inv.bare(f)
		if err := c.Flags[i].Apply(set); err != nil {
			return err
		}
	}
	for _, f := range inv.flags {
		if _, ok := findFlag(c.Flags, f.name).(*cli.StringSliceFlag); ok {
			continue
		}
		if err := set.Set(f.name, f.value); err != nil {
			return usageErrorf("invalid value %q for flag %s: %v", f.value, dashed(f.name), err)
		}
	}
	if err := set.Parse(append([]string{"--"}, inv.args...)); err != nil {
		return err
	}
	asked := cli.NewContext(&cli.App{InvalidFlagAccessHandler: undeclaredFlag}, set, nil)
	asked.Context, asked.Command = ctx, &c
	return c.Action(asked)
}

// bare returns a copy of a flag without environment variables, which the library
// would take from the process behind the back of app.env. A flag that may be given
// several times has its values: the library would split them at commas.
func (inv invocation) bare(f cli.Flag) cli.Flag {
	flag := reflect.New(reflect.TypeOf(f).Elem())
	flag.Elem().Set(reflect.ValueOf(f).Elem())
	if vars := flag.Elem().FieldByName("EnvVars"); vars.IsValid() {
		vars.SetZero()
	}
	if f, ok := flag.Interface().(*cli.StringSliceFlag); ok {
		values := inv.values(f.Name)
		f.Value, f.HasBeenSet = cli.NewStringSlice(values...), len(values) > 0
	}
	return flag.Interface().(cli.Flag)
}

// undeclaredFlag stops a command that reads a flag it never declared.
func undeclaredFlag(c *cli.Context, name string) {
	panic(fmt.Sprintf("'%s' reads undeclared flag %q", c.Command.HelpName, name))
}

// panicSite names the line that panicked; it is called from the deferred
// function that recovers.
func panicSite() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	panicked := false
	for {
		frame, more := frames.Next()
		inRuntime := strings.HasPrefix(frame.Function, "runtime.")
		if panicked && !inRuntime {
			return fmt.Sprintf("%s/%s:%d", path.Base(path.Dir(frame.File)), path.Base(frame.File), frame.Line)
		}
		panicked = panicked || frame.Function == "runtime.gopanic"
		if !more {
			return "unknown line"
		}
	}
}

// wantArgs checks the number of arguments; limit < 0 means any number.
func wantArgs(c *cli.Context, least, limit int) error {
	name := c.Command.HelpName
	switch {
	case c.NArg() < least:
		return usageErrorf("'%s' needs %s; see '%s --help'", name, c.Command.ArgsUsage, name)
	case limit == 0 && c.NArg() > 0:
		return usageErrorf("'%s' takes no argument %q", name, c.Args().First())
	case limit >= 0 && c.NArg() > limit:
		return usageErrorf("'%s' takes no further argument %q", name, c.Args().Get(limit))
	}
	return nil
}

// writeJSON writes v as one line of JSON. Characters that a terminal may obey
// are escaped: the library leaves DEL, C1 and text direction as they are.
func writeJSON(w io.Writer, v any) error {
	var plain bytes.Buffer
	enc := json.NewEncoder(&plain)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, escaped(plain.String()))
	return err
}

// escaped writes characters that a terminal may obey as JSON does.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || r < utf8.RuneSelf && r != 0x7f || unicode.IsPrint(r) || r > 0xffff {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
