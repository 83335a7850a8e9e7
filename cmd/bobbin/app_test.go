package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/netfs"
)

// testRun is a program whose commands are the test's own and the frame's.
type testRun struct {
	app            *app
	vars           map[string]string
	stdout, stderr bytes.Buffer
}

func newTestRun(commands func(*app) []*cli.Command) *testRun {
	r := &testRun{vars: make(map[string]string)}
	r.app = newApp(environment{
		Stdin:  strings.NewReader(""),
		Stdout: &r.stdout,
		Stderr: &r.stderr,
		Getenv: func(name string) string { return r.vars[name] },
		Login:  func() (string, error) { return "login", nil },
		Host: func(_ context.Context, dir string) (*netfs.Host, error) {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: fs.ErrNotExist}
		},
	})
	if commands != nil {
		list := append(commands(r.app),
			r.app.completionCommand(), r.app.manCommand(), r.app.versionCommand(), r.app.helpCommand())
		r.app.list = nil
		for _, c := range list {
			r.app.list = append(r.app.list, namedCommand{c.Name, func() *cli.Command { return c }})
		}
	}
	return r
}

func (r *testRun) run(words ...string) int {
	r.stdout.Reset()
	r.stderr.Reset()
	return r.app.run(context.Background(), words)
}

// seen is what a toy command reports of its command line.
type seen struct {
	Name  string
	Flags map[string]string
	Args  []string
}

func (a *app) toy(name, args string, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name: name, Usage: "do " + name, ArgsUsage: args, Description: "Does " + name + ".", Flags: flags,
		Action: func(c *cli.Context) error {
			s := seen{Name: c.Command.HelpName, Flags: map[string]string{}, Args: c.Args().Slice()}
			for _, f := range c.Command.Flags {
				n := f.Names()[0]
				s.Flags[n] = fmt.Sprint(c.Value(n))
				if list, ok := c.Value(n).(cli.StringSlice); ok {
					s.Flags[n] = strings.Join(list.Value(), "|")
				}
			}
			return writeJSON(a.out, s)
		},
	}
}

var flagWord = regexp.MustCompile(`^-[a-z]`)

// toys are commands like those of the program.
func toys(a *app) []*cli.Command {
	return []*cli.Command{
		a.toy("init", "DIR"),
		a.with(notes{MTA: true}, a.toy("deliver", "USER ...", spoolFlag(),
			&cli.StringFlag{Name: "from", Aliases: []string{"f"}, Usage: "the sender is `ADDRESS`"})),
		a.toy("list", "", spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.IntFlag{Name: "limit", Aliases: []string{"n"}, Usage: "at most `N`"},
			&cli.BoolFlag{Name: "all", Aliases: []string{"a"}, Usage: "everything", EnvVars: []string{"TOY_ALL"}}),
		a.toy("show", "UID ...", spoolFlag(), &cli.BoolFlag{Name: "raw", Usage: "as it is"}),
		a.with(notes{DashArgs: flagWord.MatchString}, a.toy("flag", "CHANGE UID", userFlag(),
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing"})),
		{Name: "user", Usage: "accounts", Description: "Accounts.", Subcommands: []*cli.Command{
			a.toy("add", "NAME", spoolFlag(), &cli.StringSliceFlag{Name: "alias", Usage: "also `NAME`"}),
			a.toy("list", "", spoolFlag()),
		}},
		a.toy("copy", "", &cli.StringFlag{Name: "to", Usage: "to `NAME`", Required: true}),
		{Name: "secret", Usage: "hidden", Hidden: true, Action: func(*cli.Context) error { return nil }},
	}
}

// failing is a command that ends in err.
func failing(name string, n notes, fail func() error) func(*app) []*cli.Command {
	return func(a *app) []*cli.Command {
		return []*cli.Command{a.with(n, &cli.Command{Name: name, Action: func(*cli.Context) error { return fail() }})}
	}
}

// complaint is how a line on standard error begins; that of a command for mail
// systems has a status code.
var complaint = regexp.MustCompile(`\A([45]\.[0-9]\.[0-9] )?bobbin: `)

// wantComplaint checks that the run printed err as one line, and nothing else.
func (r *testRun) wantComplaint(t *testing.T, text string) {
	t.Helper()
	if r.stdout.Len() > 0 {
		t.Errorf("standard output: %q", r.stdout.String())
	}
	got := r.stderr.String()
	if !complaint.MatchString(got) || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
		t.Errorf("not one line of complaint: %q", got)
	}
	if !strings.Contains(got, text) {
		t.Errorf("complaint %q lacks %q", got, text)
	}
}

func TestPanicIsTemporary(t *testing.T) {
	for _, name := range []string{"toy", "deliver"} {
		var none []int
		r := newTestRun(failing(name, notes{}, func() error { return fmt.Errorf("%d", none[len(name)]) }))
		if code := r.run(name); code != exitTempFail {
			t.Errorf("exit code %d", code)
		}
		r.wantComplaint(t, "internal error: runtime error: index out of range")
		r.wantComplaint(t, "bobbin/app_test.go:")
	}
}

func TestUndeclaredFlagIsFound(t *testing.T) {
	r := newTestRun(func(a *app) []*cli.Command {
		return []*cli.Command{{Name: "toy", Action: func(c *cli.Context) error {
			_, err := a.spoolDir(c)
			return err
		}}}
	})
	if code := r.run("toy"); code != exitTempFail {
		t.Errorf("exit code %d", code)
	}
	r.wantComplaint(t, `internal error: 'bobbin toy' reads undeclared flag "spool"`)
}

func TestLostOutputIsReported(t *testing.T) {
	full := errors.New("no room")
	pr, pw := io.Pipe()
	pr.CloseWithError(full)
	for _, command := range []string{"version", "help", "man", "list"} {
		r := newTestRun(toys)
		r.app.out.w = pw
		if code := r.run(command); code != exitIOErr {
			t.Errorf("%s: exit code %d", command, code)
		}
		r.wantComplaint(t, "write standard output: no room")
	}
	r := newTestRun(func(a *app) []*cli.Command {
		return []*cli.Command{{Name: "careless", Action: func(*cli.Context) error {
			fmt.Fprintln(a.out, "text")
			return nil
		}}}
	})
	r.app.out.w = pw
	if code := r.run("careless"); code != exitIOErr {
		t.Errorf("careless: exit code %d", code)
	}
}

func TestEnvironmentComesFromTheApp(t *testing.T) {
	t.Setenv("BOBBIN_SPOOL", "/process")
	t.Setenv("TOY_ALL", "true")
	r := newTestRun(toys)
	flags := func(words ...string) map[string]string {
		t.Helper()
		var s seen
		if code := r.run(words...); code != exitOK {
			t.Fatalf("%q: exit code %d: %s", words, code, &r.stderr)
		}
		if err := json.Unmarshal(r.stdout.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return s.Flags
	}
	if got := flags("list"); got["spool"] != "" || got["all"] != "false" {
		t.Errorf("the process's environment came through: %v", got)
	}
	r.vars = map[string]string{"BOBBIN_SPOOL": "/vars", "TOY_ALL": "1"}
	if got := flags("list"); got["spool"] != "/vars" || got["all"] != "true" {
		t.Errorf("the environment did not come through: %v", got)
	}
	if got := flags("list", "--spool", "/flag", "--all=false"); got["spool"] != "/flag" || got["all"] != "false" {
		t.Errorf("a flag did not go before the environment: %v", got)
	}
	r.vars["TOY_ALL"] = "maybe"
	if code := r.run("list"); code != exitUsage {
		t.Errorf("exit code %d", code)
	}
	r.wantComplaint(t, `TOY_ALL is true or false, not "maybe"`)
}

func TestLibraryDoesNotExit(t *testing.T) {
	r := newTestRun(failing("toy", notes{}, func() error { return cli.Exit("own way out", 3) }))
	if code := r.run("toy"); code != exitFailure {
		t.Errorf("exit code %d", code)
	}
	r.wantComplaint(t, "own way out")
}

func TestSpoolAndUser(t *testing.T) {
	for _, test := range []struct {
		words []string
		code  int
		want  string
	}{
		{[]string{"who"}, exitOK, "login"},
		{[]string{"who", "--user", "ann"}, exitOK, "ann"},
		{[]string{"who", "--user="}, exitUsage, "needs a name"},
		{[]string{"open"}, exitUsage, "no spool given"},
		{[]string{"open", "--spool="}, exitUsage, "needs the name of a directory"},
		{[]string{"open", "--spool=/away"}, exitTempFail, "spool /away: open /away: file does not exist"},
	} {
		r := newTestRun(func(a *app) []*cli.Command {
			return []*cli.Command{
				{Name: "who", Flags: []cli.Flag{userFlag()}, Action: func(c *cli.Context) error {
					name, err := a.userName(c)
					if err == nil {
						fmt.Fprint(a.out, name)
					}
					return err
				}},
				{Name: "open", Flags: []cli.Flag{spoolFlag()}, Action: func(c *cli.Context) error {
					_, err := a.host(c)
					return err
				}},
			}
		})
		code := r.run(test.words...)
		if got := r.stdout.String() + r.stderr.String(); code != test.code || !strings.Contains(got, test.want) {
			t.Errorf("%q: exit code %d, %q; want %d, %q", test.words, code, got, test.code, test.want)
		}
	}
}

func TestProcessEnvironmentOpensShares(t *testing.T) {
	env := processEnvironment()
	dir := t.TempDir()
	h, err := env.Host(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Share.Mkdir(context.Background(), "inside", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.Share.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "inside")); err != nil {
		t.Error(err)
	}
	if _, err := env.Host(context.Background(), filepath.Join(dir, "away")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing directory: %v", err)
	}
	if name, err := env.Login(); err != nil || name == "" {
		t.Errorf("login name %q, %v", name, err)
	}
}

// TestCommandsAreDescribed holds every command to what help, man pages and
// parse rely on.
func TestCommandsAreDescribed(t *testing.T) {
	a := newTestRun(nil).app
	var check func(path []*cli.Command)
	check = func(path []*cli.Command) {
		c := path[len(path)-1]
		for _, problem := range problems(a, c, len(path) > 1) {
			t.Errorf("%s: %s", pathName(path), problem)
		}
		for _, sub := range c.Subcommands {
			check(append(slices.Clone(path), sub))
		}
	}
	for i, c := range a.allCommands() {
		if c.Name != a.list[i].name {
			t.Errorf("'%s' is listed as %q", c.Name, a.list[i].name)
		}
		check([]*cli.Command{c})
	}
	bad := &cli.Command{Name: "bad", Usage: "Ends in a stop.", Subcommands: []*cli.Command{{Name: "x"}},
		Flags: []cli.Flag{&cli.StringFlag{Name: "x"}}}
	if got := problems(a, bad, false); len(got) != 7 {
		t.Errorf("%d problems of a bad command: %q", len(got), got)
	}
	if got := problems(a, bad.Subcommands[0], true); len(got) != 2 {
		t.Errorf("%d problems of a bad sub-command: %q", len(got), got)
	}
}

// problems finds what is missing in the description of a command; a nested one
// is explained with its group, a hidden one not at all.
func problems(a *app, c *cli.Command, nested bool) (list []string) {
	add := func(is bool, format string, args ...any) {
		if is {
			list = append(list, fmt.Sprintf(format, args...))
		}
	}
	group := len(c.Subcommands) > 0
	nested = nested || c.Hidden
	add(c.Usage == "" || strings.HasSuffix(c.Usage, "."), "Usage is a phrase without full stop, not %q", c.Usage)
	add(!nested && !strings.HasSuffix(strings.TrimSpace(c.Description), "."), "Description is not a text")
	add(group && len(c.Flags) > 0, "a group of commands has no flags of its own")
	add(!group && c.Action == nil, "no Action")
	add(!nested && len(a.page([]*cli.Command{c}).Examples) == 0, "no example")
	for _, f := range c.Flags {
		text, value := placeholder(documented(f).GetUsage())
		add(len(f.Names()[0]) < 2, "flag %s: the first name is a long one", f.Names()[0])
		add(text == "" || strings.HasSuffix(text, "."), "flag %s: Usage is a phrase without full stop", f.Names()[0])
		add(documented(f).TakesValue() && value == "", "flag %s: Usage has no `VALUE`", f.Names()[0])
	}
	return list
}

// needTool skips a test for want of a program, unless everything is to run.
func needTool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	switch {
	case err == nil:
	case os.Getenv("BOBBIN_TEST_FULL") != "":
		t.Fatalf("%s is needed for the full tests: %v", name, err)
	default:
		t.Skipf("%s is not installed", name)
	}
	return path
}
