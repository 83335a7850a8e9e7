package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// exim is an Exim of the test's own.
type exim struct {
	*unpacked
	port int
}

const eximProgram = "/usr/sbin/exim4"

// newExim configures one as docs/operations.md has it, for users of the system.
func newExim(t *testing.T, block string, replace ...string) *exim {
	t.Helper()
	x := &exim{unpacked: newUnpacked(t, "exim4-daemon-light")}
	x.port = x.freePort()
	for _, name := range []string{"exim/spool", "exim/log"} {
		x.mkdir(name, 0o750, 40011, 40011)
	}
	documented := strings.NewReplacer(append(replace, "/usr/bin/bobbin", x.program)...).Replace(documentedBlock(t, block))
	router, transport, ok := strings.Cut(documented, "# transport\n")
	if !ok {
		t.Fatalf("%s has no transport", block)
	}
	x.write("exim/conf", fmt.Sprintf(`primary_hostname = mx.example.org
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
%[4]s`, x.path("exim"), eximProgram, router, transport))
	x.logs("exim/log/mainlog")
	x.start(eximProgram, "-C", x.path("exim/conf"), "-bdf", "-oX", fmt.Sprintf("127.0.0.1.%d", x.port), "-oP", x.path("exim/pid"))
	return x
}

func (x *exim) runs(t *testing.T, lists string) {
	t.Helper()
	x.unpacked.runs(x.port, func() {
		if err := sendTo(x.port, "Subject: x\r\n\r\n", "nobody-here@example.org"); err == nil {
			t.Error("an unknown user was taken")
		}
		if out, err := x.inside(eximProgram, "-C", x.path("exim/conf"), "-qff").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}, lists)
}

// TestEximPipe: Exim runs the program as each user.
func TestEximPipe(t *testing.T) {
	newExim(t, "exim-pipe").runs(t, "new")
}

// TestEximLMTP: Exim hands the whole address to a server, which becomes each user.
func TestEximLMTP(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "lmtp")
	x := newExim(t, "exim-lmtp", "/run/bobbin/lmtp", socket)
	x.do(os.Chmod(filepath.Dir(socket), 0o755))
	x.want(0, x.run(aliceUID, "", "folder", "create", "lists", "--user", "alice"), "")
	x.startLMTP(socket)
	x.runs(t, ".lists/new")
}

// startLMTP starts a server for users of the system.
func (u *unpacked) startLMTP(socket string) {
	u.t.Helper()
	u.start(u.program, "serve", "--location", "%h/Maildir", "--local-domains", "example.org", "--lmtp", "unix:"+socket)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return
		} else if time.Now().After(end) {
			u.t.Fatal(err)
		}
	}
}
