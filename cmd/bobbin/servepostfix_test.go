package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// postfix is a Postfix of the test's own.
type postfix struct {
	*unpacked
	port int
}

// newPostfix configures one with a part of main.cf.
func newPostfix(t *testing.T, part string) *postfix {
	t.Helper()
	p := &postfix{unpacked: newUnpacked(t, "postfix")}
	p.port = p.freePort()
	const owner, drop = 40014, 40015
	p.mkdir("postfix/queue", 0o755, 0, 0)
	for name, group := range map[string]int{
		"data": 0, "queue/active": 0, "queue/bounce": 0, "queue/corrupt": 0, "queue/defer": 0, "queue/deferred": 0, "queue/flush": 0, "queue/hold": 0,
		"queue/incoming": 0, "queue/private": 0, "queue/trace": 0, "queue/saved": 0, "queue/maildrop": drop, "queue/public": drop,
	} {
		p.mkdir("postfix/"+name, 0o700, owner, group)
	}
	p.mkdir("postfix/queue/pid", 0o755, 0, 0)
	p.mkdir("postfix/conf", 0o755, 0, 0)
	p.write("postfix/conf/main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
daemon_directory = /usr/lib/postfix/sbin
command_directory = /usr/sbin
myhostname = mx.example.org
inet_interfaces = loopback-only
inet_protocols = ipv4
smtpd_peername_lookup = no
alias_maps =
maillog_file_prefixes = %[1]s
maillog_file = %[1]s/maillog
`, p.path("postfix"))+part)
	p.write("postfix/conf/master.cf", fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
lmtp unix - - n - - lmtp
local unix - n n - - local
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
`, p.port))
	p.logs("postfix/maillog")
	p.start("/usr/lib/postfix/sbin/master", "-d", "-c", p.path("postfix/conf"))
	return p
}

func (p *postfix) log() string {
	b, _ := os.ReadFile(p.path("postfix/maillog"))
	return string(b)
}

// documentedBlock is a block of docs/operations.md that is marked as tested.
func documentedBlock(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("<!-- tested: " + name + " -->\n```[a-z]*\n((?s:.*?))```").FindSubmatch(b)
	if m == nil {
		t.Fatalf("docs/operations.md has no block %s", name)
	}
	return string(m[1])
}

// TestPostfix: what comes in by SMTP is in the spool byte for byte, below the
// fields that the mail systems add, in the folders that the addresses name.
func TestPostfix(t *testing.T) {
	s := serveHere(t, "--local-domains", "example.org")
	s.must("", "folder", "create", "Lists")
	p := newPostfix(t, "mydestination =\n"+strings.ReplaceAll(documentedBlock(t, "postfix-lmtp"), "lmtp:unix:private/bobbin", "lmtp:unix:"+s.socket))
	s.do(os.Chmod(filepath.Dir(s.socket), 0o755))
	rng := rand.New(rand.NewPCG(5, 0))
	var want []string
	for n := range 10 {
		var body strings.Builder
		for range 1 + rng.IntN(300) {
			body.WriteString([]string{".", "..", "", "From here", "ünï", "\t x ", strings.Repeat("long ", 150), ".dot"}[rng.IntN(8)] + "\r\n")
		}
		text := fmt.Sprintf("Subject: %d\r\nFrom: joe@example.net\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@example.org>\r\nTo: list@example.org\r\n\r\n%s", n, n, body.String())
		want = append(want, strings.ReplaceAll(text, "\r\n", "\n"))
		s.do(sendTo(p.port, text, "alice+lists@example.org", "bob@example.org", "nobody@example.org"))
	}
	for end := time.Now().Add(3 * time.Minute); len(s.logged("delivered")) < 2*len(want); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s", s.log)
		}
	}
	slices.Sort(want)
	for user, dir := range map[string]string{"alice": "users/alice/.Lists/new", "bob": "users/bob/new"} {
		var got []string
		files, _ := filepath.Glob(filepath.Join(s.dir, dir, "*"))
		for _, name := range files {
			b, err := os.ReadFile(name)
			s.do(err)
			fields, rest, _ := strings.Cut(string(b), "\nSubject: ")
			if !strings.HasPrefix(fields, "Return-Path: <joe@example.net>\nDelivered-To: "+user+"\n") {
				t.Errorf("%s: %s", user, fields)
			}
			got = append(got, "Subject: "+rest)
		}
		slices.Sort(got)
		if len(got) != len(want) {
			t.Fatalf("%s has %d messages, want %d", user, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%s: got %.500q, want %.500q", user, got[i], want[i])
			}
		}
	}
	for _, line := range s.logged("delivered") {
		// The queue id is Postfix's, which XFORWARD told.
		if id := fmt.Sprint(line["queue"]); !strings.Contains(p.log(), id+": to=<") {
			t.Errorf("queue id %s is not in Postfix's log", id)
		}
	}
	if !strings.Contains(p.log(), "550 5.1.1 no such user") {
		t.Error("nobody was accepted")
	}
}

// TestPostfixMailboxCommand: local(8) runs the program as each user.
func TestPostfixMailboxCommand(t *testing.T) {
	program := filepath.Join(t.TempDir(), "bobbin")
	p := newPostfix(t, strings.ReplaceAll(documentedBlock(t, "postfix-mailbox-command"), "/usr/bin/bobbin", program))
	p.do(os.Symlink(p.program, program))
	p.do(os.Chmod(filepath.Dir(program), 0o755))
	p.want(0, p.run(aliceUID, "", "folder", "create", "lists", "--user", "alice"), "")
	p.runs(p.port, func() {
		if err := sendTo(p.port, "Subject: x\r\n\r\n", "nobody-here@example.org"); err == nil {
			t.Error("an unknown user was taken")
		}
	}, ".lists/new")
}
