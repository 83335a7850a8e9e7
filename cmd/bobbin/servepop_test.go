package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// popMail is what the clients have to bring home unchanged.
var popMail = []string{
	"From: joe@example.net\nSubject: dots\n\n.\n..\n.dot\nFrom here\n",
	"From: joe@example.net\nSubject: empty\n\n",
	"From: joe@example.net\nSubject: long\n\n" + strings.Repeat("long ", 150) + "\n\xfc \t\nlast\n",
}

// popTest is a spool that two processes serve, and a home for the client.
type popTest struct {
	*rig
	home  string
	ports [2]string
}

func newPOPTest(t *testing.T, client string, flags ...string) *popTest {
	t.Helper()
	if _, err := exec.LookPath(client); err != nil {
		if os.Getenv("BOBBIN_TEST_FULL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	program, err := exec.LookPath("bobbin")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(flags, "--pop3s") && !slices.Contains(flags, "--imap") {
		flags = append(flags, "--pop3", "127.0.0.1:0")
	}
	p := &popTest{rig: newRig(t), home: t.TempDir()}
	p.must("secret\n", "user", "passwd", "alice", "--password-stdin")
	for _, text := range popMail {
		p.must(text, "deliver", "alice")
	}
	for i := range p.ports {
		cmd, at, err := serveProcess(program, append([]string{"--spool", p.dir}, flags...)...)
		if err != nil {
			t.Fatal(err)
		}
		_, p.ports[i], _ = strings.Cut(at, "127.0.0.1:")
		t.Cleanup(func() {
			if err := cmd.Process.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("the server: %v", err)
			}
		})
	}
	return p
}

// runClient runs a client in its home. It is given up after a minute.
func (p *popTest) runClient(stdin string, words ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), words[0], words[1:]...)
	cmd.Dir, cmd.Stdin = p.home, strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), "HOME="+p.home, "LC_ALL=C", "TERM=xterm", "XDG_CONFIG_HOME="+p.home)
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("%q: %v: %.2000s", words, err, out)
	}
	return string(out)
}

func (p *popTest) file(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.home, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// body is a message's subject and text: clients add fields of their own.
func body(message string) string {
	header, text, _ := strings.Cut(strings.ReplaceAll(message, "\r\n", "\n"), "\n\n")
	for line := range strings.SplitSeq(header, "\n") {
		if strings.HasPrefix(line, "Subject: ") {
			return line + "\n\n" + text
		}
	}
	return message
}

// wantMail compares what came home with what was sent.
func (p *popTest) wantMail(got []string) {
	p.t.Helper()
	var have, want []string
	for i := range got {
		have = append(have, body(got[i]))
	}
	for i := range popMail {
		want = append(want, body(popMail[i]))
	}
	slices.Sort(have)
	slices.Sort(want)
	if !slices.Equal(have, want) {
		p.t.Errorf("%d messages came home, want %d:\n%.2000q", len(have), len(want), have)
	}
}

// maildir reads the files of a Maildir in the client's home.
func (p *popTest) maildir(name string) (list []string) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.home, name, "new", "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatal(err)
		}
		list = append(list, string(b))
	}
	return list
}

func (p *popTest) makeMaildir(name string) {
	p.t.Helper()
	for _, dir := range []string{"tmp", "new", "cur"} {
		if err := os.MkdirAll(filepath.Join(p.home, name, dir), 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
}

// giveAway makes somebody else the owner of the Maildir in the client's home.
func (p *popTest) giveAway(to *user.User) {
	p.t.Helper()
	uid, err := strconv.Atoi(to.Uid)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, dir := range []string{p.home, filepath.Dir(p.home)} {
		if err := os.Chmod(dir, 0o711); err != nil {
			p.t.Fatal(err)
		}
	}
	for _, dir := range []string{"got", "got/tmp", "got/new", "got/cur"} {
		if err := os.Chown(filepath.Join(p.home, dir), uid, -1); err != nil {
			p.t.Fatal(err)
		}
	}
}

// wantLeft tells how many messages the spool has.
func (p *popTest) wantLeft(n int) {
	p.t.Helper()
	if out := p.must("", "list"); strings.Count(out, "joe@example.net") != n {
		p.t.Errorf("%d messages should be left: %s", n, out)
	}
}

// TestPOPCurl reads, and says that a wrong password is one.
func TestPOPCurl(t *testing.T) {
	p := newPOPTest(t, "curl")
	var got []string
	for i, port := range []string{p.ports[0], p.ports[1], p.ports[0]} {
		got = append(got, p.runClient("", "curl", "-sS", "-u", "alice:secret", fmt.Sprintf("pop3://127.0.0.1:%s/%d", port, i+1)))
	}
	p.wantMail(got)
	if a, b := p.runClient("", "curl", "-sS", "-u", "alice:secret", "-X", "UIDL", "pop3://127.0.0.1:"+p.ports[0]),
		p.runClient("", "curl", "-sS", "-u", "alice:secret", "-X", "UIDL", "pop3://127.0.0.1:"+p.ports[1]); a != b || strings.Count(a, "\n") != 3 {
		t.Errorf("UIDL: %q and %q", a, b)
	}
	cmd := exec.CommandContext(t.Context(), "curl", "-sS", "-u", "alice:wrong", "pop3://127.0.0.1:"+p.ports[0])
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 67 {
		t.Errorf("wrong password: %v: %s", err, out)
	}
}

// TestPOPTLS: curl reads with STLS and with TLS from the beginning.
func TestPOPTLS(t *testing.T) {
	cert, key := certified(t, t.TempDir(), 1)
	p := newPOPTest(t, "curl", "--tls-cert", cert, "--tls-key", key)
	p.wantMail([]string{
		p.runClient("", "curl", "-sSk", "--ssl-reqd", "-u", "alice:secret", "pop3://127.0.0.1:"+p.ports[0]+"/1"),
		p.runClient("", "curl", "-sSk", "--ssl-reqd", "-u", "alice:secret", "pop3://127.0.0.1:"+p.ports[1]+"/2"),
		p.runClient("", "curl", "-sS", "-u", "alice:secret", "pop3://127.0.0.1:"+p.ports[1]+"/3"),
	})
}

// TestPOPS likewise, with TLS from the first byte.
func TestPOPS(t *testing.T) {
	cert, key := certified(t, t.TempDir(), 1)
	p := newPOPTest(t, "curl", "--tls-cert", cert, "--tls-key", key, "--pop3s", "127.0.0.1:0")
	var got []string
	for i, port := range []string{p.ports[0], p.ports[1], p.ports[0]} {
		got = append(got, p.runClient("", "curl", "-sSk", "-u", "alice:secret", fmt.Sprintf("pop3s://127.0.0.1:%s/%d", port, i+1)))
	}
	p.wantMail(got)
}

// TestPOPFlags: what cannot be served is refused at once.
func TestPOPFlags(t *testing.T) {
	r := newRig(t)
	for want, words := range map[string][]string{
		"--pop3s needs --tls-cert and --tls-key":                            {"--pop3s", "127.0.0.1:0"},
		"--pop3 shows the mail in a spool, and not what is at --location":   {"--pop3", "127.0.0.1:0", "--location", "/x/%u"},
		`--pop3: "110": an address is HOST:PORT or unix:PATH`:               {"--pop3", "110"},
		`plain-login "maybe": it is on or off`:                              {"--lmtp", "127.0.0.1:0", "--plain-login", "maybe"},
		`pop3-expire "-1": it is a number of days above 0, or never`:        {"--pop3", "127.0.0.1:0", "--pop3-expire=-1"},
		`pop3-login-delay "1ms": it is a time in whole seconds, such as 5m`: {"--pop3", "127.0.0.1:0", "--pop3-login-delay", "1ms"},
		`pop3-uidl "%v" is neither own, dovecot`:                            {"--pop3", "127.0.0.1:0", "--pop3-uidl", "%v"},
	} {
		if got := r.run("", append([]string{"serve"}, words...)...); got.code == 0 || !strings.Contains(got.err, want) {
			t.Errorf("%q: %+v, want %s", words, got, want)
		}
	}
}

// TestPOPFetchmail fetches new mail once, from whichever process, and then
// removes all.
func TestPOPFetchmail(t *testing.T) {
	p := newPOPTest(t, "fetchmail")
	p.makeMaildir("got")
	p.file("mda", "#!/bin/sh\ncat > got/new/$$\n")
	fetch := func(port, options string) {
		t.Helper()
		p.file("rc", fmt.Sprintf("poll 127.0.0.1 service %s protocol pop3 uidl user alice password secret mda \"sh mda\" no rewrite no forcecr %s\n", port, options))
		cmd := exec.CommandContext(t.Context(), "fetchmail", "-f", "rc", "-i", "ids", "--nosyslog", "--pidfile", filepath.Join(p.home, "pid"), "--sslproto", "")
		cmd.Dir, cmd.Env = p.home, append(os.Environ(), "HOME="+p.home, "LC_ALL=C", "FETCHMAILHOME="+p.home)
		if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState.ExitCode() != 1 { // 1: no mail
			t.Fatalf("fetchmail: %v: %s", err, out)
		}
	}
	fetch(p.ports[0], "keep")
	fetch(p.ports[1], "keep")
	p.wantMail(p.maildir("got"))
	p.wantLeft(3)
	fetch(p.ports[1], "fetchall nokeep")
	p.wantLeft(0)
}

// TestPOPMpop likewise, with pipelined commands.
func TestPOPMpop(t *testing.T) {
	p := newPOPTest(t, "mpop")
	p.makeMaildir("got")
	fetch := func(port string, options ...string) {
		t.Helper()
		p.runClient("", append([]string{"mpop", "--host=127.0.0.1", "--port=" + port, "--user=alice", "--passwordeval=echo secret", "--tls=off", "--auth=plain",
			"--pipelining=on", "--delivery=maildir," + filepath.Join(p.home, "got"), "--uidls-file=" + filepath.Join(p.home, "uidls")}, options...)...)
	}
	fetch(p.ports[0], "--keep=on")
	fetch(p.ports[1], "--keep=on")
	p.wantMail(p.maildir("got"))
	p.wantLeft(3)
	fetch(p.ports[1], "--keep=off")
	p.wantLeft(0)
}

// TestPOPGetmail likewise.
func TestPOPGetmail(t *testing.T) {
	p := newPOPTest(t, "getmail")
	fetch := p.getmail()
	fetch(p.ports[0], "", "")
	fetch(p.ports[0], "", "")
	p.wantMail(p.maildir("got"))
	p.wantLeft(3)
	fetch(p.ports[0], "", "delete = true\n")
	p.wantLeft(0)
}

// getmail returns what fetches mail into a Maildir, with options of the
// retriever and others.
func (p *popTest) getmail() (fetch func(port, retriever, options string)) {
	p.t.Helper()
	p.makeMaildir("got")
	me, err := user.Current()
	if err != nil {
		p.t.Fatal(err)
	}
	if me.Uid == "0" { // for whom it delivers nothing
		if me, err = user.Lookup("nobody"); err != nil {
			p.t.Fatal(err)
		}
		p.giveAway(me)
	}
	return func(port, retriever, options string) {
		p.t.Helper()
		p.file("getmailrc", fmt.Sprintf("[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\nport = %s\nusername = alice\npassword = secret\n%s"+
			"[destination]\ntype = Maildir\npath = %s/got/\nuser = %s\n[options]\nread_all = false\n%s", port, retriever, p.home, me.Username, options))
		// Its note of what it has read is by server and port.
		p.runClient("", "getmail", "--getmaildir", p.home, "--rcfile", "getmailrc")
	}
}

// TestPOPPython: poplib of Python's library sees the same on both processes.
func TestPOPPython(t *testing.T) {
	p := newPOPTest(t, "python3")
	out := p.runClient("", "python3", "-c", `
import poplib, sys
drops = []
for port in sys.argv[1:]:
    c = poplib.POP3('127.0.0.1', int(port))
    c.user('alice'); c.pass_('secret')
    assert 'TOP' in c.capa() and 'UIDL' in c.capa()
    drops.append(c)
a, b = drops
assert a.uidl()[1] == b.uidl()[1], (a.uidl(), b.uidl())
for n in (1, 2, 3):
    lines = a.retr(n)[1]
    assert lines == b.retr(n)[1]
    assert sum(len(x) + 2 for x in lines) == a.list(n) and 0 or int(a.list(n).split()[2]) == sum(len(x) + 2 for x in lines), a.list(n)
    assert a.top(n, 0)[1] == lines[:lines.index(b'') + 1]
a.dele(1); b.dele(1); b.dele(2)
print(a.quit().decode(), b.quit().decode())
`, p.ports[0], p.ports[1])
	if strings.Count(out, "+OK") != 2 {
		t.Error(out)
	}
	p.wantLeft(1)
}

// TestPOPNail: s-nail copies all mail and deletes one.
func TestPOPNail(t *testing.T) {
	p := newPOPTest(t, "s-nail")
	p.runClient("copy * got\ndelete 2\nquit\n", "s-nail", "-n", "-S", "v15-compat", "-S", "folder="+p.home, "-f", "pop3://alice:secret@127.0.0.1:"+p.ports[0])
	p.wantMail(p.mbox("got"))
	p.wantLeft(2)
}

// TestPOPMutt: mutt copies all mail and deletes one.
func TestPOPMutt(t *testing.T) {
	p := newPOPTest(t, "mutt")
	p.file("muttrc", "set folder=~\nset ssl_force_tls=no\nset ssl_starttls=no\nset quit=yes\nset delete=yes\nset move=no\nset confirmappend=no\nset confirmcreate=no\nset wait_key=no\nset mbox_type=mbox\nset copy=no\n")
	out := p.runClient("", "script", "-qec", "mutt -n -F muttrc -f pop://alice:secret@127.0.0.1:"+p.ports[1]+
		` -e 'push "<tag-pattern>.<enter><tag-prefix><copy-message>=got<enter><untag-pattern>.<enter><delete-pattern>~s empty<enter><quit>"'`, "/dev/null")
	t.Logf("%q", out)
	p.wantMail(p.mbox("got"))
	p.wantLeft(2)
}

// mbox reads the messages of an mbox in the client's home, which has its own
// fields in each header and From quoted in the text.
func (p *popTest) mbox(name string) (list []string) {
	p.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.home, name))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, text := range strings.Split("\n\n"+string(b), "\n\nFrom ")[1:] {
		list = append(list, strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\n")+"\n")
	}
	return list
}
