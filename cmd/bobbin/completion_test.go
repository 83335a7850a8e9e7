package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completionCases are lines, the word to complete last, and what comes of it.
var completionCases = []struct{ line, want string }{
	{"li", "list"},
	{"", "init deliver list show flag user copy completion man version help"},
	{"de", "deliver"},
	{"us", "user"},
	{"user ", "add list"},
	{"user a", "add"},
	{"user add x", ""},
	{"help li", "list"},
	{"help user a", "add"},
	{"--sp", "--spool"},
	{"--spool user list --l", "--limit"},
	{"list --fo", "--folder"},
	{"list --folder --j", ""},
	{"list -n user --lim", "--limit"},
	{"list user --lim", "--limit"},
	{"user list --", "--spool --help"},
	{"show --r", "--raw"},
	{"show -- --r", ""},
	{"secr", ""},
}

func scriptFile(t *testing.T, shell string) string {
	t.Helper()
	r := newTestRun(toys)
	if code := r.run("completion", shell); code != exitOK {
		t.Fatalf("exit code %d: %s", code, &r.stderr)
	}
	file := filepath.Join(t.TempDir(), "bobbin."+shell)
	if err := os.WriteFile(file, r.stdout.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func TestBashCompletion(t *testing.T) {
	bash := needTool(t, "bash")
	file := scriptFile(t, "bash")
	output(t, bash, "-n", file)
	const ask = `source "$1"; shift; COMP_WORDS=(bobbin "$@"); COMP_CWORD=$#; _bobbin; echo "${COMPREPLY[*]}"`
	for _, test := range completionCases {
		args := append([]string{"-c", ask, "bash", file}, strings.Split(test.line, " ")...)
		if got := strings.TrimSpace(output(t, bash, args...)); got != test.want {
			t.Errorf("%q completes to %q, want %q", test.line, got, test.want)
		}
	}
	for line, want := range map[string]string{"list --spool = user --lim": "--limit", "--spool = list li": "list", "list --spool =": ""} {
		args := append([]string{"-c", ask, "bash", file}, strings.Split(line, " ")...)
		if got := strings.TrimSpace(output(t, bash, args...)); got != want {
			t.Errorf("%q completes to %q, want %q", line, got, want)
		}
	}
	if got := output(t, bash, "-c", `source "$1"; complete -p bobbin`, "bash", file); !strings.Contains(got, "-F _bobbin bobbin") {
		t.Errorf("not registered: %s", got)
	}
}

func TestZshCompletion(t *testing.T) {
	zsh := needTool(t, "zsh")
	file := scriptFile(t, "zsh")
	output(t, zsh, "-n", file)
	const ask = `compdef() { : }; _files() { : }
_describe() { local w; for w in "${(@P)2}"; do [[ $w == $words[CURRENT]* ]] && print -rn -- "${w%%:*} "; done; return 0 }
source "$1"; shift; words=(bobbin "$@"); CURRENT=$#words; _bobbin`
	for _, test := range completionCases {
		args := append([]string{"-f", "-c", ask, "zsh", file}, strings.Split(test.line, " ")...)
		if got := strings.TrimSpace(output(t, zsh, args...)); got != test.want {
			t.Errorf("%q completes to %q, want %q", test.line, got, test.want)
		}
	}
}

func TestFishCompletion(t *testing.T) {
	fish := needTool(t, "fish")
	file := scriptFile(t, "fish")
	t.Setenv("HOME", t.TempDir())
	t.Chdir(t.TempDir()) // fish offers files, too
	output(t, fish, "--no-execute", file)
	for _, test := range completionCases {
		if strings.HasPrefix(test.line, "list --folder") {
			continue // a value is also of interest to fish's own rules
		}
		const ask = `source $argv[1]; complete -C "bobbin $argv[2]"`
		var got []string
		for _, line := range strings.Split(strings.TrimSpace(output(t, fish, "-c", ask, file, test.line)), "\n") {
			word, _, _ := strings.Cut(line, "\t")
			got = append(got, word)
		}
		want := strings.Split(test.want, " ")
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q completes to %q, want %q", test.line, got, want)
		}
	}
}

func TestCompletionCommand(t *testing.T) {
	r := newTestRun(nil)
	for _, words := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		if code := r.run(words...); code != exitUsage {
			t.Errorf("%q: exit code %d", words, code)
		}
		r.wantComplaint(t, "completion")
	}
}

// TestOwnCompletion completes each of the program's commands.
func TestOwnCompletion(t *testing.T) {
	a := newTestRun(nil).app
	script := bashScript(a.completions())
	for _, c := range a.allCommands() {
		if strings.Contains(script, "/"+c.Name+"'") == (c.Hidden || c.Name == "help") {
			t.Errorf("completion of %s, hidden: %t", c.Name, c.Hidden)
		}
	}
}
