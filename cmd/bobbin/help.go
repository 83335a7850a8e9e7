package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// helpWidth is the width of help texts; they are not fitted to the terminal,
// so that they read the same everywhere.
const helpWidth = 78

func (a *app) helpCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"The list of commands.", "bobbin help"},
			{"The man page of a command, without installing it.", "bobbin man version | man -l -"},
		},
	}, &cli.Command{
		Name:        "help",
		Usage:       "explain a command",
		ArgsUsage:   "[COMMAND ...]",
		Description: "Prints what a command does, its flags and examples; without a command, the list of all commands. 'bobbin COMMAND --help' does the same.",
		// parse answers "help" before any command runs.
		Action: func(*cli.Context) error { return a.printHelp(nil) },
	})
}

func (a *app) printHelp(path []*cli.Command) error {
	_, err := io.WriteString(a.out, helpText(a.page(path)))
	return err
}

// helpText renders a page for a terminal.
func helpText(p page) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s - %s\n\nUsage:\n", p.Name, p.Usage)
	for _, line := range p.Synopsis {
		hanging(&b, "  "+p.Name, line, len(p.Name)+3)
	}
	for _, para := range paragraphs(p.Description) {
		b.WriteByte('\n')
		lines := para.lines
		if !para.verbatim {
			lines = wrap(strings.Join(lines, " "), helpWidth)
		}
		for _, line := range lines {
			if para.verbatim {
				line = "    " + line
			}
			b.WriteString(line + "\n")
		}
	}
	if len(p.Commands) > 0 {
		b.WriteString("\nCommands:\n")
		for _, c := range p.Commands {
			hanging(&b, "  "+strings.TrimPrefix(c.Name, p.Name+" "), c.Usage, 16)
		}
	}
	b.WriteString("\nFlags:\n")
	for _, o := range p.Options {
		hanging(&b, "  "+o.forms(), strings.Join(append([]string{o.Text + "."}, o.hints()...), " "), 20)
	}
	if len(p.Examples) > 0 {
		b.WriteString("\nExamples:\n")
		for _, e := range p.Examples {
			fmt.Fprintf(&b, "  # %s\n  %s\n", e.Text, e.Line)
		}
	}
	return b.String()
}

// hanging writes a label and the text that explains it in a column.
func hanging(b *strings.Builder, label, text string, column int) {
	lines := wrap(text, helpWidth-column)
	if len(label)+1 > column {
		b.WriteString(label + "\n")
		label = ""
	}
	for _, line := range lines {
		fmt.Fprintf(b, "%-*s%s\n", column, label, line)
		label = ""
	}
	if len(lines) == 0 && label != "" {
		b.WriteString(label + "\n")
	}
}
