package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

func (a *app) completionCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"In ~/.bashrc.", `source <(bobbin completion bash)`},
			{"For all users of zsh.", "bobbin completion zsh > /usr/local/share/zsh/site-functions/_bobbin"},
			{"For fish.", "bobbin completion fish > ~/.config/fish/completions/bobbin.fish"},
		},
		SeeAlso: []string{"bash(1)", "zsh(1)", "fish(1)"},
	}, &cli.Command{
		Name:        "completion",
		Usage:       "print a completion script for a shell",
		ArgsUsage:   "bash|zsh|fish",
		Description: "Prints a script that lets a shell complete Bobbin's commands and flags. The script holds all it needs and never runs bobbin.",
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			script, ok := completionScripts[c.Args().First()]
			if !ok {
				return usageErrorf("no completion for shell %q; there is one for bash, zsh and fish", c.Args().First())
			}
			_, err := io.WriteString(a.out, script(a.completions()))
			return err
		},
	})
}

var completionScripts = map[string]func([]completion) string{
	"bash": bashScript, "zsh": zshScript, "fish": fishScript,
}

// completion is what may follow one command, whose path is its words after
// "bobbin": "" or "user add".
type completion struct {
	path     string
	commands []entry
	flags    []option
}

// completions lists the completions of all commands, the program's first.
func (a *app) completions() []completion {
	var list []completion
	var add func(p page)
	add = func(p page) {
		c := completion{path: strings.TrimPrefix(strings.TrimPrefix(p.Name, "bobbin"), " "), flags: p.Options}
		for _, sub := range p.Commands {
			c.commands = append(c.commands, entry{strings.TrimPrefix(sub.Name, p.Name+" "), sub.Usage})
		}
		list = append(list, c)
		for _, sub := range p.Commands {
			add(sub)
		}
	}
	add(a.rootPage())
	return list
}

// valueFlags lists the flags whose next word is a value.
func valueFlags(list []completion) []string {
	var names []string
	for _, c := range list {
		for _, o := range c.flags {
			if o.Value != "" {
				names = append(names, o.Names...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// steps lists the "path/word" pairs that lead to a command, quoted as shell
// patterns. After "help" the commands follow, as if it were not there.
func steps(list []completion) []string {
	var pairs []string
	for _, c := range list {
		for _, sub := range c.commands {
			if sub.Name != "help" {
				pairs = append(pairs, shellQuote(c.path+"/"+sub.Name))
			}
		}
	}
	return pairs
}

func shellQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

func commandNames(list []entry) []string {
	var names []string
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names
}

func bashScript(list []completion) string {
	var cases strings.Builder
	for _, c := range list {
		var flags []string
		for _, o := range c.flags {
			flags = append(flags, o.Names...)
		}
		fmt.Fprintf(&cases, "\t%s) commands=%s flags=%s ;;\n", shellQuote(c.path),
			shellQuote(strings.Join(commandNames(c.commands), " ")), shellQuote(strings.Join(flags, " ")))
	}
	return fmt.Sprintf(`# bash completion for bobbin
_bobbin() {
	local cur=${COMP_WORDS[COMP_CWORD]} at= skip= commands= flags= word i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		# bash splits --flag=value at the equals sign
		if [[ $word == = ]]; then skip=1; continue; fi
		if [[ $skip ]]; then skip=; continue; fi
		case $word in
		--) return ;;
		%s) skip=1; continue ;;
		-*) continue ;;
		esac
		case $at/$word in
		%s) at="${at:+$at }$word" ;;
		esac
	done
	if [[ $skip || $cur == = ]]; then return; fi
	case $at in
%s	esac
	case $cur in
	-*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
	*) COMPREPLY=($(compgen -W "$commands" -- "$cur")) ;;
	esac
}
complete -o default -F _bobbin bobbin
`, strings.Join(valueFlags(list), "|"), strings.Join(steps(list), "|"), cases.String())
}

func zshScript(list []completion) string {
	var cases strings.Builder
	described := func(name, text string) string {
		return shellQuote(strings.ReplaceAll(name, ":", `\:`) + ":" + text)
	}
	for _, c := range list {
		var commands, flags []string
		for _, sub := range c.commands {
			commands = append(commands, described(sub.Name, sub.Text))
		}
		for _, o := range c.flags {
			for _, name := range o.Names {
				flags = append(flags, described(name, o.Text))
			}
		}
		fmt.Fprintf(&cases, "\t(%s)\n\t\tcommands=(%s)\n\t\tflags=(%s)\n\t\t;;\n",
			shellQuote(c.path), strings.Join(commands, " "), strings.Join(flags, " "))
	}
	return fmt.Sprintf(`#compdef bobbin
_bobbin() {
	local at= skip= word i
	local -a commands flags
	for ((i = 2; i < CURRENT; i++)); do
		word=$words[i]
		if [[ -n $skip ]]; then skip=; continue; fi
		case $word in
		(--) _files; return ;;
		(%s) skip=1; continue ;;
		(-*) continue ;;
		esac
		case $at/$word in
		(%s) at="${at:+$at }$word" ;;
		esac
	done
	if [[ -n $skip ]]; then _files; return; fi
	case $at in
%s	esac
	if [[ $words[CURRENT] == -* ]]; then
		_describe flag flags
	elif (( $#commands )); then
		_describe command commands
	else
		_files
	fi
}
if [[ $funcstack[1] == _bobbin ]]; then
	_bobbin "$@"
else
	compdef _bobbin bobbin
fi
`, strings.Join(valueFlags(list), "|"), strings.Join(steps(list), "|"), cases.String())
}

func fishQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

func fishScript(list []completion) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# fish completion for bobbin
function __bobbin_at --description 'the command that the line has come to is $argv[1]'
	set -l at ''
	set -l skip 0
	for word in (commandline -opc)[2..-1]
		if test $skip = 1
			set skip 0
			continue
		end
		switch $word
			case %s
				set skip 1
				continue
			case '-*'
				continue
		end
		switch $at/$word
			case %s
				set at (string trim "$at $word")
		end
	end
	test "$at" = "$argv[1]"
end
`, strings.Join(valueFlags(list), " "), strings.Join(steps(list), " "))
	for _, c := range list {
		at := "complete -c bobbin -n " + fishQuote("__bobbin_at "+fishQuote(c.path))
		for _, sub := range c.commands {
			fmt.Fprintf(&b, "%s -f -a %s -d %s\n", at, fishQuote(sub.Name), fishQuote(sub.Text))
		}
		for _, o := range c.flags {
			b.WriteString(at)
			for _, name := range o.Names {
				if long, ok := strings.CutPrefix(name, "--"); ok {
					b.WriteString(" -l " + long)
				} else {
					b.WriteString(" -s " + name[1:])
				}
			}
			if o.Value != "" {
				b.WriteString(" -r")
			}
			fmt.Fprintf(&b, " -d %s\n", fishQuote(o.Text))
		}
	}
	return b.String()
}
