package passwd

import (
	"crypto"
	"errors"
	"testing"
)

// hashes are of "pass word", made by Dovecot's doveadm and by libxcrypt.
var hashes = []Hash{
	"{PLAIN}pass word", "{CLEARTEXT}pass word", "{plain.b64}cGFzcyB3b3Jk",
	"{CRYPT}$2y$05$duslAa1wDRxC3CjEBh280.ibGiWnWAHveZJ1yKcb917tTMgoByTVW",
	"{SHA}2oguq15ANCGsJCWKX31fllwpyEk=", "{SHA1}2oguq15ANCGsJCWKX31fllwpyEk=",
	"{SHA256}eJgOJX9BJDf7+TQ3h7wA7FsQY2QpvAALKQEHM1sIl4Y=",
	"{SHA512}Nq7XWhQpjD4VwA82iHbXmY8NSz1w7/A84XtT9npPaxW+U8Dt41vjbL2JY3A7kd5cgXmFPhhROfO9ihvprNn13A==",
	"{SSHA}Tm8ajLs+Uco1pv43+9dbnZu1LNgFUdm7", "{SSHA.HEX}7b66fb595413ffb668fc68e1639a090e1892e141a2b515a2",
	"{SSHA256}TxmgFWslvn013Oir0pXlIdNppfDrH6pALdGvS6EgNwzqI/wS",
	"{SSHA512}r1z9CrcU0ygzNnIH8O0yjIRcgizyBspTBP6NRof0JJOqJ1gPAuu+vp7Y2m9vnOs0KAYUyJyCLWxPyciP5bL94D3hffc=",
	"{SMD5}6B8+kCsJMtx94m3RU8k36jzau9c=", "{LDAP-MD5}SsZDChfQIVswUrFch51IvA==", "{PLAIN-MD5}4ac6430a17d0215b3052b15c879d48bc",
	"{MD5-CRYPT}$1$OGf1N9zP$nBTEP2XyxvGp/Q1UueNQZ0", "{MD5}$1$.tBY5odv$DXBfdDwMHBJ8iBKrhGXlS/",
	"{SHA256-CRYPT}$5$IBc9Q7po9tKOo3bj$y8nJSnQOZyH3Htwh2jRSXD1FRPhY11exoq3PmdC11O5",
	"{SHA512-CRYPT}$6$6pLuZSzu8qq6Ms//$6JoEQ9JFn.RZWL3EI6mx4x8bMnjG3rOM0IgekidhRDDEOGxm649EV5fw34DMyGYwuoNWsq1FuQs0rlb.BIc7a/",
	"{BLF-CRYPT}$2y$05$KXlP1qWdr51PprX93pYeaeaJ8xf4vjUJyIAfYIilqjuuCZss8PAUK",
	"{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$eba3ir20MDJliAZ9hL4L/w$KcxhYpRu+bx/gabXDZKZNCsWWLMz/HeutV+xDeUYAFg",
	"{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$ywfEylPqxSYslz72jv8wKA$vv7RST/qL3Q05tt0Eh+im15DQ0JcY12qpzcK1iXTOeY",
	"{PBKDF2}$1$uwpiOYEGmj2Bo252$5000$195fe07b77996243f03497c516d9446e26f7ecde",
	"{SCRAM-SHA-1}4096,1yYFm1d6hzWhYNogeIYRmw==,InyuGrfxST9fpsbP18dHlzNai3g=,ImUkMMVPwqey5B5mYch+p6OKbkU=",
	"{SCRAM-SHA-256}4096,aEbQLPl+ESpeqGkp5pPOmw==,S+NXaPqURW5lnRDQaVP05FYHyXZ6IbwGaarhBv+CgEQ=,8IEQ0n3WS2TKSZrbvKNjqvO5+V8gLJnrzemDjL81CRw=",
	"$y$j9T$F5Jx5fExrKuPp53xLKQ..1$DcS0yCB.VY4yTlrXiTovbzS4phAxmMac1MZ2vQAHZq0",
	"$1$abcdefgh$yTpYrEJJOuAsO2Aee15/D1", "$5$rounds=1000$abcdefgh$ncv/EV9/KfsToG8zsCiWdNY.oLTToXZUK7/jfATSZQD",
	"$6$abcdefgh$YN8B0zmx4g7gHNsAPRHBHL7/9D2xv7Ojh6WbPzJjQGPPjUs3FiTtHkWxn/GwRo78ZpAtbvjbXJsaUxh7djdaf0",
	"$2b$05$abcdefghijklmnopqrstuuIt/9/tGzLcigNq/.RWIDjeEVR30RSf.",
	"$sha1$1000$abcdefgh$LYbJl/kGIY/qpWEOKydb9WBBKNEy",
}

// TestSchemes: hashes of other programs know their password and no other.
func TestSchemes(t *testing.T) {
	for _, h := range hashes {
		for password, want := range map[string]bool{"pass word": true, "pass worD": false, "": false} {
			if ok, err := h.Matches([]byte(password)); ok != want || err != nil {
				t.Errorf("%s, %q: %v, %v", h, password, ok, err)
			}
		}
	}
	for _, h := range []Hash{"", "*", "!$1$abcdefgh$yTpYrEJJOuAsO2Aee15/D1", "!"} {
		if ok, err := h.Matches([]byte("")); ok || err != nil {
			t.Errorf("%q: %v, %v", h, ok, err)
		}
	}
	for h, want := range map[Hash]error{
		"{NTLM}x": ErrScheme, "ab3jcLo8aNLw6": ErrScheme, "$plaintext$pass word": ErrScheme, "{CRYPT}$base64$cGFzcyB3b3Jk": ErrScheme, "{DES-CRYPT}ab3jcLo8aNLw6": ErrScheme,
		"{SHA}": ErrHash, "{SHA}Tm8ajLs+Uco1pv43+9dbnZu1LNgFUdm7": ErrHash, "{SSHA}2oguq15ANCGsJCWKX31fllwpyEk=": ErrHash, "{SHA.UUE}x": ErrHash,
		"{SHA512-CRYPT}$1$abcdefgh$yTpYrEJJOuAsO2Aee15/D1": ErrHash, "{SCRAM-SHA-1}4096,x": ErrHash, "{PBKDF2}$1$x$0$00": ErrHash, "$6$": ErrHash,
	} {
		if ok, err := h.Matches([]byte("pass word")); ok || !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", h, ok, err)
		}
	}
}

// TestKeys: keys and passwords are there for mechanisms that need them.
func TestKeys(t *testing.T) {
	k := Hash("{SCRAM-SHA-256}4096,aEbQLPl+ESpeqGkp5pPOmw==,S+NXaPqURW5lnRDQaVP05FYHyXZ6IbwGaarhBv+CgEQ=,8IEQ0n3WS2TKSZrbvKNjqvO5+V8gLJnrzemDjL81CRw=").Keys("al")
	if k.User != "al" || len(k.SCRAM) != 1 || k.SCRAM[crypto.SHA256].Iterations != 4096 || k.Plain != nil {
		t.Errorf("SCRAM: %+v", k)
	}
	if k := Hash("{PLAIN}x y").Keys("al"); string(k.Plain) != "x y" || len(k.SCRAM) != 0 {
		t.Errorf("PLAIN: %+v", k)
	}
	if k := Hash("{SHA}2oguq15ANCGsJCWKX31fllwpyEk=").Keys("al"); k.Plain != nil || k.SCRAM != nil {
		t.Errorf("SHA: %+v", k)
	}
}

// TestParse: what is not known may be a restriction.
func TestParse(t *testing.T) {
	f, err := Parse("# users\n\nAlice:{PLAIN}x\nbob:$1$abcdefgh$yTpYrEJJOuAsO2Aee15/D1:1000:1000::/home/bob:/bin/sh:userdb_quota=1 userdb_mail=x:y\r\n" +
		"carol:{PLAIN}x::::::nopassword allow_nets=10.0.0.0/8\nalice:{PLAIN}y:::\nnonsense\n../x:y\ndave:\n")
	if err == nil || err.Error() != `line 5: user carol: unknown extra field "allow_nets=10.0.0.0/8"` {
		t.Errorf("error %v", err)
	}
	for user, want := range map[string]Hash{"alice": "{PLAIN}y", "bob": "$1$abcdefgh$yTpYrEJJOuAsO2Aee15/D1", "dave": ""} {
		if h, ok, err := f.Find(user); h != want || !ok || err != nil {
			t.Errorf("%s: %q, %v, %v", user, h, ok, err)
		}
	}
	if _, _, err := f.Find("carol"); !errors.Is(err, ErrField) {
		t.Errorf("carol: %v", err)
	}
	if _, ok, _ := f.Find("nonsense"); ok || f.AllKeys(crypto.SHA1) {
		t.Error("nonsense is a user")
	}
	if f, err := Parse("al:{SCRAM-SHA-1}4096,1yYFm1d6hzWhYNogeIYRmw==,InyuGrfxST9fpsbP18dHlzNai3g=,ImUkMMVPwqey5B5mYch+p6OKbkU=\nbo:\n"); err != nil || !f.AllKeys(crypto.SHA1) || f.AllKeys(crypto.SHA256) {
		t.Errorf("all have keys: %v", err)
	}
}

// FuzzHash: no hash takes two passwords, and none makes trouble.
func FuzzHash(f *testing.F) {
	for _, h := range hashes {
		f.Add(string(h))
	}
	f.Fuzz(func(t *testing.T, text string) {
		h := Hash(text)
		// Those that take long are the administrator's choice.
		if name, _, _ := h.scheme(); crypts[name] != nil || name == "CRYPT" || name == "PBKDF2" || name == "SCRAM-SHA-1" || name == "SCRAM-SHA-256" {
			return
		}
		one, err := h.Matches([]byte("pass word"))
		two, err2 := h.Matches([]byte("pass worD"))
		if one && two || (err == nil) != (err2 == nil) || one && err != nil {
			t.Errorf("%q: %v, %v, %v, %v", text, one, err, two, err2)
		}
	})
}
