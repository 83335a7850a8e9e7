package main

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// The library takes flags only before the first argument and prints help in
// odd places. So the command line is taken apart here, in the way of getopt:
// flags stand anywhere, "--" ends them, "-nx" is "-n x", a flag that needs a
// value takes the next word whatever it looks like. The library then gets the
// values of the flags and the arguments.

// invocation is a command line taken apart.
type invocation struct {
	path    []*cli.Command // down to the command to run
	flags   []flagValue
	args    []string
	help    bool
	version bool
	config  string // the configuration file that was read
}

type flagValue struct{ name, value, from string }

// from tells where the value of a flag comes from, "" if nobody gave it.
func (inv invocation) from(name string) (from string) {
	for _, f := range inv.flags {
		if f.name == name {
			from = f.from
		}
	}
	return from
}

// command returns the command to run; nil when there is none.
func (inv invocation) command() *cli.Command {
	if len(inv.path) == 0 {
		return nil
	}
	return inv.path[len(inv.path)-1]
}

// values are all values of a flag, in their order.
func (inv invocation) values(name string) (values []string) {
	for _, f := range inv.flags {
		if f.name == name {
			values = append(values, f.value)
		}
	}
	return values
}

func pathName(path []*cli.Command) string {
	name := "bobbin"
	for _, c := range path {
		name += " " + c.Name
	}
	return name
}

// parse takes a command line apart. Also with an error the path is as far as
// it was understood.
func (a *app) parse(words []string) (invocation, error) {
	p := lineParser{app: a, words: words}
	for len(p.words) > 0 {
		if err := p.word(p.next()); err != nil {
			return p.inv, err
		}
	}
	asked := p.inv.help || p.inv.version
	if asked && a.notes[p.inv.command()].MTA && len(p.inv.args) > 0 {
		// A help text and success would look like a delivery.
		return p.inv, exitWith(exitTempFail, errors.New("help was asked for among the names of users: write -- before the first of them"))
	}
	if asked {
		return p.inv, nil
	}
	return p.inv, p.finish()
}

type lineParser struct {
	app    *app
	words  []string // still to be read
	inv    invocation
	config *configFile // once it was read
}

func (p *lineParser) next() string {
	word := p.words[0]
	p.words = p.words[1:]
	return word
}

func (p *lineParser) word(word string) error {
	switch {
	case word == "--":
		for len(p.words) > 0 {
			if err := p.argument(p.next()); err != nil {
				return err
			}
		}
		return nil
	case strings.HasPrefix(word, "--"):
		return p.long(word)
	case len(word) > 1 && word[0] == '-' && !p.isDashArg(word):
		return p.short(word)
	}
	return p.argument(word)
}

// leaf returns the command that the arguments belong to, nil as long as it is
// not known.
func (p *lineParser) leaf() *cli.Command {
	if c := p.inv.command(); c != nil && len(c.Subcommands) == 0 {
		return c
	}
	return nil
}

// flag returns the flag of that name which may stand here, or nil.
func (p *lineParser) flag(name string) cli.Flag {
	if c := p.leaf(); c != nil {
		return findFlag(c.Flags, name)
	}
	return findFlag(commonFlags(), name)
}

// isDashArg tells whether a word that begins with one dash is an argument of
// this command. A flag of one letter goes first.
func (p *lineParser) isDashArg(word string) bool {
	isArg := p.app.notes[p.leaf()].DashArgs
	isFlag := utf8.RuneCountInString(word) == 2 && p.flag(word[1:]) != nil
	return isArg != nil && !isFlag && isArg(word)
}

// argument takes a word that is no flag.
func (p *lineParser) argument(word string) error {
	if p.leaf() != nil {
		p.inv.args = append(p.inv.args, word)
		return nil
	}
	group := p.inv.command()
	if group == nil && word == "help" && !p.inv.help {
		p.inv.help = true
		return nil
	}
	named, commands := p.app.command, p.app.allCommands
	if group != nil {
		named, commands = group.Command, func() []*cli.Command { return group.Subcommands }
	}
	if c := named(word); c != nil {
		p.inv.path = append(p.inv.path, c)
		return nil
	}
	var names []string
	for _, c := range commands() {
		if !c.Hidden {
			names = append(names, c.Name)
		}
	}
	if near := closest(word, names); near != "" {
		return usageErrorf("unknown command %q; did you mean %q?", word, near)
	}
	return usageErrorf("unknown command %q; %s", word, p.seeHelp())
}

// seeHelp says where the flags or commands are listed that fit here.
func (p *lineParser) seeHelp() string {
	topic := strings.TrimPrefix(pathName(p.inv.path), "bobbin")
	return "see 'bobbin help" + topic + "'"
}

func (p *lineParser) long(word string) error {
	name, value, attached := strings.Cut(word[2:], "=")
	f := p.flag(name)
	switch {
	case utf8.RuneCountInString(name) < 2:
		return p.unknown(word)
	case f == nil && name == "help" && !attached:
		p.inv.help = true
		return nil
	case f == nil && name == "version" && !attached && len(p.inv.path) == 0:
		p.inv.version = true
		return nil
	case f == nil:
		return p.unknown("--" + name)
	case attached:
		return p.set(f, value)
	case !documented(f).TakesValue():
		return p.set(f, "true")
	}
	return p.setNext(f, word)
}

// short takes a word of one-letter flags; after one that needs a value the
// rest of the word is the value.
func (p *lineParser) short(word string) error {
	for rest := word[1:]; rest != ""; {
		_, n := utf8.DecodeRuneInString(rest)
		name := rest[:n]
		rest = rest[n:]
		f := p.flag(name)
		switch {
		case f == nil && name == "h":
			p.inv.help = true
			continue
		case f == nil && len(word) > 1+n && p.flag(word[1:]) != nil:
			return usageErrorf("unknown flag %s; did you mean -%s?", word, word)
		case f == nil:
			return p.unknown("-" + name)
		case !documented(f).TakesValue():
			if err := p.set(f, "true"); err != nil {
				return err
			}
			continue
		case rest == "":
			return p.setNext(f, "-"+name)
		}
		return p.set(f, rest)
	}
	return nil
}

func (p *lineParser) setNext(f cli.Flag, word string) error {
	if len(p.words) == 0 {
		return usageErrorf("flag %s needs a value", word)
	}
	return p.set(f, p.next())
}

func (p *lineParser) set(f cli.Flag, value string) error {
	name := flagNames(f)[0]
	if err := checkBool(f, dashed(name), value); err != nil {
		return err
	}
	p.inv.flags = append(p.inv.flags, flagValue{name, value, dashed(name)})
	return nil
}

// checkBool finds what the library would only call a parse error.
func checkBool(f cli.Flag, source, value string) error {
	if documented(f).TakesValue() {
		return nil
	}
	if _, err := strconv.ParseBool(value); err != nil {
		return usageErrorf("%s is true or false, not %q", source, value)
	}
	return nil
}

func (p *lineParser) unknown(flag string) error {
	leaf := p.leaf()
	if leaf == nil && len(p.inv.path) == 0 {
		return usageErrorf("unknown flag %s before the command; flags of a command stand after its name", flag)
	}
	var names []string
	if leaf != nil {
		for _, f := range leaf.Flags {
			names = append(names, flagNames(f)...)
		}
	}
	name := strings.TrimLeft(flag, "-")
	if near := closest(name, names); near != "" {
		return usageErrorf("unknown flag %s; did you mean %s?", flag, dashed(near))
	}
	return usageErrorf("unknown flag %s; %s", flag, p.seeHelp())
}

// finish checks the line as a whole and adds what the environment says.
func (p *lineParser) finish() error {
	leaf := p.leaf()
	switch {
	case len(p.inv.path) == 0:
		return usageErrorf("no command given; 'bobbin help' lists them")
	case leaf == nil:
		var names []string
		for _, c := range p.inv.command().Subcommands {
			names = append(names, c.Name)
		}
		return usageErrorf("'%s' needs one of: %s", pathName(p.inv.path), strings.Join(names, ", "))
	}
	given := make(map[string]bool)
	for _, v := range p.inv.flags {
		// Before the command's name every common flag was welcome.
		if findFlag(leaf.Flags, v.name) == nil {
			return usageErrorf("'%s' takes no flag %s", pathName(p.inv.path), dashed(v.name))
		}
		given[v.name] = true
	}
	for _, f := range leaf.Flags {
		if err := p.complete(f, given[flagNames(f)[0]]); err != nil {
			return err
		}
	}
	return nil
}

// complete takes a flag that was not given from the environment or from the
// configuration file.
func (p *lineParser) complete(f cli.Flag, given bool) error {
	if given {
		return nil
	}
	name := flagNames(f)[0]
	for _, variable := range documented(f).GetEnvVars() {
		value := p.app.env.Getenv(variable)
		if value == "" {
			continue
		}
		if err := checkBool(f, variable, value); err != nil {
			return err
		}
		p.inv.flags = slices.Insert(p.inv.flags, 0, flagValue{name, value, variable})
		return nil
	}
	if err := p.fromConfig(f); err != nil {
		return err
	}
	if r, ok := f.(cli.RequiredFlag); ok && r.IsRequired() {
		return usageErrorf("'%s' needs the flag %s", pathName(p.inv.path), dashed(name))
	}
	return nil
}
