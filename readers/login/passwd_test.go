package login

import (
	"context"
	"crypto"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/readers/passwd"
)

// scramUser has the password "pass word".
const scramUser = "sam:{SCRAM-SHA-1}4096,1yYFm1d6hzWhYNogeIYRmw==,InyuGrfxST9fpsbP18dHlzNai3g=,ImUkMMVPwqey5B5mYch+p6OKbkU=\n"

// TestPasswd: the file counts as it is now, and nobody learns who is in it.
func TestPasswd(t *testing.T) {
	text := scramUser
	p := NewPasswd(func(context.Context) (*passwd.File, error) { return passwd.Parse(text) }, "secret")
	for n := range 2 {
		for name, want := range map[string]string{"Sam": "sam", "nobody": "", "../x": ""} {
			for _, given := range []string{"pass word", "wrong"} {
				user, err := p.Password(t.Context(), name, []byte(given))
				if given == "wrong" {
					want = ""
				}
				if user != want || (want == "") != errors.Is(err, readers.ErrDenied) {
					t.Errorf("%s, %s: %q, %v", name, given, user, err)
				}
			}
		}
		if len(p.checks.right) != 1 {
			t.Errorf("round %d: %d passwords are known", n, len(p.checks.right))
		}
	}
	var salts []string
	for _, name := range []string{"sam", "nobody", "nobody"} {
		k, err := p.Keys(t.Context(), name)
		if err != nil || len(k.SCRAM) != 2 || k.SCRAM[crypto.SHA1].Iterations != 4096 {
			t.Errorf("%s: %+v, %v", name, k, err)
		}
		salts = append(salts, string(k.SCRAM[crypto.SHA1].Salt))
	}
	if len(slices.Compact(salts)) != 2 || len(salts[1]) != len(salts[0]) {
		t.Errorf("salts %q", salts)
	}
	if !p.AllKeys(t.Context(), crypto.SHA1) || p.AllKeys(t.Context(), crypto.SHA256) {
		t.Error("which keys are all there?")
	}
	text = "sam:{PLAIN}other\n"
	if user, err := p.Password(t.Context(), "sam", []byte("pass word")); !errors.Is(err, readers.ErrDenied) {
		t.Errorf("the old password: %q, %v", user, err)
	}
	if k, err := p.Keys(t.Context(), "sam"); err != nil || k.User != "sam" || string(k.Plain) != "other" {
		t.Errorf("a password that is kept: %+v, %v", k, err)
	}
	for line, want := range map[string]error{"sam:{PLAIN}x::::::allow_nets=10.0.0.0/8": passwd.ErrField, "sam:{NTLM}x": passwd.ErrScheme} {
		q := NewPasswd(func(context.Context) (*passwd.File, error) { f, _ := passwd.Parse(line); return f, nil }, "secret")
		if user, err := q.Password(t.Context(), "sam", []byte("x")); user != "" || !errors.Is(err, want) {
			t.Errorf("%s: %q, %v", line, user, err)
		}
	}
	if _, err := p.User(t.Context(), "nobody"); err == nil {
		t.Error("nobody is a user")
	}
}

// TestMasters: a master is let in as another, and nobody else.
func TestMasters(t *testing.T) {
	p := NewPasswd(func(context.Context) (*passwd.File, error) {
		return passwd.Parse("admin:{PLAIN}a\nbob:{PLAIN}b\ncarol:{PLAIN}c\n")
	}, "secret")
	m := &Masters{Authenticator: p, KeyStore: p, Directory: p, Names: []string{"admin"}, Separator: "*", Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, c := range []struct{ name, password, user string }{
		{"bob*admin", "a", "bob"}, {"BOB*Admin", "a", "bob"}, {"admin", "a", "admin"}, {"bob", "b", "bob"}, {"*admin", "a", "admin"},
		{"bob*admin", "b", ""}, {"bob*carol", "c", ""}, {"carol*carol", "c", ""}, {"nobody*admin", "a", ""}, {"bob*", "b", ""}, {"bob*admin*admin", "a", ""}, {"bob*nobody", "x", ""},
	} {
		user, err := m.Password(t.Context(), c.name, []byte(c.password))
		if user != c.user || (c.user == "") != errors.Is(err, readers.ErrDenied) {
			t.Errorf("%s: %q, %v", c.name, user, err)
		}
		k, err := m.Keys(t.Context(), c.name)
		if right := k.User != "" && string(k.Plain) == c.password; err != nil || right != (c.user != "") || right && k.User != c.user {
			t.Errorf("keys of %s: %+v, %v", c.name, k, err)
		}
	}
	if user, err := m.Authorize(t.Context(), "bob", "carol"); user != "" || !errors.Is(err, readers.ErrDenied) {
		t.Errorf("bob as carol: %q, %v", user, err)
	}
}
