package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// muttTest is a spool with three messages for mutt to look at.
type muttTest struct {
	t          *testing.T
	dir, spool string
}

// bobbin runs the program, which the scripts' TestMain has put into this
// binary, in the test's directory.
func (m *muttTest) bobbin(stdin string, words ...string) string {
	m.t.Helper()
	env, out := simEnv(nil, stdin)
	real := processEnvironment()
	env.Host, env.MakeDir, env.Login = real.Host, real.MakeDir, real.Login
	env.Getenv = func(name string) string {
		return map[string]string{"BOBBIN_SPOOL": m.spool, "BOBBIN_USER": "alice"}[name]
	}
	if code := run(m.t.Context(), words, env); code != 0 {
		m.t.Fatalf("bobbin %q: exit code %d: %s", words, code, out)
	}
	return out.String()
}

// keys runs mutt on the mailbox with keys typed in.
func (m *muttTest) keys(keys string) {
	m.t.Helper()
	rc := filepath.Join(m.dir, "muttrc")
	settings := fmt.Sprintf("set folder=%q\nset quit=yes\nset delete=yes\nset move=no\nset confirmappend=no\n"+
		"set confirmcreate=no\nset wait_key=no\nset mark_old=no\nset mbox_type=mbox\n", m.dir)
	if err := os.WriteFile(rc, []byte(settings), 0o600); err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "script", "-qec",
		fmt.Sprintf("mutt -n -F %s -f %s/users/alice -e 'push %s'", rc, m.spool, keys), "/dev/null")
	cmd.Env = append(os.Environ(), "TERM=xterm", "HOME="+m.dir, "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("mutt: %v: %.500q", err, out)
	}
}

// ask lets mutt copy the messages that each pattern matches into a file, and
// returns their subjects by pattern.
func (m *muttTest) ask(patterns ...string) map[string][]string {
	m.t.Helper()
	var keys strings.Builder
	for i, p := range patterns {
		fmt.Fprintf(&keys, "<untag-pattern>~A<enter><tag-pattern>%s<enter><tag-prefix-cond><copy-message>%s/answer%d<enter><end-cond>", p, m.dir, i)
		_ = os.Remove(fmt.Sprintf("%s/answer%d", m.dir, i))
	}
	m.keys(keys.String() + "<quit>")
	found := map[string][]string{}
	for i, p := range patterns {
		b, err := os.ReadFile(fmt.Sprintf("%s/answer%d", m.dir, i))
		if err != nil && !os.IsNotExist(err) {
			m.t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
				found[p] = append(found[p], strings.TrimSpace(subject))
			}
		}
		slices.Sort(found[p])
	}
	return found
}

func newMuttTest(t *testing.T) *muttTest {
	t.Helper()
	needTool(t, "mutt")
	needTool(t, "script")
	dir := t.TempDir()
	m := &muttTest{t, dir, filepath.Join(dir, "spool")}
	m.bobbin("", "init", m.spool)
	m.bobbin("", "user", "add", "alice")
	for _, subject := range []string{"one", "two", "three"} {
		m.bobbin("From: joe@example.org\nSubject: "+subject+"\n\nhello\n", "deliver", "alice")
		m.bobbin("", "list") // so that UIDs go by this order
	}
	return m
}

// mutt sees what commands did as soon as they have ended.
func TestMuttSees(t *testing.T) {
	m := newMuttTest(t)
	m.bobbin("", "flag", "+seen", "1")
	m.bobbin("", "flag", "+flagged", "2")
	m.bobbin("", "delete", "3", "--expunge")
	got := m.ask("~R", "~F", "~U", "~A")
	want := map[string][]string{"~R": {"one"}, "~F": {"two"}, "~U": {"two"}, "~A": {"one", "two"}}
	for p := range want {
		if !slices.Equal(got[p], want[p]) {
			t.Errorf("%s matches %q, want %q", p, got[p], want[p])
		}
	}
	m.bobbin("", "flag", "-seen", "1")
	if got := m.ask("~R"); len(got["~R"]) != 0 {
		t.Errorf("read after -seen: %q", got["~R"])
	}
}

// Bobbin sees what mutt did: flags, deletions, and a message copied in.
func TestMuttDoes(t *testing.T) {
	m := newMuttTest(t)
	m.keys("<tag-pattern>one<enter><tag-prefix-cond><flag-message><end-cond><quit>")
	m.keys("<tag-pattern>two<enter><tag-prefix-cond><copy-message>" + m.spool + "/users/alice<enter><end-cond><quit>")
	m.keys("<delete-pattern>three<enter><quit>")
	list := m.bobbin("", "list")
	lines := strings.Split(strings.TrimSpace(list), "\n")
	if len(lines) != 3 || !strings.Contains(list, "one") || strings.Count(list, "two") != 2 || strings.Contains(list, "three") {
		t.Errorf("listed after mutt:\n%s", list)
	}
	if f := strings.Fields(lines[0]); len(f) < 2 || f[0] != "1" || !strings.Contains(f[1], "F") {
		files, _ := filepath.Glob(m.spool + "/users/alice/*/*")
		t.Errorf("the flag that mutt set is missing:\n%s%s\n%s", list, m.bobbin("", "log"), strings.Join(files, "\n"))
	}
	m.bobbin("", "check")
}
