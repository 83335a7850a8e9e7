package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	list  []*cli.Command
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
	a := &app{env: env, out: &checkedWriter{w: env.Stdout}, notes: make(map[*cli.Command]notes)}
	a.list = a.commands()
	return a
}

// commands lists the sub-commands in the order of the help text.
func (a *app) commands() []*cli.Command {
	return []*cli.Command{
		a.demoCommand(),
		a.initCommand(),
		a.probeCommand(),
		a.userCommand(),
		a.folderCommand(),
		a.deliverCommand(),
		a.serveCommand(),
		a.listCommand(),
		a.searchCommand(),
		a.showCommand(),
		a.flagCommand(),
		a.deleteCommand(),
		a.expireCommand(),
		a.quotaCommand(),
		a.copyCommand(),
		a.moveCommand(),
		a.saveCommand(),
		a.watchCommand(),
		a.logCommand(),
		a.checkCommand(),
		a.repairCommand(),
		a.upgradeCommand(),
		a.demoHostCommand(),
		a.completionCommand(),
		a.manCommand(),
		a.configCommand(),
		a.versionCommand(),
		a.helpCommand(),
	}
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
	return a.library().RunContext(ctx, inv.words())
}

// library returns the command line as the library wants it. What parse has
// done already (help, version, suggestions, environment) is switched off there.
func (a *app) library() *cli.App {
	commands := make([]*cli.Command, len(a.list))
	for i, c := range a.list {
		commands[i] = tamed(c)
	}
	return &cli.App{
		Name:                      "bobbin",
		Commands:                  commands,
		HideHelp:                  true,
		HideHelpCommand:           true,
		HideVersion:               true,
		DisableSliceFlagSeparator: true,
		Reader:                    a.env.Stdin,
		Writer:                    a.out,
		ErrWriter:                 a.env.Stderr,
		ExitErrHandler:            func(*cli.Context, error) {},
		InvalidFlagAccessHandler:  undeclaredFlag,
	}
}

// tamed returns a copy of a command for the library: without a "help"
// sub-command that would swallow an argument of that name, without help upon a
// usage error, and without environment variables, which the library would take
// from the process behind the back of app.env.
func tamed(c *cli.Command) *cli.Command {
	t := *c
	t.HideHelp, t.HideHelpCommand = true, true
	t.OnUsageError = usageError
	t.Flags = make([]cli.Flag, len(c.Flags))
	for i, f := range c.Flags {
		flag := reflect.New(reflect.TypeOf(f).Elem())
		flag.Elem().Set(reflect.ValueOf(f).Elem())
		if vars := flag.Elem().FieldByName("EnvVars"); vars.IsValid() {
			vars.SetZero()
		}
		t.Flags[i] = flag.Interface().(cli.Flag)
	}
	t.Subcommands = make([]*cli.Command, len(c.Subcommands))
	for i, sub := range c.Subcommands {
		t.Subcommands[i] = tamed(sub)
	}
	return &t
}

func usageError(_ *cli.Context, err error, _ bool) error {
	return usageErrorf("%s", strings.Replace(err.Error(), "flag -", "flag --", 1))
}

// undeclaredFlag stops a command that reads a flag it never declared; the
// library itself looks for help.
func undeclaredFlag(c *cli.Context, name string) {
	if name != "help" && name != "h" {
		panic(fmt.Sprintf("'%s' reads undeclared flag %q", c.Command.HelpName, name))
	}
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
	var b strings.Builder
	for _, r := range plain.String() {
		if r == '\n' || r < utf8.RuneSelf && r != 0x7f || unicode.IsPrint(r) || r > 0xffff {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
