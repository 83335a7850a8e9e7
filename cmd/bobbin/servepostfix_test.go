package main

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// postfix is a Postfix of the test's own, unpacked somewhere and not installed.
type postfix struct {
	t    *testing.T
	root string // where the package is unpacked
	dir  string // configuration, queue and log
	port int
}

func unpackedPostfix(t *testing.T) string {
	t.Helper()
	root := os.Getenv("BOBBIN_TEST_POSTFIX")
	if root == "" || os.Geteuid() != 0 {
		if os.Getenv("BOBBIN_TEST_FULL") != "" && os.Geteuid() == 0 {
			t.Fatal("BOBBIN_TEST_POSTFIX does not name a directory with Debian's postfix unpacked: see .ci/run")
		}
		t.Skip("needs root, and BOBBIN_TEST_POSTFIX, a directory with Debian's postfix unpacked")
	}
	return root
}

// newPostfix configures one as docs/operations.md has it.
func newPostfix(t *testing.T, transport string) *postfix {
	t.Helper()
	root := unpackedPostfix(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{t: t, root: root, dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	p.do(l.Close())
	for dir := p.dir; dir != "/"; dir = filepath.Dir(dir) {
		i, err := os.Stat(dir)
		p.do(err)
		p.do(os.Chmod(dir, i.Mode()|0o055))
	}
	const uucp, games = 10, 60 // two accounts of Debian that nobody uses
	p.do(os.Mkdir(filepath.Join(p.dir, "queue"), 0o755))
	for name, gid := range map[string]int{
		"data": 0, "queue/active": 0, "queue/bounce": 0, "queue/corrupt": 0, "queue/defer": 0, "queue/deferred": 0, "queue/flush": 0, "queue/hold": 0,
		"queue/incoming": 0, "queue/private": 0, "queue/trace": 0, "queue/saved": 0, "queue/maildrop": games, "queue/public": games,
	} {
		p.do(os.Mkdir(filepath.Join(p.dir, name), 0o700))
		p.do(os.Chown(filepath.Join(p.dir, name), uucp, gid))
	}
	p.do(os.Mkdir(filepath.Join(p.dir, "queue/pid"), 0o755))
	p.do(os.Mkdir(filepath.Join(p.dir, "conf"), 0o755))
	documented := strings.ReplaceAll(documentedBlock(t, "postfix-lmtp"), "lmtp:unix:private/bobbin", transport)
	p.write("conf/main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
daemon_directory = %[2]s/usr/lib/postfix/sbin
command_directory = %[2]s/usr/sbin
mail_owner = uucp
setgid_group = games
myhostname = mx.example.org
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
smtpd_peername_lookup = no
alias_maps =
maillog_file_prefixes = %[1]s
maillog_file = %[1]s/maillog
import_environment = MAIL_CONFIG LANG=C POSTLOG_SERVICE POSTLOG_HOSTNAME LD_LIBRARY_PATH
`, p.dir, root)+documented)
	p.write("conf/master.cf", fmt.Sprintf(`127.0.0.1:%d inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
`, p.port))
	cmd := exec.Command(filepath.Join(root, "usr/lib/postfix/sbin/master"), "-d", "-c", filepath.Join(p.dir, "conf"))
	cmd.Env = append(os.Environ(), "MAIL_CONFIG="+filepath.Join(p.dir, "conf"), "LD_LIBRARY_PATH="+filepath.Join(root, "usr/lib/postfix"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.do(cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt) // ends its children
		_ = cmd.Wait()
	})
	return p
}

func (p *postfix) do(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *postfix) write(name, text string) {
	p.t.Helper()
	p.do(os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644))
}

func (p *postfix) log() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "maillog"))
	return string(b)
}

// send hands a message in by SMTP, when the server is there.
func (p *postfix) send(text string, to ...string) {
	p.t.Helper()
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := smtp.SendMail(fmt.Sprintf("127.0.0.1:%d", p.port), nil, "joe@example.org", to, []byte(text))
		if err == nil {
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("%v\n%s", err, p.log())
		}
	}
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
	p := newPostfix(t, "lmtp:unix:"+s.socket)
	s.do(os.Chmod(filepath.Dir(s.socket), 0o755))
	s.do(os.Chmod(filepath.Dir(filepath.Dir(s.socket)), 0o755))
	rng := rand.New(rand.NewPCG(5, 0))
	var want []string
	for n := range 10 {
		var body strings.Builder
		for range 1 + rng.IntN(300) {
			body.WriteString([]string{".", "..", "", "From here", "ünï", "\t x ", strings.Repeat("long ", 150), ".dot"}[rng.IntN(8)] + "\r\n")
		}
		text := fmt.Sprintf("Subject: %d\r\nFrom: joe@example.org\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%d@example.org>\r\nTo: list@example.org\r\n\r\n%s", n, n, body.String())
		want = append(want, strings.ReplaceAll(text, "\r\n", "\n"))
		p.send(text, "alice+lists@example.org", "bob@example.org", "nobody@example.org")
	}
	for end := time.Now().Add(3 * time.Minute); len(s.logged("delivered")) < 2*len(want); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s\n%s", p.log(), s.log)
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
			if !strings.HasPrefix(fields, "Return-Path: <joe@example.org>\nDelivered-To: "+user+"\n") {
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
