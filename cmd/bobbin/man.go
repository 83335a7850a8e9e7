package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
)

func (a *app) manCommand() *cli.Command {
	return a.with(notes{
		Examples: []example{
			{"Install all man pages.", "bobbin man --dir /usr/local/share/man/man1"},
			{"Read one at once.", "bobbin man completion | man -l -"},
		},
		SeeAlso: []string{"man(1)"},
	}, &cli.Command{
		Name:        "man",
		Usage:       "write the man pages",
		ArgsUsage:   "[COMMAND]",
		Description: "Prints the man page of a command, or of bobbin itself when no command is named, as roff. With --dir all man pages are written into a directory: bobbin.1 and one page for each command.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "write all pages into the directory `DIR`, which is made if it is missing"},
		},
		Action: a.man,
	})
}

func (a *app) man(c *cli.Context) error {
	pages := a.manPages()
	if c.IsSet("dir") {
		if err := wantArgs(c, 0, 0); err != nil {
			return err
		}
		return writePages(c.String("dir"), pages)
	}
	if err := wantArgs(c, 0, 1); err != nil {
		return err
	}
	name := strings.TrimSuffix("bobbin-"+c.Args().First(), "-") + ".1"
	text, ok := pages[name]
	if !ok {
		return usageErrorf("no man page for %q; 'bobbin help' lists the commands", c.Args().First())
	}
	_, err := io.WriteString(a.out, text)
	return err
}

// manPages returns all man pages by file name.
func (a *app) manPages() map[string]string {
	root := a.rootPage()
	pages := map[string]string{"bobbin.1": roff(root)}
	for _, p := range root.Commands {
		pages[pageName(p.Name)+".1"] = roff(p)
	}
	return pages
}

func writePages(dir string, pages map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("man pages: %w", err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("man pages: %w", err)
		}
	}
	return nil
}

// roff renders a page for man(1).
func roff(p page) string {
	var w roffWriter
	w.macro(".TH", strings.ToUpper(pageName(p.Name)), "1", "", "Bobbin", "User Commands")
	w.section("NAME")
	w.line(pageName(p.Name) + " - " + p.Usage)
	w.section("SYNOPSIS")
	for i, line := range p.Synopsis {
		if i > 0 {
			w.raw(".br")
		}
		w.raw(w.bold(p.Name) + " " + roffEscape(line))
	}
	w.section("DESCRIPTION")
	w.description(p.Description)
	w.commands(p)
	w.section("OPTIONS")
	w.options(p.Options)
	w.section("EXIT STATUS")
	for _, m := range exitMeanings {
		for _, code := range p.Exits {
			if code == m.code {
				w.tagged(fmt.Sprint(code), m.text)
			}
		}
	}
	w.examples(p.Examples)
	if len(p.Files) > 0 {
		w.section("FILES")
		for _, f := range p.Files {
			w.tagged(f.Name, f.Text+".")
		}
	}
	if len(p.SeeAlso) > 0 {
		w.section("SEE ALSO")
		w.references(p.SeeAlso)
	}
	return w.b.String()
}

type roffWriter struct{ b strings.Builder }

// roffEscape makes text mean itself: backslashes, and hyphens that are typed
// on a command line.
func roffEscape(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, `"`, `\(dq`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`).Replace(text)
}

func (w *roffWriter) raw(line string) { w.b.WriteString(line + "\n") }

// line writes text, which must not be taken for a request.
func (w *roffWriter) line(text string) {
	text = roffEscape(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	w.raw(text)
}

func (w *roffWriter) macro(name string, args ...string) {
	for _, arg := range args {
		name += ` "` + roffEscape(arg) + `"`
	}
	w.raw(name)
}

func (w *roffWriter) bold(text string) string { return `\fB` + roffEscape(text) + `\fR` }

func (w *roffWriter) section(name string) { w.macro(".SH", name) }

func (w *roffWriter) tagged(tag, text string) {
	w.raw(".TP")
	w.raw(w.bold(tag))
	w.line(text)
}

func (w *roffWriter) description(text string) {
	for i, p := range paragraphs(text) {
		if p.verbatim {
			w.verbatim(p.lines)
			continue
		}
		if i > 0 {
			w.raw(".PP")
		}
		for _, line := range p.lines {
			w.line(strings.TrimSpace(line))
		}
	}
}

func (w *roffWriter) verbatim(lines []string) {
	w.raw(".PP\n.RS 4\n.nf")
	for _, line := range lines {
		w.line(line)
	}
	w.raw(".fi\n.RE")
}

// commands lists what comes below a page: in a few words below the root, else
// in full, because only commands directly below the root have their own page.
func (w *roffWriter) commands(p page) {
	if len(p.Commands) == 0 {
		return
	}
	w.section("COMMANDS")
	for _, c := range p.Commands {
		name := strings.TrimPrefix(c.Name, p.Name+" ")
		if p.Name == "bobbin" {
			w.tagged(name, c.Usage)
			continue
		}
		w.macro(".SS", name)
		w.raw(w.bold(c.Name) + " " + roffEscape(c.Synopsis[0]))
		if c.Description != "" {
			w.raw(".PP")
			w.description(c.Description)
		}
		w.options(c.Options[:len(c.Options)-1]) // --help is explained once
	}
}

func (w *roffWriter) options(list []option) {
	for _, o := range list {
		w.raw(".TP")
		forms := w.bold(strings.Join(o.Names, ", "))
		if o.Value != "" {
			forms += ` \fI` + roffEscape(o.Value) + `\fR`
		}
		w.raw(forms)
		w.line(strings.Join(append([]string{o.Text + "."}, o.hints()...), " "))
	}
}

func (w *roffWriter) examples(list []example) {
	if len(list) == 0 {
		return
	}
	w.section("EXAMPLES")
	for i, e := range list {
		if i > 0 {
			w.raw(".PP")
		}
		w.line(e.Text)
		w.verbatim([]string{e.Line})
	}
}

// references writes "name(section)" entries, which have to be that.
func (w *roffWriter) references(list []string) {
	for i, ref := range list {
		name, section, _ := strings.Cut(ref, "(")
		comma := ","
		if i == len(list)-1 {
			comma = ""
		}
		w.raw(".BR " + roffEscape(name) + " (" + section + comma)
	}
}
