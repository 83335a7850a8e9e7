package main

import (
	"errors"
	"path"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

func TestExpand(t *testing.T) {
	for _, tt := range []struct {
		location, user string
		want           netfs.Below
	}{
		{"%h/Maildir", "alice", netfs.Below{Base: "/home/x", Dir: "Maildir", Create: 1}},
		{"%h/mail/%d/", "alice@example.org", netfs.Below{Base: "/home/x", Dir: "mail/example.org", Create: 2}},
		{"/srv/mail/%d/%n/Maildir", "alice@example.org", netfs.Below{Base: "/srv/mail", Dir: "example.org/alice/Maildir", Create: 1}},
		{"/var/mail/%u", "Alice", netfs.Below{Base: "/var/mail", Dir: "alice"}},
		{"/var/mail/%u/Maildir", "a@b@c.d", netfs.Below{Base: "/var/mail", Dir: "a@b@c.d/Maildir", Create: 1}},
		{"/%d-%n", "a@b", netfs.Below{Base: "/", Dir: "b-a"}},
		{"/50%%/%%n/x%n", "alice", netfs.Below{Base: "/50%/%n", Dir: "xalice"}},
	} {
		m, err := expand(tt.location, tt.user, "/home/x")
		if err != nil || m.Below != tt.want {
			t.Errorf("%s for %s: %+v, %v; want %+v", tt.location, tt.user, m.Below, err, tt.want)
		}
	}
	for location, says := range map[string]string{
		"":                "begins with %h/",
		"Maildir/%u":      "begins with %h/",
		"%u/Maildir":      "begins with %h/",
		"%h":              "begins with %h/",
		"%h/":             `"" is no name`,
		"/":               `"" is no name`,
		"/srv/mail":       "all users had one mailbox",
		"/srv/%d/mail":    "all users had one mailbox",
		"/srv/%h/x":       "at the beginning only",
		"/srv/../%u":      `".." is no name`,
		"/srv/./%u":       `"." is no name`,
		"/srv//%u":        `"" is no name`,
		"/srv/%u/%":       "unknown sequence",
		"/srv/%x":         "unknown sequence",
		"/srv/%u/\x1b[2J": "is no name",
		"/srv/%u/a\nb":    "is no name",
	} {
		if _, err := expand(location, "alice@example.org", "/home/x"); !errors.Is(err, errConfig) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want an error that says %q", location, err, says)
		}
	}
	for location, user := range map[string]string{
		"%h/M": "../root", "/srv/%n": "a/b", "/srv/%u": "a\x00", "/srv/%d/%u": "alice", "/srv/%d/%n": "a@.hidden", "/v/%u": "..",
	} {
		if _, err := expand(location, user, "/home/x"); !errors.Is(err, spool.ErrBadName) {
			t.Errorf("%q for user %q: %v", location, user, err)
		}
	}
}

// No user's name leads out of the directory that the template names, nor to
// another user's.
func FuzzExpand(f *testing.F) {
	f.Add("alice@example.org", "bob")
	f.Add("a..b", ".x")
	f.Add("a@..", "a@b/../c")
	f.Fuzz(func(t *testing.T, user, other string) {
		for _, location := range []string{"%h/Maildir", "/srv/%u", "/srv/%d/%n/Maildir"} {
			home := "/home/" + user
			m, err := expand(location, user, home)
			if err != nil {
				continue
			}
			if !netfs.ValidPath(m.Dir) || path.Join("/srv", m.Dir)[:5] != "/srv/" || m.Create >= strings.Count(m.Dir, "/")+2 {
				t.Errorf("%q for %q is %+v", location, user, m.Below)
			}
			if o, err := expand(location, other, home); err == nil && o.user != m.user && o.Dir == m.Dir && location != "%h/Maildir" {
				t.Errorf("%q: %q and %q have one mail root %s", location, user, other, m.Dir)
			}
		}
	})
}

// Whatever a configuration file holds, it is read or refused with its name, and
// nothing of it reaches a terminal as it is.
func FuzzConfig(f *testing.F) {
	f.Add("spool = \"x\"\n")
	f.Add("user = 1\n[location]\nx = 2\n")
	f.Add("a.b = '\x1b'\n[[c]]\n")
	f.Add("\"\x7f\" = 1979-05-27\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig("file", text)
		if err != nil {
			if said := printable(err.Error()); !errors.Is(err, errConfig) || !strings.Contains(said, "file") || strings.ContainsAny(said, "\x1b\x7f\n") {
				t.Errorf("%q: %q", text, said)
			}
			return
		}
		for key, v := range c.values {
			if settingOf(key) == nil || v.value == "" || v.line < 1 || v.line > strings.Count(text, "\n")+1 {
				t.Errorf("%q: %s is %q in line %d", text, key, v.value, v.line)
			}
		}
	})
}
