package spool

import "testing"

func TestPasswords(t *testing.T) {
	const good = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$"
	p := passwordHash{memory: 64, passes: 1, lanes: 1, salt: []byte("somesalt")}
	p.key = p.derive([]byte("right"), 24)
	for password, want := range map[string]bool{"right": true, "wrong": false, "": false} {
		if ok, err := Password(p.String()).Matches([]byte(password)); ok != want || err != nil {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
	}
	if ok, err := Password("").Matches(nil); ok || err != nil {
		t.Errorf("no password at all: %v, %v", ok, err)
	}
	for _, bad := range []string{
		"x", "$argon2id$v=19$m=1,t=0,p=1$AAAA$AAAAAAAA", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAAAAAA",
		"$argon2id$v=16$m=64,t=1,p=1$AAAA$AAAAAAAA", "$argon2id$v=19$m=99999999,t=1,p=1$AAAA$AAAAAAAA",
		"$argon2id$v=19$m=64,t=1,p=1 $AAAA$AAAAAAAA", "$argon2id$v=19$m=064,t=1,p=1$AAAA$AAAAAAAA",
		good + "AAAA", good + "AAAAAAA\n", good + "AAAAAAB", good + "AAAAAAA=",
	} {
		if ok, err := Password(bad).Matches([]byte("x")); ok || err == nil {
			t.Errorf("hash %q: %v, %v", bad, ok, err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$OjEd6FvNsyB7fIMdHJAgFQ$roOohZvpXpfbGe4Ofvi4Vg6RetV7ze5KUVcu3opBO20")
	f.Add("$argon2id$v=19$m=+64,t=1,p=1x$AAAA$AAAAA\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseHash(text)
		if err != nil {
			return
		}
		if again := p.String(); again != text {
			t.Errorf("%q is written again as %q", text, again)
		}
		if p.memory > 1<<20 || p.passes-1 > 63 || p.lanes == 0 || len(p.key) > 64 || len(p.salt) > 64 {
			t.Errorf("%q asks too much", text)
		}
	})
}
