package main

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the man pages in docs/man and other golden files")

var manDir = filepath.Join("..", "..", "docs", "man")

// TestManPages: the committed pages are those the program writes.
func TestManPages(t *testing.T) {
	pages := newTestRun(nil).app.manPages()
	committed, err := filepath.Glob(filepath.Join(manDir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range committed {
		if _, ok := pages[filepath.Base(path)]; ok {
			continue
		}
		if !*update {
			t.Errorf("%s: there is no such command", path)
		} else if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	if *update {
		if err := writePages(manDir, pages); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(manDir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is out of date (%v); run: go test ./cmd/bobbin -run TestManPages -update", name, err)
		}
	}
}

func lint(t *testing.T, mandoc, page string) string {
	t.Helper()
	cmd := exec.Command(mandoc, "-T", "lint", "-W", "warning")
	cmd.Stdin = strings.NewReader(page)
	out, _ := cmd.CombinedOutput()
	var report []string
	for line := range strings.Lines(string(out)) {
		// A date would only tell when the page was last generated.
		if !strings.Contains(line, "missing date") {
			report = append(report, line)
		}
	}
	return strings.Join(report, "")
}

func TestManPagesAreClean(t *testing.T) {
	mandoc := needTool(t, "mandoc")
	pages := newTestRun(nil).app.manPages()
	maps.Copy(pages, newTestRun(toys).app.manPages())
	if len(pages) < 10 {
		t.Errorf("only %d pages", len(pages))
	}
	for name, page := range pages {
		if report := lint(t, mandoc, page); report != "" {
			t.Errorf("%s: %s\n%s", name, report, page)
		}
	}
	if lint(t, mandoc, ".TH X 1\n.XYZ\n.SH\n") == "" {
		t.Error("mandoc finds nothing in a bad page")
	}
}

// TestManPageContent reads a page as man(1) shows it.
func TestManPageContent(t *testing.T) {
	mandoc := needTool(t, "mandoc")
	r := newTestRun(toys)
	c := r.app.command("init")
	c.Description = ".first word\n'second\\n one\n\n  verbatim  -f \"x\"\n\nLast."
	r.app.with(notes{
		Examples: []example{{"Do it.", `bobbin init --x='~/y^'`}},
		Files:    []entry{{"/etc/x", "what x is"}},
		SeeAlso:  []string{"mutt(1)", "mail.conf(5)"},
		Exits:    []int{exitDataErr},
	}, c)
	cmd := exec.Command(mandoc, "-T", "ascii")
	cmd.Stdin = strings.NewReader(r.app.manPages()["bobbin-init.1"])
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(out)
	for len(text) != len(strings.ReplaceAll(text, "\b", "")) { // undo overstriking
		i := strings.IndexByte(text, '\b')
		text = text[:i-1] + text[i+1:]
	}
	for _, want := range []string{
		"bobbin-init - do init", "bobbin init DIR", ".first word 'second\\n one", "verbatim  -f \"x\"", "--help",
		"65     The input", `bobbin init --x='~/y^'`, "/etc/x", "bobbin(1), mutt(1), mail.conf(5)",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("page lacks %q:\n%s", want, text)
		}
	}
}

func TestManPageOptions(t *testing.T) {
	pages := newTestRun(toys).app.manPages()
	for name, wants := range map[string][]string{
		"bobbin-list.1": {`\fB\-n, \-\-limit\fR \fIN\fR`, "Default: INBOX.", "Environment: BOBBIN_SPOOL.", "DIR/bobbin.toml"},
		"bobbin-user.1": {`\fB67\fR`, "DIR/bobbin.toml", `.SS "add"`, `\fBbobbin user\fR add [\-\-spool DIR] [\-\-alias NAME] NAME`},
		"bobbin-copy.1": {`\fBbobbin copy\fR \-\-to NAME`},
		"bobbin.1":      {`\fBlist\fR`, ".BR bobbin\\-list (1),"},
	} {
		for _, want := range wants {
			if !strings.Contains(pages[name], want) {
				t.Errorf("%s lacks %q:\n%s", name, want, pages[name])
			}
		}
	}
	for name, page := range pages {
		if strings.Contains(name+page, "secret") {
			t.Errorf("%s tells of a hidden command", name)
		}
	}
}

func TestManCommand(t *testing.T) {
	r := newTestRun(toys)
	pages := r.app.manPages()
	for words, want := range map[string]string{"man": "bobbin.1", "man list": "bobbin-list.1", "man user": "bobbin-user.1"} {
		if code := r.run(strings.Fields(words)...); code != exitOK || r.stdout.String() != pages[want] {
			t.Errorf("%s: exit code %d, %d bytes", words, code, r.stdout.Len())
		}
	}
	for _, words := range []string{"man xyzzy", "man a b", "man --dir x version"} {
		if code := r.run(strings.Fields(words)...); code != exitUsage {
			t.Errorf("%s: exit code %d", words, code)
		}
	}
	r.wantComplaint(t, `takes no argument "version"`)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := r.run("man", "--dir", file); code != exitFailure {
		t.Errorf("exit code %d for a directory that is a file", code)
	}
}

func TestHelpText(t *testing.T) {
	r := newTestRun(toys)
	r.app.with(notes{Examples: []example{{"All.", "bobbin list --all"}}}, r.app.command("list"))
	if code := r.run("list", "--help"); code != exitOK || r.stderr.Len() > 0 {
		t.Errorf("exit code %d, %s", code, &r.stderr)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "help-list.txt"))
	if *update {
		want, err = r.stdout.Bytes(), os.WriteFile(filepath.Join("testdata", "help-list.txt"), r.stdout.Bytes(), 0o666)
	}
	if err != nil || !bytes.Equal(r.stdout.Bytes(), want) {
		t.Errorf("%v; got\n%s\nwant\n%s", err, &r.stdout, want)
	}
	for _, p := range append(r.app.rootPage().Commands, r.app.rootPage()) {
		for _, line := range strings.Split(helpText(p), "\n") {
			if len(line) > helpWidth && !strings.HasPrefix(line, "  bobbin") {
				t.Errorf("%s: line of %d characters: %s", p.Name, len(line), line)
			}
		}
	}
}
