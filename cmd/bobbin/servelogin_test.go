package main

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/readers"
)

// newLoginTest is a POP3 server that offers all mechanisms that a spool can.
func newLoginTest(t *testing.T, client string) *popTest {
	t.Helper()
	p := newPOPTest(t, client, "--auth-mechanisms", "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 APOP PLAIN LOGIN")
	p.must("secret\n", "user", "passwd", "alice", "--password-stdin", "--plain")
	return p
}

// exits runs a client that must end with a code; -1 is any but 0.
func (p *popTest) exits(code int, words ...string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), words[0], words[1:]...)
	cmd.Dir, cmd.Env = p.home, append(os.Environ(), "HOME="+p.home, "LC_ALL=C")
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != code && (code >= 0 || got == 0) {
		p.t.Errorf("%q: exit code %d: %s", words, got, out)
	}
}

// TestLoginCurl logs in by each mechanism that curl knows.
func TestLoginCurl(t *testing.T) {
	p := newLoginTest(t, "curl")
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "+APOP"} {
		words := []string{"curl", "-sS", "--login-options", "AUTH=" + mechanism, "-u", "alice:secret", "pop3://127.0.0.1:" + p.ports[0]}
		if out := p.runClient("", words...); strings.Count(out, "\n") != 3 {
			t.Errorf("%s: %q", mechanism, out)
		}
	}
	p.exits(67, "curl", "-sS", "--login-options", "AUTH=CRAM-MD5", "-u", "alice:wrong", "pop3://127.0.0.1:"+p.ports[0])
	p.exits(67, "curl", "-sS", "--login-options", "AUTH=+APOP", "-u", "nobody:secret", "pop3://127.0.0.1:"+p.ports[0])
}

// TestLoginMpop likewise; it has SCRAM.
func TestLoginMpop(t *testing.T) {
	p := newLoginTest(t, "mpop")
	fetch := func(mechanism, password, into string) []string {
		return []string{"mpop", "--host=127.0.0.1", "--port=" + p.ports[1], "--user=alice", "--passwordeval=echo " + password, "--tls=off", "--auth=" + mechanism,
			"--keep=on", "--delivery=maildir," + filepath.Join(p.home, into), "--uidls-file=" + filepath.Join(p.home, into+".uidls")}
	}
	for _, mechanism := range []string{"user", "plain", "login", "apop", "cram-md5", "scram-sha-1", "scram-sha-256"} {
		p.makeMaildir(mechanism)
		p.runClient("", fetch(mechanism, "secret", mechanism)...)
		p.wantMail(p.maildir(mechanism))
	}
	p.exits(-1, fetch("scram-sha-256", "wrong", "none")...)
	p.exits(-1, fetch("apop", "wrong", "none")...)
}

// TestLoginFetchmail likewise.
func TestLoginFetchmail(t *testing.T) {
	p := newLoginTest(t, "fetchmail")
	for _, way := range []string{"protocol apop", "protocol pop3 auth cram-md5", "protocol pop3 auth password"} {
		box := strings.ReplaceAll(way, " ", "-")
		p.makeMaildir(box)
		p.file("mda", "#!/bin/sh\ncat > "+box+"/new/$$\n")
		p.file("rc", fmt.Sprintf("poll 127.0.0.1 service %s %s user alice password secret mda \"sh mda\" no rewrite no forcecr keep fetchall\n", p.ports[0], way))
		p.runClient("", "env", "FETCHMAILHOME="+p.home, "fetchmail", "-f", "rc", "--nosyslog", "--pidfile", filepath.Join(p.home, "pid"), "--sslproto", "")
		p.wantMail(p.maildir(box))
	}
}

// TestLoginMutt likewise.
func TestLoginMutt(t *testing.T) {
	p := newLoginTest(t, "mutt")
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-1", "cram-md5", "plain", "login", "apop", "user"} {
		p.file("muttrc", "set folder=~\nset ssl_force_tls=no\nset ssl_starttls=no\nset quit=yes\nset move=no\nset confirmappend=no\nset confirmcreate=no\nset wait_key=no\n"+
			"set mbox_type=mbox\nset copy=no\nset pop_authenticators=\""+mechanism+"\"\nset pop_auth_try_all=no\n")
		p.runClient("", "script", "-qec", "mutt -n -F muttrc -f pop://alice:secret@127.0.0.1:"+p.ports[1]+
			` -e 'push "<tag-pattern>.<enter><tag-prefix><copy-message>=`+mechanism+`<enter><quit>"'`, "/dev/null")
		p.wantMail(p.mbox(mechanism))
	}
}

// TestLoginGetmail likewise.
func TestLoginGetmail(t *testing.T) {
	p := newLoginTest(t, "getmail")
	fetch := p.getmail()
	fetch(p.ports[0], "use_apop = true\n", "")
	p.wantMail(p.maildir("got"))
}

// TestLoginPython logs in with APOP.
func TestLoginPython(t *testing.T) {
	p := newLoginTest(t, "python3")
	out := p.runClient("", "python3", "-c", `
import poplib, sys
c = poplib.POP3('127.0.0.1', int(sys.argv[1]))
try:
    c.apop('alice', 'wrong')
except poplib.error_proto as e:
    print(e)
print(c.apop('alice', 'secret'), c.stat()[0])
c.quit()
`, p.ports[0])
	if !strings.Contains(out, "[AUTH]") || !strings.HasSuffix(out, " 3\n") {
		t.Error(out)
	}
}

// TestLoginToken logs in by OAuth: a command knows the one token.
func TestLoginToken(t *testing.T) {
	dir := t.TempDir()
	command := filepath.Join(dir, "introspect")
	script := "#!/bin/sh\ncase $(cat) in\ngood) echo '{\"active\": true, \"username\": \"alice\"}' ;;\nlate) exit 1 ;;\n*) echo '{\"active\": false}' ;;\nesac\n"
	if err := os.WriteFile(command, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	p := newPOPTest(t, "curl", "--token-command", command)
	curl := func(mechanism, token string) []string {
		return []string{"curl", "-sS", "--login-options", "AUTH=" + mechanism, "-u", "alice:", "--oauth2-bearer", token, "pop3://127.0.0.1:" + p.ports[0]}
	}
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		if out := p.runClient("", curl(mechanism, "good")...); strings.Count(out, "\n") != 3 {
			t.Errorf("%s: %q", mechanism, out)
		}
		p.exits(67, curl(mechanism, "bad")...)
		p.exits(-1, curl(mechanism, "late")...)
	}
	for _, mechanism := range []string{"oauthbearer", "xoauth2"} {
		p.makeMaildir(mechanism)
		p.runClient("", "mpop", "--host=127.0.0.1", "--port="+p.ports[1], "--user=alice", "--passwordeval=echo good", "--tls=off", "--auth="+mechanism,
			"--keep=on", "--delivery=maildir,"+filepath.Join(p.home, mechanism), "--uidls-file="+filepath.Join(p.home, mechanism+".uidls"))
		p.wantMail(p.maildir(mechanism))
	}
}

// TestLoginCertificate logs in by the certificate of a client.
func TestLoginCertificate(t *testing.T) {
	dir := t.TempDir()
	cert, key := certified(t, dir, 1)
	mine, secret := certifiedAs(t, t.TempDir(), &x509.Certificate{SerialNumber: big.NewInt(2), EmailAddresses: []string{"alice"}})
	other, hidden := certifiedAs(t, t.TempDir(), &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "bob"}})
	authorities := filepath.Join(dir, "authorities.pem")
	var all []byte
	for _, name := range []string{mine, other} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text...)
	}
	if err := os.WriteFile(authorities, all, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPOPTest(t, "curl", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authorities, "--pop3s", "127.0.0.1:0")
	curl := func(cert, key string) []string {
		return []string{"curl", "-sSk", "--cert", cert, "--key", key, "--login-options", "AUTH=EXTERNAL", "-u", "alice:", "pop3s://127.0.0.1:" + p.ports[0]}
	}
	if out := p.runClient("", curl(mine, secret)...); strings.Count(out, "\n") != 3 {
		t.Errorf("%q", out)
	}
	p.exits(67, curl(other, hidden)...)
	out := p.runClient("", "curl", "-sSk", "-u", "alice:secret", "pop3s://127.0.0.1:"+p.ports[0])
	if strings.Count(out, "\n") != 3 {
		t.Errorf("without a certificate: %q", out)
	}
}

// TestIntrospected: answers that say nothing are no refusal.
func TestIntrospected(t *testing.T) {
	for answer, want := range map[string]string{
		`{"active":true,"username":"alice","sub":"x"}`: "alice", `{"active":true,"sub":"bob","username":""}`: "bob", `{"active":false,"username":"alice"}`: "denied",
		`{"username":"alice"}`: "denied", `{"active":true}`: "later", `{"active":"true","username":"alice"}`: "later", `{"active":true,"username":7}`: "later", ``: "later", `null`: "denied",
	} {
		user, err := introspected([]byte(answer))
		switch {
		case errors.Is(err, readers.ErrDenied):
			user = "denied"
		case err != nil:
			user = "later"
		}
		if user != want {
			t.Errorf("%s: %s, want %s", answer, user, want)
		}
	}
}

// TestLoginPasswdFile: accounts of a file that changes; a master reads another's
// mail, by his name or by SASL.
func TestLoginPasswdFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "passwd")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice:{SSHA}Tm8ajLs+Uco1pv43+9dbnZu1LNgFUdm7\nroot:{PLAIN}boss\n")
	p := newPOPTest(t, "curl", "--accounts", "passwd-file:"+file, "--master-users", "root", "--auth-mechanisms", "PLAIN CRAM-MD5")
	curl := func(user string, more ...string) []string {
		return append([]string{"curl", "-sS", "-u", user, "pop3://127.0.0.1:" + p.ports[0]}, more...)
	}
	for _, words := range [][]string{
		curl("alice:pass word", "--login-options", "AUTH=PLAIN"), curl("alice*root:boss"), curl("alice*root:boss", "--login-options", "AUTH=CRAM-MD5"),
		curl("root:boss", "--login-options", "AUTH=PLAIN", "--sasl-authzid", "alice"),
	} {
		if out := p.runClient("", words...); strings.Count(out, "\n") != 3 {
			t.Errorf("%q: %q", words, out)
		}
	}
	p.exits(67, curl("alice:secret")...)
	p.exits(67, curl("root*alice:pass word")...)
	write("# changed\nalice:{PLAIN}another\n")
	p.exits(67, curl("alice:pass word", "--login-options", "AUTH=PLAIN")...)
	if out := p.runClient("", curl("alice:another")...); strings.Count(out, "\n") != 3 {
		t.Errorf("after a change: %q", out)
	}
}

// TestLoginCheckpassword: accounts of a command.
func TestLoginCheckpassword(t *testing.T) {
	command := filepath.Join(t.TempDir(), "check")
	script := "#!/bin/sh\n{ IFS= read -r all || :; } <<-E\n$(tr '\\000' ' ' <&3)\nE\nset -- \"$all\" \"$@\"\ncase $1 in\n" +
		"'al good '*) shift; export USER=alice; exec \"$@\" ;;\n*late*) exit 111 ;;\nesac\nexit 1\n"
	if err := os.WriteFile(command, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	p := newPOPTest(t, "curl", "--accounts", "checkpassword:"+command)
	curl := func(user string) []string {
		return []string{"curl", "-sS", "-u", user, "pop3://127.0.0.1:" + p.ports[0]}
	}
	if out := p.runClient("", curl("al:good")...); strings.Count(out, "\n") != 3 {
		t.Errorf("%q", out)
	}
	for _, user := range []string{"al:bad", "alice:secret", "al:" + strings.Repeat("good ", 120)} {
		p.exits(67, curl(user)...)
	}
	out := p.runClient("", "python3", "-c", "import poplib,sys\nc=poplib.POP3('127.0.0.1',int(sys.argv[1]))\nc.user('al')\ntry: c.pass_('late')\nexcept poplib.error_proto as e: print(e)", p.ports[1])
	if !strings.Contains(out, "[SYS/TEMP]") {
		t.Errorf("a command that could not look: %q", out)
	}
	for _, words := range [][]string{{"--accounts", "ldap:x"}, {"--accounts", "passwd-file:"}, {"--accounts", "passwd-file:/nonexistent"}, {"--auth-mechanisms", "NTLM"}, {"--token-command", " "}} {
		if got := p.run("", append([]string{"serve"}, words...)...); got.code != exitConfig {
			t.Errorf("%q: %+v", words, got)
		}
	}
}
