package pop_test

import (
	"bufio"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/pop"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// TestTransactions: commands of RFC 1939, 2449 and 6856, and what old clients send,
// in sessions that change nothing.
func TestTransactions(t *testing.T) {
	s := open(t, "Subject: one\n\n.\nbody\n.. dots\nlast", "Subject: two\r\n\r\nCRLF\r\n", "Subject: three\n\n")
	const totals = "+OK 3 messages (78 octets)\n"
	for _, c := range []struct{ script, want string }{
		{"STAT", "+OK 3 78\n"},
		{"stat", "+OK 3 78\n"},
		{"STAT 1", "-ERR STAT takes no argument\n"},
		{"LIST", totals + "1 38\n2 22\n3 18\n.\n"},
		{"LIST 2", "+OK 2 22\n"},
		{"LIST 4", "-ERR no such message, there are 3\n"},
		{"LIST 0", "-ERR no such message, there are 3\n"},
		{"LIST -1", "-ERR -1 is no number of a message\n"},
		{"LIST 99999999999999999999", "-ERR 99999999999999999999 is no number of a message\n"},
		{"TOP 1 0", "+OK top of message follows\nSubject: one\n\n.\n"},
		{"TOP 1 2", "+OK top of message follows\nSubject: one\n\n..\nbody\n.\n"},
		{"TOP 1 99", "+OK top of message follows\nSubject: one\n\n..\nbody\n... dots\nlast\n.\n"},
		{"TOP 2 1", "+OK top of message follows\nSubject: two\n\nCRLF\n.\n"},
		{"TOP 3 7", "+OK top of message follows\nSubject: three\n\n.\n"},
		{"TOP 1", "-ERR TOP takes 2 arguments\n"},
		{"TOP 1 x", "-ERR x is no number of lines\n"},
		{"DELE 2|DELE 2|LIST|LIST 2|RETR 2|STAT|RSET|STAT", "+OK message 2 deleted\n-ERR message 2 is deleted\n+OK 2 messages (56 octets)\n1 38\n3 18\n.\n" +
			"-ERR message 2 is deleted\n-ERR message 2 is deleted\n+OK 2 56\n" + totals + "+OK 3 78\n"},
		{"LAST", "+OK 0\n"},
		{"NOOP", "+OK\n"},
		{"RETR", "-ERR RETR takes one argument\n"},
		{"LIST 1 2", "-ERR LIST takes at most 1 arguments\n"},
		{"USER bob", "-ERR you are logged in already\n"},
		{"STLS", "-ERR you are logged in already\n"},
		{"FOO bar", "-ERR unknown command\n"},
		{"CAPA", "+OK capability list follows\nTOP\nUIDL\nRESP-CODES\nAUTH-RESP-CODE\nPIPELINING\nLANG\nUTF8 USER\nEXPIRE NEVER\nXTND BBOARDS ARCHIVE X-BBOARDS\nIMPLEMENTATION Bobbin\n.\n"},
		{"LANG|LANG en|LANG *|LANG tlh", "+OK language listing follows\nen English\n.\n+OK en English\n+OK i-default the default language\n-ERR no such language\n"},
	} {
		if got := s.session(c.script); got != c.want+bye(3) {
			t.Errorf("%s:\n%swant\n%s", c.script, got, c.want)
		}
	}
}

// TestUpdate: QUIT removes what DELE named and marks as seen what RETR read;
// a session that ends otherwise does neither.
func TestUpdate(t *testing.T) {
	s := open(t, "Subject: one\n\n1\n", "Subject: two\n\n2\n", "Subject: three\n\n3\n")
	if got := s.session("RETR 2|LAST|RSET|LAST|DELE 1"); got != "+OK 19 octets\nSubject: two\n\n2\n.\n+OK 2\n+OK 3 messages (59 octets)\n+OK 0\n+OK message 1 deleted\n"+bye(2) {
		t.Error(got)
	}
	if got := s.session("LAST|TOP 2 0"); got != "+OK 1\n+OK top of message follows\nSubject: three\n\n.\n"+bye(2) {
		t.Error(got)
	}
	c := s.dial()
	for _, line := range []string{"USER alice", "PASS secret word", "RETR 2", "DELE 1"} {
		c.send(line)
	}
	c.conn.Close()
	s.pool.CloseIdle()
	if got := s.session("LAST|STAT"); got != "+OK 1\n+OK 2 40\n"+bye(2) {
		t.Errorf("after a connection that broke: %s", got)
	}
	m, err := s.box().Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close(t.Context())
	for i, msg := range m.Messages() {
		if seen := msg.Flags&spool.Seen != 0; seen != (i == 0) {
			t.Errorf("UID %d: seen %v", msg.UID, seen)
		}
	}
}

// TestOperations: who reads a mailbox that was read lately costs the server three
// operations beside the one of the accounts, and no message is opened.
func TestOperations(t *testing.T) {
	s := open(t, "Subject: one\n\n1\n", "Subject: two\n\n2\n")
	ops := s.spool.Host.Ops
	// A change in the last tick of the clock is looked for again; if that had no
	// end, the test would time out.
	for n := int64(5); n > 4; time.Sleep(time.Millisecond) {
		before := ops.Read().Total()
		if got := s.session("STAT|LIST|UIDL"); !strings.HasPrefix(got, "+OK 2 38\n") {
			t.Fatal(got)
		}
		n = ops.Read().Total() - before
	}
}

// TestSnapshot: what another host does meanwhile does not change a session, and
// what it expunged can still be read.
func TestSnapshot(t *testing.T) {
	s := open(t, "Subject: one\n\n1\n", "Subject: two\n\n2\n")
	c := s.dial()
	c.send("USER alice")
	c.send("PASS secret word")
	h, err := netfs.OpenHost(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Share.Close()
	other, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	b, err := other.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Expunge(t.Context(), spool.SetOf(1)); err != nil {
		t.Fatal(err)
	}
	if err := m.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.deliver("Subject: three\n\n3\n")
	if got := s.session("STAT"); !strings.HasPrefix(got, "+OK 2 ") {
		t.Errorf("another session: %s", got)
	}
	for _, line := range [][2]string{
		{"STAT", "+OK 2 38\r\n"}, {"RETR 1", "+OK 19 octets\r\n"}, {"DELE 1", "+OK message 1 deleted\r\n"},
		{"QUIT", "+OK mx.example.org signing off, 1 messages left\r\n"},
	} {
		if got := c.send(line[0]); got != line[1] {
			t.Errorf("%s: %q, want %q", line[0], got, line[1])
		}
	}
}

// TestFullDisk: mail can be read and deleted where nothing can be written.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("bobbin-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system can be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := openAt(t, dir, pop.Options{}, "Subject: one\n\n1\n", "Subject: two\n\n2\n")
	if got := s.session("STAT"); got != "+OK 2 38\n"+bye(2) {
		t.Fatal(got)
	}
	s.deliver("Subject: three\n\n3\n")
	f, err := os.Create(filepath.Join(dir, "users/other"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, 2<<20)); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if got := s.session("RETR 2|DELE 1"); got != "+OK 19 octets\nSubject: two\n\n2\n.\n+OK message 1 deleted\n"+bye(1) {
		t.Error(got)
	}
	s.pool.CloseIdle()
	if got := s.session("RETR 1"); !strings.HasPrefix(got, "+OK 19 octets\nSubject: two\n") {
		t.Error(got)
	}
}

// TestForeignSizes: the size of a message whose name does not tell it is that of
// what is sent.
func TestForeignSizes(t *testing.T) {
	s := open(t)
	long := "Subject: long\n\n" + strings.Repeat(strings.Repeat("x", 70)+"\n", 3000)
	for name, text := range map[string]string{"1790000000.a.x": "Subject: a\n\nLF\n", "1790000001.b.x": long} {
		if err := os.WriteFile(filepath.Join(s.dir, "users/alice/new", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.session("LIST"); !strings.Contains(got, "\n1 18\n2 216017\n.\n") {
		t.Error(got)
	}
	if got := s.session("RETR 2"); !strings.HasSuffix(got, long+".\n"+bye(2)) {
		t.Errorf("it has %d bytes", len(got))
	}
	if one, two := s.session("UIDL"), s.session("UIDL"); one != two || strings.Count(one, "\n") != 5 {
		t.Errorf("%s and %s", one, two)
	}
}

// TestLogin: the ways to log in and what goes wrong with them.
func TestLogin(t *testing.T) {
	s := open(t, "Subject: one\n\n1\n")
	plain := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	const in, denied = "+OK 1 messages (19 octets)", "-ERR [AUTH] wrong name or password"
	for _, c := range []struct{ script, want string }{
		{"PASS x", "-ERR give USER first"},
		{"USER alice|PASS wrong", denied},
		{"USER alice|PASS wrong|PASS secret word", "-ERR give USER first"},
		{"USER nobody|PASS secret word", denied},
		{"USER alice|PASS secret word", in},
		{"AUTH PLAIN " + plain("\x00alice\x00secret word"), in},
		{"AUTH PLAIN|" + plain("alice\x00alice\x00secret word"), in},
		{"AUTH PLAIN " + plain("root\x00alice\x00secret word"), denied},
		{"AUTH PLAIN " + plain("alice"), "-ERR [AUTH] bad credentials"},
		{"AUTH PLAIN =", "-ERR [AUTH] bad credentials"},
		{"AUTH PLAIN|*", "-ERR given up"},
		{"AUTH PLAIN %%", "-ERR that is no base64"},
		{"AUTH LOGIN|" + plain("alice") + "|" + plain("secret word"), in},
		{"AUTH LOGIN " + plain("alice") + "|" + plain("wrong"), denied},
		{"AUTH FOO", "-ERR that way to log in is not offered"},
		{"AUTH SCRAM-SHA-1 " + plain("n,,n=alice,r=x") + "|*", "-ERR given up"},
		{"AUTH SCRAM-SHA-1 " + plain("n,,n=alice,r=x") + "|" + plain("c=biws,r=x,p=AAAA"), denied},
		{"AUTH CRAM-MD5", "-ERR that way to log in is not offered"},
		{"APOP alice c4c9334bac560ecc979e58001b3e22fb", "-ERR that way to log in is not offered"},
		{"AUTH", "+OK mechanisms follow\r\nSCRAM-SHA-256\r\nSCRAM-SHA-1\r\nPLAIN\r\nLOGIN\r\n."},
		{"STAT", "-ERR log in first"},
		{"STLS", "-ERR STLS is not offered"},
	} {
		said := s.talk(append(strings.Split(c.script, "|"), "QUIT")...)
		said, ok := strings.CutSuffix(said, "\r\n+OK mx.example.org signing off\r\n")
		if !ok {
			said, _, _ = strings.Cut(said, "\r\n+OK mx.example.org signing off, ")
		}
		if !strings.HasSuffix(said, "\r\n"+c.want) {
			t.Errorf("%s: %q, want %q", c.script, said, c.want)
		}
	}
}

// TestUIDLForm: UIDL says what the form makes.
func TestUIDLForm(t *testing.T) {
	form, err := pop.ParseUIDL("UID%u")
	if err != nil {
		t.Fatal(err)
	}
	s := openWith(t, pop.Options{UIDL: form}, "Subject: one\n\n1\n", "Subject: two\n\n2\n")
	if got := s.session("UIDL|UIDL 2"); got != "+OK 2 messages (38 octets)\n1 UID1\n2 UID2\n.\n+OK 2 UID2\n"+bye(2) {
		t.Error(got)
	}
}

// TestLoginDelay: who comes back too soon is told so, and others are not.
func TestLoginDelay(t *testing.T) {
	s := openWith(t, pop.Options{LoginDelay: time.Hour})
	const in, wait = "\r\n+OK 0 messages (0 octets)\r\n", "\r\n-ERR [LOGIN-DELAY] you were here less than 1h0m0s ago\r\n"
	for _, want := range []string{in, wait, wait} {
		if said := s.talk("CAPA", "USER alice", "PASS secret word", "QUIT"); !strings.Contains(said, want) || !strings.Contains(said, "\r\nLOGIN-DELAY 3600\r\n") {
			t.Errorf("%q, want %q", said, want)
		}
	}
}

// TestPlain: a password of another host is not taken without encryption.
func TestPlain(t *testing.T) {
	s := open(t)
	s.remote.Store(&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1})
	said := s.talk("CAPA", "USER alice", "PASS secret word", "AUTH PLAIN", "QUIT")
	if strings.Contains(said, "\nUSER\r\n") || !strings.Contains(said, "\nSASL SCRAM-SHA-256 SCRAM-SHA-1\r\n") || strings.Count(said, "give STLS first") != 2 {
		t.Error(said)
	}
	s.remote.Store(&net.TCPAddr{IP: net.IPv6loopback, Port: 1})
	if said := s.talk("USER alice", "PASS secret word", "QUIT"); !strings.Contains(said, "+OK 0 messages") {
		t.Error(said)
	}
}

// TestAPOP: a greeting's stamp is the one of its connection alone, and nobody
// gets in without the password.
func TestAPOP(t *testing.T) {
	s := open(t, "Subject: one\n\n1\n")
	s.logins.SASL.Enabled = []string{"APOP", "CRAM-MD5"}
	a, err := s.spool.Accounts(t.Context())
	if err == nil {
		err = a.SetPassword(t.Context(), "alice", []byte("secret word"), spool.PasswordOptions{Plain: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	digest := func(stamp, password string) string { return fmt.Sprintf("%x", md5.Sum([]byte(stamp+password))) }
	one, two := s.dial(), s.dial()
	stamp := regexp.MustCompile(`^\+OK mx\.example\.org POP3 Bobbin (<[^ ]+@mx\.example\.org>)\r\n$`).FindStringSubmatch(one.greeting)
	if stamp == nil {
		t.Fatalf("greeting %q", one.greeting)
	}
	for _, c := range []struct {
		on         *client
		line, want string
	}{
		{one, "APOP alice " + digest(stamp[1], "wrong"), "-ERR [AUTH] wrong name or password\r\n"},
		{one, "APOP nobody " + digest(stamp[1], ""), "-ERR [AUTH] wrong name or password\r\n"},
		{two, "APOP alice " + digest(stamp[1], "secret word"), "-ERR [AUTH] wrong name or password\r\n"},
		{one, "USER alice", "-ERR that way to log in is not offered\r\n"},
		{one, "APOP alice " + digest(stamp[1], "secret word"), "+OK 1 messages (19 octets)\r\n"},
	} {
		if got := c.on.send(c.line); got != c.want {
			t.Errorf("%s: %q, want %q", c.line, got, c.want)
		}
	}
	if _, capa := two.answer("CAPA"); strings.Contains(capa, "\nUSER\r\n") || !strings.Contains(capa, "\nSASL CRAM-MD5\r\n") {
		t.Errorf("CAPA: %q", capa)
	}
}

// TestSTLS: what was said before it does not count, and nothing can be slipped in.
func TestSTLS(t *testing.T) {
	s := openWith(t, pop.Options{TLS: testTLS(t)})
	c := s.dial()
	if _, capa := c.answer("CAPA"); !strings.Contains(capa, "\nSTLS\r\n") {
		t.Errorf("CAPA: %q", capa)
	}
	c.send("USER alice")
	c.send("STLS")
	c.conn = tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
	c.r = bufio.NewReader(c.conn)
	if got := c.send("PASS secret word"); got != "-ERR give USER first\r\n" {
		t.Errorf("after STLS: %q", got)
	}
	if _, capa := c.answer("CAPA"); strings.Contains(capa, "STLS") {
		t.Errorf("CAPA: %q", capa)
	}
	if got := c.send("STLS"); got != "-ERR STLS is not offered\r\n" {
		t.Errorf("STLS: %q", got)
	}
	c.send("USER alice")
	if got := c.send("PASS secret word"); got != "+OK 0 messages (0 octets)\r\n" {
		t.Errorf("PASS: %q", got)
	}
	c = s.dial()
	if _, err := io.WriteString(c.conn, "STLS\r\nUSER alice\r\n"); err != nil {
		t.Fatal(err)
	}
	if said, _ := io.ReadAll(c.r); strings.Count(string(said), "\n") > 1 {
		t.Errorf("commands were slipped in, and the server said %q", said)
	}
}

// TestBound: a client binds its login to the certificate that it was shown.
func TestBound(t *testing.T) {
	cert := &testTLS(t).Certificates[0]
	s := openWith(t, pop.Options{TLS: &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		server.Showing(hello, cert)
		return cert, nil
	}}})
	for _, right := range []bool{true, false} {
		c := s.dial()
		c.send("STLS")
		channel := tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true})
		c.conn, c.r = channel, bufio.NewReader(channel)
		if _, capa := c.answer("CAPA"); !strings.Contains(capa, "\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN\r\n") {
			t.Errorf("CAPA: %q", capa)
		}
		state := channel.ConnectionState()
		binding, err := scram.NewTLSServerEndpointBinding(&state)
		if err != nil {
			t.Fatal(err)
		}
		if !right {
			binding.Data[0]++
		}
		user, err := scram.SHA256.NewClient("alice", "secret word", "")
		if err != nil {
			t.Fatal(err)
		}
		talk := user.NewConversationWithChannelBinding(binding)
		got := c.send("AUTH SCRAM-SHA-256-PLUS")
		for challenge, more := strings.CutPrefix(got, "+ "); more; challenge, more = strings.CutPrefix(got, "+ ") {
			text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
			if err != nil {
				t.Fatal(err)
			}
			said, err := talk.Step(string(text))
			if err != nil {
				t.Fatal(err)
			}
			got = c.send(base64.StdEncoding.EncodeToString([]byte(said)))
		}
		if strings.HasPrefix(got, "+OK 0 messages") != right || talk.Valid() != right {
			t.Errorf("right %v: %q", right, got)
		}
	}
}

// TestBadCommands: who sends nothing but nonsense is sent away.
func TestBadCommands(t *testing.T) {
	s := open(t)
	c := s.dial()
	for n := range 20 {
		if _, err := io.WriteString(c.conn, strings.Repeat("x", 20000)+"\r\n\x00\xff\r\nFOO\n"); err != nil && n == 0 {
			t.Fatal(err)
		}
	}
	said, _ := io.ReadAll(c.r)
	if n := strings.Count(string(said), "-ERR"); n != 10 {
		t.Errorf("%d answers: %q", n, said)
	}
	if got := s.session("STAT"); got != "+OK 0 0\n"+bye(0) {
		t.Error(got)
	}
}
