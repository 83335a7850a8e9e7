package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parseTests are lines and what is understood: the line for the library, the
// help asked for, or how the complaint begins.
var parseTests = []struct{ line, want string }{
	{"list", "list --"},
	{"list --spool X", "list --spool=X --"},
	{"--spool X list", "list --spool=X --"},
	{"--spool=X --json list --spool Y", "list --spool=X --json=true --spool=Y --"},
	{"list --spool=", "list --spool= --"},
	{"list --spool --json", "list --spool=--json --"},
	{"list --spool --", "list --spool=-- --"},
	{"list --spool=a=b", "list --spool=a=b --"},
	{"list -n 5", "list --limit=5 --"},
	{"list -n5", "list --limit=5 --"},
	{"list -n -5", "list --limit=-5 --"},
	{"list -an5", "list --all=true --limit=5 --"},
	{"list -aa", "list --all=true --all=true --"},
	{"list --json=false", "list --json=false --"},
	{"show 5 --raw", "show --raw=true -- 5"},
	{"show --raw 5 6", "show --raw=true -- 5 6"},
	{"show 5 -- --raw", "show -- 5 --raw"},
	{"show -- -- 5", "show -- -- 5"},
	{"show -", "show -- -"},
	{"show help", "show -- help"},
	{"show spool", "show -- spool"},
	{"-- show --raw", "show -- --raw"},
	{"flag -seen 3 --user alice", "flag --user=alice -- -seen 3"},
	{"flag --user alice -flagged,+kw:work 3", "flag --user=alice -- -flagged,+kw:work 3"},
	{"flag +seen 3", "flag -- +seen 3"},
	{"flag -q -seen 3", "flag --quiet=true -- -seen 3"},
	{"flag -- -q 3", "flag -- -q 3"},
	{"--user bob flag -quiet", "flag --user=bob -- -quiet"},
	{"user add ann --alias a,b --alias c", "user add --alias=a,b --alias=c -- ann"},
	{"user --spool X add ann", "user add --spool=X -- ann"},
	{"user add help", "user add -- help"},
	{"deliver -f  ann", "deliver --from= -- ann"},
	{"deliver -f -x@y ann", "deliver --from=-x@y -- ann"},
	{"copy --to x", "copy --to=x --"},
	{"secret", "secret --"},

	{"list --help", "help: list"},
	{"list -h", "help: list"},
	{"list -ah", "help: list"},
	{"--help list", "help: list"},
	{"help list", "help: list"},
	{"help user add", "help: user add"},
	{"user --help", "help: user"},
	{"help", "help:"},
	{"-h", "help:"},
	{"help help", "help: help"},
	{"copy --help", "help: copy"},
	{"flag --help", "help: flag"},
	{"--version", "version"},
	{"--version list", "version"},

	{"", `unknown command ""; see 'bobbin help'`},
	{"--json", "no command given"},
	{"lst", `unknown command "lst"; did you mean "list"?`},
	{"li", `unknown command "li"; did you mean "list"?`},
	{"secre", `unknown command "secre"; see 'bobbin help'`},
	{"xyzzy", `unknown command "xyzzy"; see 'bobbin help'`},
	{"user", "'bobbin user' needs one of: add, list"},
	{"user remove", `unknown command "remove"; see 'bobbin help user'`},
	{"help xyzzy", "unknown command"},
	{"list --bogus", "unknown flag --bogus; see 'bobbin help list'"},
	{"list --jsn", "unknown flag --jsn; did you mean --json?"},
	{"list -x", "unknown flag -x; see"},
	{"list -spool X", "unknown flag -spool; did you mean --spool?"},
	{"list --n 5", "unknown flag --n; did you mean -n?"},
	{"list --=x", "unknown flag --"},
	{"list ---json", "unknown flag ---json"},
	{"show -seen", "unknown flag -s"},
	{"flag -1 3", "unknown flag -1"},
	{"--raw show", "unknown flag --raw before the command"},
	{"user --raw add", "unknown flag --raw; see 'bobbin help user'"},
	{"--folder X init d", "'bobbin init' takes no flag --folder"},
	{"init --folder X d", "unknown flag --folder"},
	{"list --spool", "flag --spool needs a value"},
	{"list -n", "flag -n needs a value"},
	{"list --json=maybe", `--json is true or false, not "maybe"`},
	{"list --version", "unknown flag --version"},
	{"copy", "'bobbin copy' needs the flag --to"},
	{"list --limit five", `invalid value "five" for flag --limit: parse error`},
}

func TestParse(t *testing.T) {
	for _, test := range parseTests {
		t.Run(test.line, func(t *testing.T) {
			got, complaint := understood(t, strings.Split(test.line, " "))
			if got != test.want && !(complaint && strings.HasPrefix(got, test.want)) {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
		})
	}
}

// understood tells what became of a line: the line that leaves no choice, the help
// asked for, or the complaint. What the library sees in the line must be the
// same.
func understood(t *testing.T, words []string) (got string, complaint bool) {
	r := newTestRun(toys)
	inv, err := r.app.parse(words)
	switch {
	case err != nil:
	case inv.help:
		return "help:" + strings.TrimPrefix(pathName(inv.path), "bobbin"), false
	case inv.version:
		return "version", false
	}
	if code := r.run(words...); code == exitOK {
		if inv.path[0].Name != "secret" {
			compare(t, inv, r.stdout.Bytes())
		}
		return strings.Join(inv.words()[1:], " "), false
	} else if code != exitUsage {
		return fmt.Sprint("exit code ", code), false
	}
	if r.stdout.Len() > 0 || strings.Count(r.stderr.String(), "\n") != 1 {
		return fmt.Sprintf("more than a complaint: %q %q", &r.stdout, &r.stderr), false
	}
	return strings.TrimPrefix(r.stderr.String(), "bobbin: "), true
}

// words returns the line that leaves no choice: command, --flag=value, "--",
// arguments.
func (inv invocation) words() []string {
	words := []string{"bobbin"}
	for _, c := range inv.path {
		words = append(words, c.Name)
	}
	for _, f := range inv.flags {
		words = append(words, dashed(f.name)+"="+f.value)
	}
	return append(append(words, "--"), inv.args...)
}

// FuzzParse checks that what parse hands on is unambiguous: parsed again it is
// the same, and the library sees in it what parse saw.
func FuzzParse(f *testing.F) {
	for _, line := range []string{
		"list --spool X", "--user a flag -seen -- -q 3", "user add --alias a,b x", "deliver -f  ann -- -", "list -an5",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := newTestRun(toys)
		inv, err := r.app.parse(strings.Split(line, " "))
		if err != nil || inv.help || inv.version {
			return
		}
		again, err := r.app.parse(inv.words()[1:])
		if err != nil || !slices.Equal(again.words(), inv.words()) {
			t.Fatalf("%q parsed again: %q, %v", inv.words(), again.words(), err)
		}
		// The program's own commands and the hidden one report nothing.
		if slices.Contains([]string{"completion", "man", "version", "help", "secret"}, inv.path[0].Name) {
			return
		}
		code := r.run(inv.words()[1:]...)
		if code == exitUsage && strings.Contains(r.stderr.String(), "invalid value") {
			return
		}
		if code != exitOK {
			t.Fatalf("%q: exit code %d, %s", line, code, &r.stderr)
		}
		compare(t, inv, r.stdout.Bytes())
	})
}

// compare checks that a toy command reported what parse understood.
func compare(t *testing.T, inv invocation, report []byte) {
	t.Helper()
	var got seen
	if err := json.Unmarshal(report, &got); err != nil {
		t.Fatalf("%q: %v", report, err)
	}
	if strings.ContainsRune(string(report), '\uFFFD') {
		return // JSON cannot hold what is not UTF-8
	}
	if got.Name != pathName(inv.path) || !slices.Equal(got.Args, inv.args) && len(inv.args) > 0 {
		t.Errorf("the library saw %q %q, not %q", got.Name, got.Args, inv.words())
	}
	want := map[string]string{}
	for _, v := range inv.flags {
		if _, again := want[v.name]; again && v.name == "alias" {
			v.value = want[v.name] + "|" + v.value
		}
		want[v.name] = v.value
	}
	for _, name := range []string{"spool", "user", "folder", "from", "to", "alias"} {
		if value, given := want[name]; given && got.Flags[name] != value {
			t.Errorf("the library saw --%s=%q, not %q", name, got.Flags[name], value)
		}
	}
}
