package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// agents are delivery agents with one Maildir.
type agents struct {
	*unpacked
	commands map[string]string
}

// newAgents makes their rules. Each writes to Maildir in alice's home.
func newAgents(t *testing.T) *agents {
	a := &agents{unpacked: newUnpacked(t, "procmail", "maildrop", "courier-authlib", "dovecot-core")}
	for name, text := range map[string]string{
		"procmailrc": "MAILDIR=$HOME\n:0\nMaildir/\n",
		"mailfilter": "to \"$HOME/Maildir\"\n",
		"dovecot": `mail_location = maildir:~/Maildir
base_dir = ` + a.path("run") + `
log_path = /dev/stderr
hostname = mx.example.org
postmaster_address = postmaster@example.org
first_valid_uid = 1
ssl = no
`,
	} {
		a.write(name, text)
		a.do(os.Chmod(a.path(name), 0o600))
		a.do(os.Chown(a.path(name), aliceUID, aliceUID))
	}
	a.commands = map[string]string{
		"bobbin":   a.program + " deliver --location %h/Maildir alice",
		"procmail": "procmail -p " + a.path("procmailrc"),
		"maildrop": "maildrop " + a.path("mailfilter"),
		"dovecot":  "/usr/lib/dovecot/dovecot-lda -c " + a.path("dovecot"),
	}
	return a
}

// deliver has an agent deliver its messages, each by a process of alice's.
func (a *agents) deliver(agent string, n int) *exec.Cmd {
	a.t.Helper()
	dir := a.path("in/" + agent)
	a.do(os.MkdirAll(dir, 0o755))
	for i := range n {
		a.write(fmt.Sprintf("in/%s/%d", agent, i), agentMessage(agent, i))
	}
	cmd := a.inside("setpriv", "--reuid=alice", "--regid=alice", "--clear-groups", "sh", "-ec",
		fmt.Sprintf("umask 077; cd ~; for i in $(seq 0 %d); do %s < %s/$i; done", n-1, a.commands[agent], dir))
	cmd.Env = append(cmd.Env, "HOME="+a.path("home/alice"), "USER=alice", "LOGNAME=alice")
	return cmd
}

func agentMessage(agent string, n int) string {
	return fmt.Sprintf("Subject: %s %d\nFrom: joe@example.net\n\n.\nFrom here\n\xfc \t\n%s\n", agent, n, strings.Repeat("long ", n*9))
}

type listedMessage struct {
	UID     uint32   `json:"uid"`
	Subject string   `json:"subject"`
	Flags   []string `json:"flags"`
}

func (a *agents) list() (list []listedMessage) {
	a.t.Helper()
	r := a.run(aliceUID, "", "list", "--json", "--user", "alice")
	a.want(0, r, "")
	a.do(json.Unmarshal([]byte(r.out), &list))
	return list
}

// tend flags all messages whose numbers end in 5, and expunges those that end in 3.
func (a *agents) tend() {
	a.t.Helper()
	words := map[string][]string{"5": {"flag", "+flagged"}, "3": {"delete", "--expunge"}}
	uids := map[string][]string{}
	for _, m := range a.list() {
		last := m.Subject[len(m.Subject)-1:]
		if words[last] != nil && !slices.Contains(m.Flags, "flagged") {
			uids[last] = append(uids[last], strconv.Itoa(int(m.UID)))
		}
	}
	for last, set := range uids {
		a.want(0, a.run(aliceUID, "", append(words[last], "--user", "alice", strings.Join(set, ","))...), "")
	}
}

// TestOtherAgents: procmail, maildrop and Dovecot's LDA deliver to a Maildir at the
// same time as Bobbin, which also lists it, flags and expunges. Every message that was
// not expunged is there once, byte for byte.
func TestOtherAgents(t *testing.T) {
	a := newAgents(t)
	each := 40
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		each = 200
	}
	a.want(0, a.run(aliceUID, "", "list", "--user", "alice"), "")
	ended := make(chan error, len(a.commands))
	for agent := range a.commands {
		cmd := a.deliver(agent, each)
		var said syncBuffer
		cmd.Stdout, cmd.Stderr = &said, &said
		a.do(cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		go func() {
			err := cmd.Wait()
			if err != nil {
				err = fmt.Errorf("%s: %w: %s", agent, err, said.String())
			}
			ended <- err
		}()
	}
	for left := len(a.commands); left > 0; {
		select {
		case err := <-ended:
			left--
			if err != nil {
				t.Error(err)
			}
		default:
			a.tend()
		}
	}
	a.tend()
	a.want(0, a.run(aliceUID, "", "check", "--user", "alice"), "Nothing wrong")
	want := a.wantMessages(each)
	flagged := 0
	for _, m := range a.list() {
		if slices.Contains(m.Flags, "flagged") == strings.HasSuffix(m.Subject, "5") {
			flagged++
		}
	}
	if flagged != want {
		t.Errorf("%d of %d messages have the right flags", flagged, want)
	}
}

// wantMessages checks what files there are; it returns how many there should be.
func (a *agents) wantMessages(each int) int {
	a.t.Helper()
	got, want := map[string]int{}, map[string]int{}
	for agent := range a.commands {
		for i := range each {
			if i%10 != 3 {
				want[agentMessage(agent, i)] = 1
			}
		}
	}
	for _, dir := range []string{"new", "cur"} {
		files, err := filepath.Glob(a.path("home/alice/Maildir/" + dir + "/*"))
		a.do(err)
		for _, name := range files {
			b, err := os.ReadFile(name)
			a.do(err)
			_, rest, _ := strings.Cut("\n"+string(b), "\nSubject: ")
			got["Subject: "+rest]++
		}
	}
	for text := range want {
		if got[text] != 1 {
			a.t.Errorf("there %d times: %.60q", got[text], text)
		}
		delete(got, text)
	}
	for text, n := range got {
		a.t.Errorf("there %d times and unknown: %.60q", n, text)
	}
	return len(want)
}
