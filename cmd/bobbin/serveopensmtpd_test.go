package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// openSMTPD is an OpenSMTPD of the test's own, for users of the system. It has the
// paths of its queue and its socket compiled in.
type openSMTPD struct {
	*unpacked
	port int
}

func newOpenSMTPD(t *testing.T, block string, replace ...string) *openSMTPD {
	t.Helper()
	o := &openSMTPD{unpacked: newUnpacked(t, "opensmtpd")}
	o.port = o.freePort()
	o.mkdir("var/lib/opensmtpd/empty", 0o755, 0, 0)
	o.mkdir("var/spool/smtpd", 0o711, 0, 0)
	documented := strings.NewReplacer(append(replace, "/usr/bin/bobbin", o.program)...).Replace(documentedBlock(t, block))
	o.write("smtpd.conf", fmt.Sprintf("listen on 127.0.0.1 port %d hostname mx.example.org\n", o.port)+documented)
	o.want(0, o.run(aliceUID, "", "folder", "create", "lists", "--user", "alice"), "")
	o.start("/usr/sbin/smtpd", "-d", "-f", o.path("smtpd.conf"))
	return o
}

// TestOpenSMTPDCommand: OpenSMTPD runs the program as each user, also for a folder.
func TestOpenSMTPDCommand(t *testing.T) {
	o := newOpenSMTPD(t, "opensmtpd-mda")
	o.runs(t)
}

// TestOpenSMTPDLMTP: OpenSMTPD hands the whole address to a server, which becomes
// each user.
func TestOpenSMTPDLMTP(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "lmtp")
	o := newOpenSMTPD(t, "opensmtpd-lmtp", "/run/bobbin/lmtp", socket)
	o.do(os.Chmod(filepath.Dir(socket), 0o755))
	o.startLMTP(socket)
	o.runs(t)
}

func (o *openSMTPD) runs(t *testing.T) {
	t.Helper()
	o.unpacked.runs(o.port, func() {
		if err := sendTo(o.port, "Subject: x\r\n\r\n", "nobody-here@example.org"); err == nil {
			t.Error("an unknown user was taken")
		}
	}, ".lists/new")
}
