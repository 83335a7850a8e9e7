package pop

import (
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/spool"
)

// TestUIDL: the forms of other servers; what is too long gives way to our own.
func TestUIDL(t *testing.T) {
	m := &spool.Message{UID: 26, Name: "1790000000.abcdefghijklmnopqrstuvwxyz.host,S=7"}
	foreign := &spool.Message{UID: 4294967295, Name: "1790000000.M1P2.host,S=7"}
	long := &spool.Message{UID: 1, Name: strings.Repeat("x", 71)}
	spaced := &spool.Message{UID: 1, Name: "a b"}
	for _, c := range []struct {
		format string
		m      *spool.Message
		want   string
	}{
		{"own", m, "abcdefghijklmnopqrstuvwxyz"},
		{"own", foreign, "q3ploaks3bj5fnfseikyaaglhl4ywoel"},
		{"dovecot", m, "0000001a6ab13b80"},
		{"dovecot", foreign, "ffffffff6ab13b80"},
		{"courier", m, "UID26-1790000000"},
		{"cyrus", m, "1790000000.26"},
		{"uw", m, "6ab13b800000001a"},
		{"%u", m, "26"},
		{"%f", m, "1790000000.abcdefghijklmnopqrstuvwxyz.host,S=7"},
		{"%f", long, own(long.Name)},
		{"%f", spaced, own(spaced.Name)},
		{"x%04u.%Xv", m, "x0026.6ab13b80"},
	} {
		u, err := ParseUIDL(c.format)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := u.of(c.m, 1790000000); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.format, c.m.Name, got, c.want)
		}
	}
	for _, bad := range []string{"", "x", "%v", "%g", "%u %v", "%u%", "%08", "%u\xff", "Dovecot"} {
		if u, err := ParseUIDL(bad); err == nil && bad != "" {
			t.Errorf("%q: %+v", bad, u)
		}
	}
}
