package sasl

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xdg-go/scram"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// book has users with their passwords, and the salts of the RFCs' examples.
type book map[string]string

func (b book) Password(_ context.Context, name string, password []byte) (string, error) {
	if want, ok := b[name]; !ok || want != string(password) {
		return "", readers.ErrDenied
	}
	return name, nil
}

func (b book) Keys(_ context.Context, name string) (k readers.Keys, err error) {
	k.SCRAM = map[crypto.Hash]spool.SCRAMKeys{}
	for hash, text := range map[crypto.Hash]string{crypto.SHA1: "QSXCR+Q6sek8bf92", crypto.SHA256: "W22ZaJ0SNY7soEsUEjb6gQ=="} {
		salt, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return k, err
		}
		k.SCRAM[hash] = spool.SCRAMKeys{Salt: salt, Iterations: 4096}
		if password, ok := b[name]; ok {
			k.User, k.Plain = name, []byte(password)
			if k.SCRAM[hash], err = spool.DeriveSCRAM(hash, k.Plain, salt, 4096); err != nil {
				return k, err
			}
		}
	}
	return k, nil
}

func (b book) AllKeys(context.Context, crypto.Hash) bool { return b["bare"] == "" }

// User finds users by their names and in a domain.
func (b book) User(_ context.Context, name string) (string, error) {
	name = strings.TrimSuffix(strings.ToLower(name), "@example.org")
	if _, ok := b[name]; !ok {
		return "", readers.ErrDenied
	}
	return name, nil
}

// Token says that tokens are the names of users.
func (b book) Token(_ context.Context, token string) (string, error) {
	if token == "later" {
		return "", errLater
	}
	return token, nil
}

var errLater = errors.New("try again later")

var everything = []string{External, OAuthBearer, XOAuth2, SCRAMSHA256Plus, SCRAMSHA256, SCRAMSHA1Plus, SCRAMSHA1, CRAMMD5, Plain, Login, APOP}

func newServer(b book) *Server {
	return &Server{Accounts: b, Keys: b, Users: b, Tokens: b, Enabled: everything, Name: "postoffice.reston.mci.net"}
}

var errSilent = errors.New("the client has nothing to say")

// script answers challenges: each line is what the server must say, " -> " and
// what the client does. "*" is any challenge.
func script(t *testing.T, lines ...string) Ask {
	return func(challenge []byte) ([]byte, error) {
		if len(lines) == 0 {
			t.Errorf("challenge %q", challenge)
			return nil, errSilent
		}
		want, answer, _ := strings.Cut(lines[0], " -> ")
		lines = lines[1:]
		if want != "*" && want != string(challenge) {
			t.Errorf("challenge %q, want %q", challenge, want)
		}
		return []byte(answer), nil
	}
}

// TestExamples: the exchanges of RFC 2195 §2, RFC 4616 §4, RFC 5802 §5 and RFC
// 7677 §3.
func TestExamples(t *testing.T) {
	const (
		first1  = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
		final1  = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
		first2  = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
		final2  = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
		cram    = "<1896.697170952@postoffice.reston.mci.net> -> tim b913a602c7eda7a495b4e6e7334d3890"
		badCram = "* -> tim b913a602c7eda7a495b4e6e7334d3891"
	)
	users := book{"user": "pencil", "tim": "tanstaaftanstaaf"}
	for _, c := range []struct {
		mechanism, nonce, initial string
		lines                     []string
		user                      string
		err                       error
	}{
		{SCRAMSHA1, "3rfcNHYJY1ZVvWVs7j", "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", []string{first1 + " -> " + final1, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ= -> "}, "user", nil},
		{SCRAMSHA1, "3rfcNHYJY1ZVvWVs7j", "", []string{" -> n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL", first1 + " -> " + final1, "v=rmF9pqV8S7suAoZWja4dJRkFsKQ= -> "}, "user", nil},
		{"scram-sha-256", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO", []string{first2 + " -> " + final2, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4= -> "}, "user", nil},
		{SCRAMSHA1, "3rfcNHYJY1ZVvWVs7j", "n,,n=tim,r=fyko+d2lbbFgONRv9qkxdawL", []string{first1 + " -> " + final1}, "", readers.ErrDenied},
		{SCRAMSHA1, "3rfcNHYJY1ZVvWVs7j", "n,,n=nobody,r=fyko+d2lbbFgONRv9qkxdawL", []string{first1 + " -> " + final1}, "", readers.ErrDenied},
		{SCRAMSHA1, "x", "p=tls-exporter,,n=user,r=x", nil, "", ErrSyntax},
		{SCRAMSHA1, "x", "n=user,r=x", nil, "", ErrSyntax},
		{SCRAMSHA1, "x", "n,,n=us=er,r=x", nil, "", ErrSyntax},
		{SCRAMSHA1Plus, "x", "p=tls-exporter,,n=user,r=x", nil, "", ErrMechanism},
		{CRAMMD5, "1896.697170952", "", []string{cram}, "tim", nil},
		{CRAMMD5, "1896.697170952", "", []string{badCram}, "", readers.ErrDenied},
		{CRAMMD5, "1896.697170952", "", []string{"* -> nobody b913a602c7eda7a495b4e6e7334d3890"}, "", readers.ErrDenied},
		{CRAMMD5, "x", "", []string{"* -> tim"}, "", ErrSyntax},
		{CRAMMD5, "x", "tim x", nil, "", ErrSyntax},
		{Plain, "", "\x00tim\x00tanstaaftanstaaf", nil, "tim", nil},
		{Plain, "", "", []string{" -> tim\x00tim\x00tanstaaftanstaaf"}, "tim", nil},
		{Plain, "", "Ursel\x00tim\x00tanstaaftanstaaf", nil, "", readers.ErrDenied},
		{Plain, "", "tim", nil, "", ErrSyntax},
		{Login, "", "", []string{"Username: -> tim", "Password: -> tanstaaftanstaaf"}, "tim", nil},
		{Login, "", "tim", []string{"Password: -> wrong"}, "", readers.ErrDenied},
		{APOP, "", "tim", nil, "", ErrMechanism},
		{"GSSAPI", "", "", nil, "", ErrMechanism},
	} {
		s := newServer(users)
		s.nonce = func() string { return c.nonce }
		r := Request{Mechanism: c.mechanism, Ask: script(t, c.lines...)}
		if c.initial != "" {
			r.Initial = []byte(c.initial)
		}
		user, err := s.Authenticate(t.Context(), Channel{Private: true}, r)
		if user != c.user || !errors.Is(err, c.err) {
			t.Errorf("%s %q: %q, %v", c.mechanism, c.initial, user, err)
		}
	}
}

// onlyToken is the one token.
type onlyToken struct{}

func (onlyToken) Token(_ context.Context, token string) (string, error) {
	if token != "secret word" {
		return "", readers.ErrDenied
	}
	return "alice", nil
}

// TestOAuth: the exchanges of RFC 7628 §4 and of XOAUTH2. A client that is
// refused learns why before the login fails.
func TestOAuth(t *testing.T) {
	const bearer, bare = `{"schemes":"bearer","status":"invalid_token"} -> ` + "\x01", `{"schemes":"bearer","status":"401"} -> `
	for _, c := range []struct {
		mechanism, initial string
		lines              []string
		user               string
		err                error
	}{
		{OAuthBearer, "n,a=alice@example.org,\x01auth=Bearer alice\x01\x01", []string{bearer}, "", readers.ErrDenied},
		{OAuthBearer, "n,a=alice,\x01host=server.example.com\x01port=143\x01auth=Bearer alice\x01\x01", nil, "alice", nil},
		{OAuthBearer, "y,,\x01auth=bearer ALICE@example.org\x01\x01", nil, "alice", nil},
		{OAuthBearer, "n,a=bob,\x01auth=Bearer alice\x01\x01", []string{bearer}, "", readers.ErrDenied},
		{OAuthBearer, "n,,\x01auth=Bearer nobody\x01\x01", []string{bearer}, "", readers.ErrDenied},
		{OAuthBearer, "n,,\x01auth=Bearer later\x01\x01", nil, "", errLater},
		{OAuthBearer, "p=tls-exporter,,\x01auth=Bearer alice\x01\x01", nil, "", ErrSyntax},
		{OAuthBearer, "n,,\x01auth=Basic alice\x01\x01", nil, "", ErrSyntax},
		{OAuthBearer, "n,,\x01auth=Bearer alice\x01auth=Bearer bob\x01\x01", nil, "", ErrSyntax},
		{OAuthBearer, "n,,\x01auth=Bearer alice\x01", nil, "", ErrSyntax},
		{OAuthBearer, "n,x,\x01auth=Bearer alice\x01\x01", nil, "", ErrSyntax},
		{OAuthBearer, "n,,\x01host=x\x01\x01", nil, "", ErrSyntax},
		{OAuthBearer, "alice", nil, "", ErrSyntax},
		{XOAuth2, "user=alice\x01auth=Bearer alice\x01\x01", nil, "alice", nil},
		{XOAuth2, "user=bob\x01auth=Bearer alice\x01\x01", []string{bare}, "", readers.ErrDenied},
		{XOAuth2, "auth=Bearer alice\x01\x01", nil, "", ErrSyntax},
	} {
		s := newServer(book{"alice": "x", "bob": "x"})
		user, err := s.Authenticate(t.Context(), Channel{Private: true}, Request{c.mechanism, []byte(c.initial), script(t, c.lines...)})
		if user != c.user || !errors.Is(err, c.err) {
			t.Errorf("%s %q: %q, %v", c.mechanism, c.initial, user, err)
		}
	}
}

// TestExternal: a certificate is for the users whom it names.
func TestExternal(t *testing.T) {
	s := newServer(book{"alice": "x", "bob": "x", "carol": "x"})
	s.Enabled = []string{External}
	for _, c := range []struct {
		name      string
		addresses []string
		as, user  string
		err       error
	}{
		{"alice", nil, "", "alice", nil},
		{"ALICE", nil, "alice", "alice", nil},
		{"alice", nil, "bob", "", readers.ErrDenied},
		{"carol", []string{"nobody@example.org", "alice@example.org", "bob@example.org"}, "", "alice", nil},
		{"carol", []string{"alice@example.org", "bob@example.org"}, "bob", "bob", nil},
		{"carol", []string{"alice@example.org"}, "carol", "", readers.ErrDenied},
		{"nobody", nil, "", "", readers.ErrDenied},
		{"", nil, "", "", ErrMechanism},
	} {
		cert := &x509.Certificate{Subject: pkix.Name{CommonName: c.name}, EmailAddresses: c.addresses}
		ch := Channel{TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}}
		user, err := s.Authenticate(t.Context(), ch, Request{External, []byte(c.as), script(t)})
		if user != c.user || !errors.Is(err, c.err) {
			t.Errorf("%+v: %q, %v", c, user, err)
		}
		ch.TLS.VerifiedChains = nil
		if got := s.Mechanisms(t.Context(), ch); slices.Contains(got, External) {
			t.Errorf("of a certificate that nobody signed: %q", got)
		}
	}
}

// TestAPOP: the example of RFC 1939 §7.
func TestAPOP(t *testing.T) {
	const stamp, digest = "<1896.697170952@dbc.mtview.ca.us>", "c4c9334bac560ecc979e58001b3e22fb"
	s := newServer(book{"mrose": "tanstaaf"})
	if user, err := s.APOP(t.Context(), Digest{stamp, "mrose", digest}); user != "mrose" || err != nil {
		t.Errorf("%q, %v", user, err)
	}
	for _, bad := range [][2]string{{"mrose", digest[1:]}, {"mrose", ""}, {"nobody", digest}, {"nobody", "1d4a6f6ae4d3a87ab5e42b0b9b3f25b8"}} {
		if user, err := s.APOP(t.Context(), Digest{stamp, bad[0], bad[1]}); user != "" || !errors.Is(err, readers.ErrDenied) {
			t.Errorf("%q: %q, %v", bad, user, err)
		}
	}
	s.Enabled = Defaults
	if user, err := s.APOP(t.Context(), Digest{stamp, "mrose", digest}); user != "" || !errors.Is(err, ErrMechanism) {
		t.Errorf("not enabled: %q, %v", user, err)
	}
	if a, b := s.Stamp(), s.Stamp(); a == b || !strings.HasSuffix(a, "@postoffice.reston.mci.net>") {
		t.Errorf("stamps %s and %s", a, b)
	}
}

// TestMechanisms: only what works on a channel is offered.
func TestMechanisms(t *testing.T) {
	s := newServer(book{})
	for _, c := range []struct {
		private, keys bool
		enabled       []string
		want          string
	}{
		{true, true, everything, "SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 CRAM-MD5 PLAIN LOGIN"},
		{false, true, everything, "SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5"},
		{true, false, everything, "PLAIN LOGIN"},
		{true, true, nil, "SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 PLAIN LOGIN"},
		{true, true, []string{"scram-sha-1"}, "SCRAM-SHA-1"},
		{false, true, []string{"PLAIN"}, ""},
	} {
		s.Enabled, s.Keys, s.Users = c.enabled, nil, nil
		if c.keys {
			s.Keys, s.Users = book{}, book{}
		}
		if got := strings.Join(s.Mechanisms(t.Context(), Channel{Private: c.private}), " "); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	s.Enabled, s.Keys = nil, book{"bare": "x"}
	if got := s.Mechanisms(t.Context(), Channel{}); len(got) > 0 {
		t.Errorf("where somebody has no keys: %q", got)
	}
	if _, err := s.Authenticate(t.Context(), Channel{}, Request{Mechanism: Plain}); !errors.Is(err, ErrPrivate) {
		t.Errorf("PLAIN where all can listen: %v", err)
	}
	if !Known("apop") || !Known("plain") || Known("NTLM") {
		t.Error("which mechanisms are there?")
	}
}

// channels are the two ends of a TLS connection, the client's first.
func channels(t *testing.T, version uint16) (client tls.ConnectionState, ch Channel) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"mx"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	a, b := net.Pipe()
	c := tls.Client(a, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	s := tls.Server(b, &tls.Config{Certificates: []tls.Certificate{*cert}})
	done := make(chan error, 1)
	go func() { done <- s.Handshake() }()
	if err := errors.Join(c.Handshake(), <-done); err != nil {
		t.Fatal(err)
	}
	state := s.ConnectionState()
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return c.ConnectionState(), Channel{Private: true, TLS: &state, Certificate: cert}
}

// TestBinding: a client that binds itself to its channel gets in, and one whose
// channel ends elsewhere does not; nor does one from which somebody hid that it
// could have bound itself.
func TestBinding(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		client, ch := channels(t, version)
		other, _ := channels(t, version)
		for _, kind := range []scram.ChannelBindingType{scram.ChannelBindingTLSExporter, scram.ChannelBindingTLSServerEndpoint} {
			bind := scram.NewTLSExporterBinding
			if kind == scram.ChannelBindingTLSServerEndpoint {
				bind = scram.NewTLSServerEndpointBinding
			}
			for at, ok := range map[*tls.ConnectionState]bool{&client: true, &other: false} {
				binding, err := bind(at)
				if err != nil {
					t.Fatal(err)
				}
				if err := converse(t, ch, SCRAMSHA256Plus, binding); (err == nil) != ok || err != nil && !errors.Is(err, readers.ErrDenied) {
					t.Errorf("TLS %x, %s, right %v: %v", version, kind, ok, err)
				}
			}
		}
		if err := converse(t, ch, SCRAMSHA256Plus, scram.ChannelBinding{}); !errors.Is(err, ErrSyntax) {
			t.Errorf("-PLUS without binding: %v", err)
		}
		if err := converse(t, ch, SCRAMSHA1, scram.ChannelBinding{}); err != nil {
			t.Errorf("a client that cannot bind: %v", err)
		}
		hidden := Request{Mechanism: SCRAMSHA1, Initial: []byte("y,,n=alice,r=x")}
		if _, err := newServer(book{}).Authenticate(t.Context(), ch, hidden); !errors.Is(err, ErrSyntax) {
			t.Errorf("a client that believes there is no -PLUS: %v", err)
		}
		if got := newServer(book{}).Mechanisms(t.Context(), ch); !slices.Contains(got, SCRAMSHA1Plus) {
			t.Errorf("offered: %q", got)
		}
	}
}

// converse is a login by the client of the library.
func converse(t *testing.T, ch Channel, mechanism string, binding scram.ChannelBinding) error {
	t.Helper()
	generator := scram.SHA256
	if mechanism == SCRAMSHA1 {
		generator = scram.SHA1
	}
	c, err := generator.NewClient("alice", "secret", "")
	if err != nil {
		t.Fatal(err)
	}
	talk := c.NewConversation()
	if binding.IsSupported() {
		talk = c.NewConversationWithChannelBinding(binding)
	}
	said := ""
	user, err := newServer(book{"alice": "secret"}).Authenticate(t.Context(), ch, Request{Mechanism: mechanism, Ask: func(challenge []byte) ([]byte, error) {
		said, err := talk.Step(string(challenge))
		return []byte(said), err
	}})
	if err == nil && (user != "alice" || !talk.Valid()) {
		t.Errorf("user %q, said %q", user, said)
	}
	return err
}

// FuzzAuthenticate: whatever clients say, only the right password lets them in,
// and every error is one of those that protocols know.
func FuzzAuthenticate(f *testing.F) {
	f.Add("SCRAM-SHA-1", "n,,n=alice,r=x\nc=biws,r=x,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=\n")
	f.Add("CRAM-MD5", "alice b913a602c7eda7a495b4e6e7334d3890")
	f.Add("PLAIN", "\x00alice\x00secret word")
	f.Add("LOGIN", "alice\nsecret word")
	f.Add("OAUTHBEARER", "n,a=alice,\x01host=a\x01auth=Bearer secret word\x01\x01\n\x01")
	f.Add("XOAUTH2", "user=alice\x01auth=Bearer secret word\x01\x01\n")
	s := newServer(book{"alice": "secret word"})
	s.Tokens = onlyToken{}
	f.Fuzz(func(t *testing.T, mechanism, text string) {
		lines := strings.Split(text, "\n")
		user, err := s.Authenticate(t.Context(), Channel{Private: true}, Request{Mechanism: mechanism, Ask: func([]byte) ([]byte, error) {
			if len(lines) == 0 {
				return nil, errSilent
			}
			line := lines[0]
			lines = lines[1:]
			return []byte(line), nil
		}})
		if err == nil && (user != "alice" || !strings.Contains(text, "secret word")) {
			t.Errorf("%s %q lets %q in", mechanism, text, user)
		}
		known := func(want error) bool { return errors.Is(err, want) }
		if err != nil && !slices.ContainsFunc([]error{ErrMechanism, ErrSyntax, readers.ErrDenied, errSilent}, known) {
			t.Errorf("%s %q: %v", mechanism, text, err)
		}
	})
}
