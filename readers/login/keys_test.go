package login

import (
	"crypto"
	"errors"
	"slices"
	"testing"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// TestKeys: what is told of nobody cannot be told from what is told of somebody,
// and is the same on all hosts.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.Init(t.Context(), host(t, dir), spool.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a := accounts(t, s)
	if err := errors.Join(a.Add(t.Context(), "alice", []byte("one")), a.Add(t.Context(), "bob", nil)); err != nil {
		t.Fatal(err)
	}
	other, err := spool.Open(t.Context(), host(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(l *Spool, name string) readers.Keys {
		t.Helper()
		k, err := l.Keys(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	one, two := NewSpool(s), NewSpool(other)
	var salts []string
	for _, name := range []string{"alice", "bob", "nobody", "../x"} {
		k := ask(one, name)
		if want := map[string]string{"alice": "alice", "bob": "bob"}[name]; k.User != want || k.Plain != nil {
			t.Errorf("%s: %+v", name, k)
		}
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
			got := k.SCRAM[hash]
			if len(got.Salt) != 16 || got.Iterations != spool.SCRAMIterations || (name == "alice") != (len(got.StoredKey) == hash.Size()) {
				t.Errorf("%s, %s: %+v", name, hash, got)
			}
			if again := ask(two, name).SCRAM[hash]; !slices.Equal(again.Salt, got.Salt) {
				t.Errorf("%s, %s: another salt on another host", name, hash)
			}
			salts = append(salts, string(got.Salt))
		}
	}
	if slices.Sort(salts); len(slices.Compact(salts)) != 8 {
		t.Error("salts are the same")
	}
	if got, want := ask(one, "NOBODY"), ask(one, "nobody"); !slices.Equal(got.SCRAM[crypto.SHA1].Salt, want.SCRAM[crypto.SHA1].Salt) {
		t.Error("capitals tell who is nobody")
	}
	if err := a.SetPassword(t.Context(), "alice", []byte("two"), spool.PasswordOptions{Plain: true}); err != nil {
		t.Fatal(err)
	}
	if k := ask(two, "Alice"); string(k.Plain) != "two" || k.User != "alice" {
		t.Errorf("with the password: %+v", k)
	}
	for name, want := range map[string]string{"ALICE": "alice", "bob": "bob", "nobody": "", "../x": ""} {
		user, err := two.User(t.Context(), name)
		if user != want || (want == "") != errors.Is(err, readers.ErrDenied) {
			t.Errorf("%s is %q, %v", name, user, err)
		}
	}
}
