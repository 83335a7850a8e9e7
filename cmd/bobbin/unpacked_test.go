package main

import (
	"fmt"
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

// unpacked is a system with mail programs that are not installed, because they
// exclude each other as packages. They run in a mount namespace where they are, with
// a /run, /var/lib and /var/spool of the test's own, and where the users of the
// directory service and of the programs stand in /etc/passwd.
type unpacked struct {
	*system
	enter string // a script that goes there
}

// newUnpacked wants Debian's packages, each unpacked below BOBBIN_TEST_UNPACKED
// under its own name.
func newUnpacked(t *testing.T, packages ...string) *unpacked {
	t.Helper()
	root := os.Getenv("BOBBIN_TEST_UNPACKED")
	if root == "" || os.Geteuid() != 0 {
		if os.Getenv("BOBBIN_TEST_FULL") != "" && os.Geteuid() == 0 {
			t.Fatal("BOBBIN_TEST_UNPACKED does not name a directory with unpacked packages of Debian: see .ci/run")
		}
		t.Skipf("needs root, and BOBBIN_TEST_UNPACKED, a directory with Debian's %s unpacked", strings.Join(packages, ", "))
	}
	u := &unpacked{system: newSystem(t)}
	lower := ""
	for _, p := range packages {
		dir := filepath.Join(root, p, "usr")
		if _, err := os.Stat(dir); err != nil {
			t.Fatal(err)
		}
		lower += dir + ":"
	}
	// Programs become other users, and must be able to come to what is the test's.
	for dir := u.dir; dir != "/"; dir = filepath.Dir(dir) {
		i, err := os.Stat(dir)
		u.do(err)
		u.do(os.Chmod(dir, i.Mode()|0o055))
	}
	script := "#!/bin/sh\nset -e\nmount -t overlay -o lowerdir=" + lower + "/usr bobbin-test /usr\n"
	for _, name := range []string{"run", "var/lib", "var/spool"} {
		u.do(os.MkdirAll(u.path(name), 0o755))
		script += "mount --bind " + u.path(name) + " /" + name + "\n"
	}
	known := map[string]string{}
	for user, uid := range map[string]int{"alice": aliceUID, "bob": bobUID, "Debian-exim": 40011, "opensmtpd": 40012, "opensmtpq": 40013, "postfix": 40014, "postdrop": 40015} {
		known["passwd"] += fmt.Sprintf("%s:x:%d:%d::%s:/bin/sh\n", user, uid, uid, u.path("home/"+user))
		known["group"] += fmt.Sprintf("%s:x:%d:\n", user, uid)
	}
	for name, lines := range known {
		b, err := os.ReadFile("/etc/" + name)
		u.do(err)
		u.do(os.WriteFile(u.path(name), append(b, lines...), 0o644))
		script += "mount --bind " + u.path(name) + " /etc/" + name + "\n"
	}
	u.enter = u.path("enter")
	u.do(os.WriteFile(u.enter, []byte(script+"exec \"$@\"\n"), 0o755))
	return u
}

func (u *unpacked) path(name string) string { return filepath.Join(u.dir, name) }

func (u *unpacked) write(name, text string) {
	u.t.Helper()
	u.do(os.WriteFile(u.path(name), []byte(text), 0o644))
}

// mkdir makes a directory that belongs to one of the programs' users.
func (u *unpacked) mkdir(name string, mode os.FileMode, user, group int) {
	u.t.Helper()
	u.do(os.MkdirAll(u.path(name), 0o755))
	u.do(os.Chmod(u.path(name), mode))
	u.do(os.Chown(u.path(name), user, group))
}

// inside is a command in the namespace.
func (u *unpacked) inside(words ...string) *exec.Cmd {
	cmd := exec.Command("unshare", append([]string{"-m", u.enter}, words...)...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=" + os.Getenv("PATH"), "XDG_STATE_HOME=" + os.DevNull}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start starts a server that ends itself and its children on SIGTERM.
func (u *unpacked) start(words ...string) {
	u.t.Helper()
	cmd := u.inside(words...)
	var said syncBuffer
	cmd.Stdout, cmd.Stderr = &said, &said
	u.do(cmd.Start())
	u.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if u.t.Failed() {
			u.t.Logf("%s: %.20000s", words[0], said.String())
		}
	})
}

// freePort is a port of the loopback interface that nobody listens at.
func (u *unpacked) freePort() int {
	u.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	u.do(err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// sendTo hands a message in by SMTP when the server is there.
func sendTo(port int, text string, to ...string) error {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
			return smtp.SendMail(address, nil, "joe@example.net", to, []byte(text))
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// runs hands in mail by SMTP, lets it be delivered, and looks for it in the folders of
// its users, byte for byte below the fields that the mail systems add.
func (u *unpacked) runs(port int, settle func(), alicesFolder string) {
	u.t.Helper()
	var want []string
	for n := range 3 {
		text := fmt.Sprintf("Subject: %d\nFrom: joe@example.net\nDate: Tue, 24 Nov 2026 10:00:00 +0000\nMessage-ID: <%d@example.net>\nTo: list@example.org\n\n.\n..\nFrom here\n\n\xfcn\xef \t\n%s\n.dot\n", n, n, strings.Repeat("long ", 150))
		want = append(want, text)
		u.do(sendTo(port, strings.ReplaceAll(text, "\n", "\r\n"), "alice+lists@example.org", "bob@example.org"))
	}
	settle()
	u.wantMail("alice", aliceUID, alicesFolder, want)
	u.wantMail("bob", bobUID, "new", want)
}

// wantMail waits for a user's mail to come.
func (u *unpacked) wantMail(user string, uid int, dir string, want []string) {
	u.t.Helper()
	home := u.path("home/" + user + "/Maildir")
	var files []string
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if files, _ = filepath.Glob(filepath.Join(home, dir, "*")); len(files) >= len(want) || time.Now().After(end) {
			break
		}
	}
	var got []string
	for _, name := range files {
		b, err := os.ReadFile(name)
		u.do(err)
		fields, rest, _ := strings.Cut(string(b), "\nSubject: ")
		// OpenSMTPD and Postfix write some as well, with the whole address.
		if ok, err := regexp.MatchString(`^(Return-Path: <joe@example\.net>\n(X-Original-To: .*\n)?Delivered-To: `+user+`(\+lists)?(@example\.org)?\n)+Received: `, fields); !ok || err != nil {
			u.t.Errorf("%s: %s, %v", user, fields, err)
		}
		got = append(got, "Subject: "+rest)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		u.t.Errorf("%s has %d messages, want %d:\n%.3000q", user, len(got), len(want), got)
	}
	u.wantOwned(home, uid)
}

// logs shows a log when the test has failed.
func (u *unpacked) logs(name string) {
	u.t.Cleanup(func() {
		if b, _ := os.ReadFile(u.path(name)); u.t.Failed() {
			u.t.Logf("%s: %.20000s", name, b)
		}
	})
}
