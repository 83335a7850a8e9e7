package login

import (
	"errors"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// host opens a directory as a host does.
func host(t *testing.T, dir string) *netfs.Host {
	t.Helper()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	return h
}

func accounts(t *testing.T, s *spool.Spool) *spool.Accounts {
	t.Helper()
	a, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestSpool: a password counts until any host changes it, and is hashed once.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.Init(t.Context(), host(t, dir), spool.InitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := spool.Open(t.Context(), host(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	ops := s.Host.Ops
	l := NewSpool(s)
	ask := func(name, password, user string) {
		t.Helper()
		got, err := l.Password(t.Context(), name, []byte(password))
		if got != user || (err == nil) != (user != "") || err != nil && !errors.Is(err, readers.ErrDenied) {
			t.Errorf("%s with %s: %q, %v", name, password, got, err)
		}
	}
	ask("alice", "one", "")
	a := accounts(t, other)
	if err := errors.Join(a.Add(t.Context(), "alice", []byte("one")), a.Add(t.Context(), "bob", nil)); err != nil {
		t.Fatal(err)
	}
	ask("alice", "one", "alice")
	ask("ALICE", "one", "alice")
	ask("alice", "two", "")
	ask("bob", "", "")
	ask("../x", "one", "")
	if err := a.SetPassword(t.Context(), "alice", []byte("two"), spool.PasswordOptions{}); err != nil {
		t.Fatal(err)
	}
	ask("alice", "one", "")
	ask("alice", "two", "alice")
	if len(l.checks.right) != 2 {
		t.Errorf("%d passwords are known", len(l.checks.right))
	}
	before := ops.Read().Total()
	allocs := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := l.Password(b.Context(), "alice", []byte("two")); err != nil {
				b.Fatal(err)
			}
		}
	})
	if n := (ops.Read().Total() - before) / int64(max(allocs.N, 1)); n != 1 {
		t.Errorf("%d operations a login", n)
	}
	if b := allocs.AllocedBytesPerOp(); b > 1<<20 {
		t.Errorf("%d bytes a login: the password was hashed again", b)
	}
	if _, err := a.Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	ask("alice", "two", "")
}

// TestDelays: the answer to a wrong password comes later each time, by address.
func TestDelays(t *testing.T) {
	var d Delays
	at := time.Unix(1790000000, 0)
	for n, want := range []time.Duration{1, 2, 4, 8, 16, 16} {
		if got := d.fail("192.0.2.1", at); got != want*time.Second {
			t.Errorf("failure %d waits %v", n, got)
		}
	}
	if got := d.fail("192.0.2.2", at); got != time.Second {
		t.Errorf("another address waits %v", got)
	}
	if got := d.fail("192.0.2.1", at.Add(16*time.Minute)); got != time.Second {
		t.Errorf("after a pause: %v", got)
	}
	for n := range 2 * addresses {
		d.fail(string(rune(0x1000+n)), at)
	}
	if n := len(d.failed); n > addresses {
		t.Errorf("%d addresses are remembered", n)
	}
}
