package spool

import (
	"crypto"
	"encoding/base64"
	"maps"
	"slices"
	"testing"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// TestDeriveSCRAM: the keys behind the examples of RFC 5802 §5 and RFC 7677 §3.
func TestDeriveSCRAM(t *testing.T) {
	for _, c := range []struct {
		hash                 crypto.Hash
		salt, stored, server string
	}{
		{crypto.SHA1, "QSXCR+Q6sek8bf92", "6dlGYMOdZcOPutkcNY8U2g7vK9Y=", "D+CSWLOshSulAsxiupA+qs2/fTE="},
		{crypto.SHA256, "W22ZaJ0SNY7soEsUEjb6gQ==", "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="},
	} {
		b64 := base64.StdEncoding
		salt, err := b64.DecodeString(c.salt)
		if err != nil {
			t.Fatal(err)
		}
		k, err := DeriveSCRAM(c.hash, []byte("pencil"), salt, 4096)
		if got := [2]string{b64.EncodeToString(k.StoredKey), b64.EncodeToString(k.ServerKey)}; err != nil || got != [2]string{c.stored, c.server} {
			t.Errorf("%s: %q, %v", c.hash, got, err)
		}
	}
	soft, err := DeriveSCRAM(crypto.SHA1, []byte("I\u00adX"), []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := DeriveSCRAM(crypto.SHA1, []byte("IX"), []byte("salt"), 4096)
	if err != nil || !slices.Equal(soft.StoredKey, plain.StoredKey) {
		t.Errorf("SASLprep: %v", err)
	}
	if k, err := DeriveSCRAM(crypto.SHA1, []byte("\x07"), []byte("salt"), 4096); err != nil || len(k.StoredKey) == 0 {
		t.Errorf("a password that SASLprep forbids: %v", err)
	}
}

// TestCredentials: what stands beside a password ends with it, also when a
// program of level 1 sets the next, and does not come without an account.
func TestCredentials(t *testing.T) {
	keys, err := DeriveSCRAM(crypto.SHA1, []byte("x"), []byte("salt"), 4096)
	if err != nil {
		t.Fatal(err)
	}
	full := Credentials{Password: "$hash", SCRAM: map[crypto.Hash]SCRAMKeys{crypto.SHA1: keys}, Plain: "%x -"}
	a := &Accounts{users: map[string]Credentials{}}
	apply := func(ops ...string) Credentials {
		t.Helper()
		if err := a.apply(&commitlog.Record{Ops: ops}); err != nil {
			t.Fatal(err)
		}
		c, err := a.Credentials("al")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ops := full.ops("al")
	if c := apply(ops[1:]...); c.SCRAM != nil || c.Plain != "" {
		t.Errorf("nobody has %v", c)
	}
	c := apply(ops...)
	if !a.AllKeys(crypto.SHA1) || a.AllKeys(crypto.SHA256) {
		t.Error("which keys are all there?")
	}
	if c.Password != "$hash" || c.Plain != "%x -" || !slices.Equal(slices.Collect(maps.Keys(c.SCRAM)), []crypto.Hash{crypto.SHA1}) {
		t.Errorf("%q makes %v", ops, c)
	}
	if c := apply(ops[0]); c.SCRAM != nil || c.Plain != "" || c.Password != "$hash" {
		t.Errorf("another password, and still %v", c)
	}
	if a.AllKeys(crypto.SHA1) {
		t.Error("keys of nobody")
	}
	if apply("remove:al"); !a.AllKeys(crypto.SHA1) || !a.AllKeys(crypto.SHA256) {
		t.Error("nobody lacks keys")
	}
	if len(c.SCRAM) != 1 {
		t.Error("credentials changed while they were in use")
	}
	for _, bad := range []string{
		"scram@2?:al:SHA-1:4095:c2FsdA:" + ops[1][len("scram@2?:al:SHA-1:4096:c2FsdA:"):], "scram@2?:al:SHA-1:4096:c2FsdA:AAAA:AAAA", "plain@2?:al:", "plain@2?:al",
	} {
		if op, err := parseAccountOp(bad); err == nil {
			t.Errorf("%q is %v", bad, op)
		}
	}
}
