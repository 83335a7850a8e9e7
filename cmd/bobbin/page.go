package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// page is the manual of one command, or of the whole program when path is
// empty. The help text, the man page and the completion scripts come from it.
type page struct {
	Name        string // "bobbin user add"
	Usage       string
	Synopsis    []string
	Description string
	Options     []option
	Commands    []page // what comes below
	Exits       []int
	Examples    []example
	Files       []entry
	SeeAlso     []string
}

// option is one flag.
type option struct {
	Names   []string // with dashes, the short ones first
	Value   string   // its placeholder; empty for a flag that takes none
	Text    string
	Default string
	Env     []string
}

const rootDescription = `Bobbin is a mail spool on a shared drive. Any number of hosts deliver into, read and expunge the same mailboxes at the same time, over plain NFS, SMB, AFS or any other shared file system. Nothing but the file server runs on the storage side.

Flags may stand before or after the arguments; "--" ends them. The flags that several commands share may also stand before the command's name; a command that has no use for one refuses it.`

// rootPage describes the program as a whole.
func (a *app) rootPage() page {
	p := page{
		Name:        "bobbin",
		Usage:       "mail spool on a shared drive",
		Synopsis:    []string{"COMMAND [flag ...] [argument ...]", "help [COMMAND]", "--version"},
		Description: rootDescription,
		Options:     append(options(commonFlags()), helpOption, option{Names: []string{"--version"}, Text: "print the version"}),
		Exits:       exitCodes(notes{}, true),
		Files:       []entry{markerFile},
	}
	for _, c := range a.allCommands() {
		if !c.Hidden {
			p.Commands = append(p.Commands, a.page([]*cli.Command{c}))
			p.SeeAlso = append(p.SeeAlso, pageName(pathName([]*cli.Command{c}))+"(1)")
		}
	}
	return p
}

var (
	helpOption = option{Names: []string{"-h", "--help"}, Text: "print help"}
	markerFile = entry{"DIR/bobbin.toml", "the marker in the root of a spool: what all hosts must agree on"}
)

// page describes the command at the end of path.
func (a *app) page(path []*cli.Command) page {
	if len(path) == 0 {
		return a.rootPage()
	}
	c := path[len(path)-1]
	n := a.notes[c]
	p := page{
		Name:        pathName(path),
		Usage:       c.Usage,
		Description: strings.TrimSpace(c.Description),
		Options:     append(options(c.Flags), helpOption),
		Exits:       exitCodes(n, findFlag(c.Flags, "spool") != nil),
		Examples:    n.Examples,
		Files:       n.Files,
		SeeAlso:     append([]string{"bobbin(1)"}, n.SeeAlso...),
	}
	for _, sub := range c.Subcommands {
		if !sub.Hidden {
			p.Commands = append(p.Commands, a.page(append(path[:len(path):len(path)], sub)))
		}
	}
	if len(p.Commands) == 0 {
		p.Synopsis = []string{synopsis(c)}
	}
	for _, sub := range p.Commands {
		p.Synopsis = append(p.Synopsis, strings.TrimPrefix(sub.Name, p.Name+" ")+" "+sub.Synopsis[0])
		p.Examples = append(p.Examples, sub.Examples...)
		p.Files = append(p.Files, sub.Files...)
		p.Exits = append(p.Exits, sub.Exits...)
	}
	if findFlag(c.Flags, "spool") != nil {
		p.Files = append([]entry{markerFile}, p.Files...)
	}
	slices.Sort(p.Exits)
	p.Exits, p.Files = slices.Compact(p.Exits), unique(p.Files)
	return p
}

func unique(list []entry) (kept []entry) {
	for _, e := range list {
		if !slices.Contains(kept, e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// synopsis writes flags and arguments of a command in one line.
func synopsis(c *cli.Command) string {
	var parts []string
	for _, f := range c.Flags {
		o, required := describe(f), false
		if r, ok := f.(cli.RequiredFlag); ok {
			required = r.IsRequired()
		}
		form := o.Names[len(o.Names)-1]
		if o.Value != "" {
			form += " " + o.Value
		}
		if !required {
			form = "[" + form + "]"
		}
		if isVisible(f) {
			parts = append(parts, form)
		}
	}
	if c.ArgsUsage != "" {
		parts = append(parts, c.ArgsUsage)
	}
	return strings.Join(parts, " ")
}

func options(flags []cli.Flag) []option {
	var list []option
	for _, f := range flags {
		if isVisible(f) {
			list = append(list, describe(f))
		}
	}
	return list
}

func isVisible(f cli.Flag) bool {
	v, ok := f.(cli.VisibleFlag)
	return !ok || v.IsVisible()
}

func describe(f cli.Flag) option {
	d := documented(f)
	text, value := placeholder(d.GetUsage())
	o := option{Text: text, Env: d.GetEnvVars()}
	names := d.Names()
	for _, name := range append(names[1:len(names):len(names)], names[0]) {
		o.Names = append(o.Names, dashed(name))
	}
	if !d.TakesValue() {
		return o
	}
	o.Value, o.Default = value, strings.Trim(d.GetDefaultText(), `"`)
	if o.Default == "0" || o.Default == "0s" {
		o.Default = "" // stands for "not given"
	}
	if value == "" {
		o.Value = "VALUE"
	}
	return o
}

// placeholder takes the quotes off the `WORD` in a usage text that stands for
// the flag's value.
func placeholder(usage string) (text, value string) {
	before, rest, _ := strings.Cut(usage, "`")
	value, after, closed := strings.Cut(rest, "`")
	if !closed {
		return usage, ""
	}
	return before + value + after, value
}

// forms is how the option is typed: "-f, --folder NAME".
func (o option) forms() string {
	s := strings.Join(o.Names, ", ")
	if o.Value != "" {
		s += " " + o.Value
	}
	return s
}

// hints are the default and the environment variables of the option.
func (o option) hints() []string {
	var hints []string
	if o.Default != "" {
		hints = append(hints, "Default: "+o.Default+".")
	}
	if len(o.Env) > 0 {
		hints = append(hints, "Environment: "+strings.Join(o.Env, ", ")+".")
	}
	return hints
}

// pageName is the name of a man page: "bobbin-user" for "bobbin user".
func pageName(command string) string { return strings.ReplaceAll(command, " ", "-") }

// paragraphs splits a description. A paragraph whose lines all begin with two
// spaces is shown as it is.
func paragraphs(description string) (list []paragraph) {
	for _, text := range strings.Split(description, "\n\n") {
		text = strings.Trim(text, "\n")
		if text == "" {
			continue
		}
		lines := strings.Split(text, "\n")
		verbatim := true
		for i, line := range lines {
			verbatim = verbatim && strings.HasPrefix(line, "  ")
			lines[i] = strings.TrimPrefix(line, "  ")
		}
		if !verbatim {
			lines = strings.Split(text, "\n")
		}
		list = append(list, paragraph{lines, verbatim})
	}
	return list
}

type paragraph struct {
	lines    []string
	verbatim bool
}
