package main

import (
	"fmt"
	"net"
	"net/smtp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// exim is an Exim of the test's own, unpacked somewhere and not installed. It and
// its users are known in a mount namespace of their own.
type exim struct {
	*system
	program, dir string
	port         int
}

// newExim configures one as docs/operations.md has it, for users of the system.
func newExim(t *testing.T, block string, replace ...string) *exim {
	t.Helper()
	root := os.Getenv("BOBBIN_TEST_EXIM")
	if root == "" || os.Geteuid() != 0 {
		if os.Getenv("BOBBIN_TEST_FULL") != "" && os.Geteuid() == 0 {
			t.Fatal("BOBBIN_TEST_EXIM does not name a directory with Debian's exim4-daemon-light unpacked: see .ci/run")
		}
		t.Skip("needs root, and BOBBIN_TEST_EXIM, a directory with Debian's exim4-daemon-light unpacked")
	}
	x := &exim{system: newSystem(t), program: filepath.Join(root, "usr/sbin/exim4")}
	x.dir = filepath.Join(x.system.dir, "exim")
	x.do(os.Mkdir(x.dir, 0o755))
	const uid = 40009
	for _, name := range []string{"spool", "log"} {
		x.do(os.Mkdir(filepath.Join(x.dir, name), 0o750))
		x.do(os.Chown(filepath.Join(x.dir, name), uid, uid))
	}
	known := map[string]string{"passwd": "Debian-exim:x:40009:40009::/nonexistent:/bin/false\n", "group": "Debian-exim:x:40009:\n"}
	for user, uid := range map[string]int{"alice": aliceUID, "bob": bobUID} {
		known["passwd"] += fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", user, uid, uid, filepath.Join(x.system.dir, "home", user))
		known["group"] += fmt.Sprintf("%s:x:%d:\n", user, uid)
	}
	enter := "#!/bin/sh\nset -e\n"
	for name, lines := range known {
		b, err := os.ReadFile("/etc/" + name)
		x.do(err)
		x.do(os.WriteFile(filepath.Join(x.dir, name), append(b, lines...), 0o644))
		enter += "mount --bind " + filepath.Join(x.dir, name) + " /etc/" + name + "\n"
	}
	x.do(os.WriteFile(filepath.Join(x.dir, "enter"), []byte(enter+"exec \"$@\"\n"), 0o755))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	x.do(err)
	x.port = l.Addr().(*net.TCPAddr).Port
	x.do(l.Close())
	documented := strings.NewReplacer(append(replace, "/usr/bin/bobbin", x.system.program)...).Replace(documentedBlock(t, block))
	router, transport, ok := strings.Cut(documented, "# transport\n")
	if !ok {
		t.Fatalf("%s has no transport", block)
	}
	x.do(os.WriteFile(filepath.Join(x.dir, "conf"), fmt.Appendf(nil, `primary_hostname = mx.example.org
spool_directory = %[1]s/spool
log_file_path = %[1]s/log/%%slog
exim_path = %[2]s
domainlist local_domains = example.org
acl_smtp_rcpt = accept verify = recipient
tls_advertise_hosts =
queue_only
host_lookup =
keep_environment =
begin routers
%[3]sbegin transports
%[4]s`, x.dir, x.program, router, transport), 0o644))
	x.start(x.program, "-C", filepath.Join(x.dir, "conf"), "-bdf", "-oX", fmt.Sprintf("127.0.0.1.%d", x.port), "-oP", filepath.Join(x.dir, "pid"))
	return x
}

// inside runs a program where the test's users are known.
func (x *exim) inside(words ...string) *exec.Cmd {
	cmd := exec.Command("unshare", append([]string{"-m", filepath.Join(x.dir, "enter")}, words...)...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH"), "XDG_STATE_HOME=" + os.DevNull}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func (x *exim) start(words ...string) {
	x.t.Helper()
	cmd := x.inside(words...)
	var said syncBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	x.do(cmd.Start())
	x.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if x.t.Failed() {
			x.t.Logf("%.2000s\n%.5000s", said.String(), x.log())
		}
	})
}

func (x *exim) log() string {
	b, _ := os.ReadFile(filepath.Join(x.dir, "log/mainlog"))
	return string(b)
}

// send hands a message in when the server is there.
func (x *exim) send(text string, to ...string) error {
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", x.port))
		if err == nil {
			_ = c.Close()
			return smtp.SendMail(fmt.Sprintf("127.0.0.1:%d", x.port), nil, "joe@example.net", to, []byte(text))
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// runs hands in mail by SMTP and looks for it in the folders of its users, byte for
// byte below the fields that the mail systems add.
func (x *exim) runs(t *testing.T, lists string) {
	t.Helper()
	var want []string
	for n := range 3 {
		text := fmt.Sprintf("Subject: %d\nFrom: joe@example.net\nDate: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <%d@example.net>\nTo: list@example.org\n\n.\n..\nFrom here\n\n\xfcn\xef \t\n%s\n.dot\n", n, n, strings.Repeat("long ", 150))
		want = append(want, text)
		x.do(x.send(strings.ReplaceAll(text, "\n", "\r\n"), "alice+lists@example.org", "bob@example.org"))
	}
	if err := x.send("Subject: x\r\n\r\n", "nobody-here@example.org"); err == nil {
		t.Error("an unknown user was taken")
	}
	out, err := x.inside(x.program, "-C", filepath.Join(x.dir, "conf"), "-qff").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for user, dir := range map[string]string{"alice": "home/alice/Maildir/" + lists, "bob": "home/bob/Maildir/new"} {
		var got []string
		files, _ := filepath.Glob(filepath.Join(x.system.dir, dir, "*"))
		for _, name := range files {
			b, err := os.ReadFile(name)
			x.do(err)
			fields, rest, _ := strings.Cut(string(b), "\nSubject: ")
			if !strings.HasPrefix(fields, "Return-Path: <joe@example.net>\nDelivered-To: "+user+"\nReceived: ") {
				t.Errorf("%s: %s", user, fields)
			}
			got = append(got, "Subject: "+rest)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s has %d messages, want %d:\n%.3000q", user, len(got), len(want), got)
		}
		x.wantOwned(filepath.Join(x.system.dir, "home", user, "Maildir"), map[string]int{"alice": aliceUID, "bob": bobUID}[user])
	}
}

// TestEximPipe: Exim runs the program as each user.
func TestEximPipe(t *testing.T) {
	newExim(t, "exim-pipe").runs(t, "new")
}

// TestEximLMTP: Exim hands the whole address to a server, which becomes each user.
func TestEximLMTP(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "lmtp")
	x := newExim(t, "exim-lmtp", "/run/bobbin/lmtp", socket)
	for _, dir := range []string{filepath.Dir(socket), filepath.Dir(filepath.Dir(socket))} {
		x.do(os.Chmod(dir, 0o755))
	}
	x.want(0, x.run(aliceUID, "", "folder", "create", "lists", "--user", "alice"), "")
	x.start(x.system.program, "serve", "--location", "%h/Maildir", "--local-domains", "example.org", "--lmtp", "unix:"+socket)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	x.runs(t, ".lists/new")
}
