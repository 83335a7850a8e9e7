package spool

import (
	"bytes"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// FuzzAccounts applies records, a line each: the accounts they lead to can be
// written down and read.
func FuzzAccounts(f *testing.F) {
	f.Add("accounts:1\naccount:bob:- account:al:$argon2id$v=19$m=19456,t=2,p=1$AAAA$AAAA\nremove:bob")
	f.Add("account:bob:\naccount:bob:%20")
	f.Add("account:bob:- nonsense:1")
	f.Add("account:al:- scram@2?:al:SHA-1:4096:AAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAA plain@2?:al:x%25\naccount:al:-\nscram@2?:bob:SHA-2:1:A:A:A")
	f.Fuzz(func(t *testing.T, text string) {
		a := &Accounts{users: map[string]Credentials{}}
		for line := range strings.SplitSeq(text, "\n") {
			before, _ := a.snapshot(0)
			if err := a.apply(&commitlog.Record{Ops: strings.Split(line, " ")}); err != nil {
				if after, _ := a.snapshot(0); !bytes.Equal(before, after) {
					t.Errorf("%q was applied in part: before\n%safter\n%s", line, before, after)
				}
				break
			}
		}
		want, _ := a.snapshot(0)
		if want == nil {
			return
		}
		again := &Accounts{users: map[string]Credentials{}}
		if err := again.load(want); err != nil {
			t.Fatalf("%v in what was written:\n%s", err, want)
		}
		if got, _ := again.snapshot(0); !bytes.Equal(got, want) {
			t.Errorf("written\n%s and read\n%s", want, got)
		}
	})
}
