package pop_test

import (
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/readers/pop"
)

// TestUTF8: who gives UTF8 gets messages as they are; who does not gets
// conventional ones (RFC 6856, RFC 6858).
func TestUTF8(t *testing.T) {
	large := "X: " + strings.Repeat("x", 60000) + "\n"
	s := open(t,
		"Subject: grüße\nTo: ü@example.org\nX: ü\n\n.ü\n",
		"Subject: gr\xfc\xdfe\n\nü\n",
		large+"Subject: ü\n\nü\n",
		large+"Subject: u\n\nü\n",
		"Subject: ü\n"+strings.Repeat(large, 18)+"\nü\n",
		"Subject: u\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=ü\n\nü\n--b--\n")
	const converted = "+OK message follows, its header converted for a client without UTF8\n"
	for _, c := range []struct{ script, want string }{
		{"RETR 1", converted + "Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\nTo: =?utf-8?q?=C3=BC@example.org?= <invalid@internationalized-address.invalid>\n\n..ü\n.\n"},
		{"TOP 1 0", "+OK top of message follows\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\nTo: =?utf-8?q?=C3=BC@example.org?= <invalid@internationalized-address.invalid>\n\n.\n"},
		{"RETR 2", "+OK 22 octets\nSubject: gr\xfc\xdfe\n\nü\n.\n"},
		{"RETR 3", converted + large + "Subject: =?utf-8?q?=C3=BC?=\n\nü\n.\n"},
		{"RETR 4", "+OK 60023 octets\n" + large + "Subject: u\n\nü\n.\n"},
		{"RETR 5", "-ERR [UTF8] the message needs a client that gives UTF8\n"},
		{"TOP 6 9", "+OK top of message follows\nSubject: u\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=ü\n\nü\n--b--\n.\n"},
	} {
		if got := s.session(c.script); got != c.want+bye(6) {
			t.Errorf("%s: %.500q, want %.500q", c.script, got, c.want)
		}
	}
	said := s.talk("UTF8", "USER alice", "PASS secret word", "RETR 1", "QUIT")
	if want := "+OK 52 octets\r\nSubject: grüße\r\nTo: ü@example.org\r\nX: ü\r\n\r\n..ü\r\n.\r\n"; !strings.Contains(said, want) || !strings.Contains(said, "\r\n+OK UTF8 mode\r\n") {
		t.Errorf("%q, want %q", said, want)
	}
	if said := s.talk("USER alice", "PASS secret \xff", "USER \xff", "PASS secret word", "QUIT"); strings.Count(said, "-ERR [AUTH] names and passwords are UTF-8\r\n") != 2 {
		t.Errorf("%q", said)
	}
}

// TestUTF8AfterSTLS: the encryption comes first.
func TestUTF8AfterSTLS(t *testing.T) {
	s := openWith(t, pop.Options{TLS: testTLS(t)})
	if said := s.talk("UTF8", "STLS", "QUIT"); !strings.Contains(said, "-ERR give STLS before UTF8\r\n") {
		t.Errorf("%q", said)
	}
}
