package sasl

import (
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
)

// Names of mechanisms, as IANA has them, and of POP3's own.
const (
	Plain           = "PLAIN"
	Login           = "LOGIN"
	CRAMMD5         = "CRAM-MD5"
	SCRAMSHA1       = "SCRAM-SHA-1"
	SCRAMSHA256     = "SCRAM-SHA-256"
	SCRAMSHA1Plus   = "SCRAM-SHA-1-PLUS"
	SCRAMSHA256Plus = "SCRAM-SHA-256-PLUS"
	External        = "EXTERNAL"
	OAuthBearer     = "OAUTHBEARER"
	XOAuth2         = "XOAUTH2"
	APOP            = "APOP" // no mechanism of SASL
)

var (
	// ErrMechanism means that a mechanism is not offered.
	ErrMechanism = errors.New("no such mechanism")
	// ErrPrivate means that a mechanism would send a password in plain.
	ErrPrivate = errors.New("the connection is not private")
	// ErrSyntax means that a client's response is none of the mechanism.
	ErrSyntax = errors.New("malformed response")
)

// Defaults are the mechanisms that are offered, where they work, when nobody
// says which. The others need passwords that are kept as they are.
var Defaults = []string{External, SCRAMSHA256Plus, SCRAMSHA256, SCRAMSHA1Plus, SCRAMSHA1, OAuthBearer, XOAuth2, Plain, Login}

// Server knows how clients may prove who they are. Its fields are set before
// use; its methods may be called from several goroutines.
type Server struct {
	// Accounts checks passwords.
	Accounts readers.Authenticator
	// Keys is for mechanisms that send none; without it there are none of them.
	Keys readers.KeyStore
	// Users is for mechanisms in which somebody else says who it is; likewise.
	Users readers.Directory
	// Tokens knows those of OAuth; nil where there is none.
	Tokens Tokens
	// Authorize decides for whom somebody acts who asks to be another; nil means
	// that nobody does. The error wraps [readers.ErrDenied].
	Authorize func(ctx context.Context, user, as string) (string, error)
	// Enabled are the mechanisms; Defaults if nil.
	Enabled []string
	// Name is the host's, in challenges; "localhost".
	Name string

	nonce func() string // what tests know beforehand; nil for what nobody does
}

// Tokens knows the access tokens of OAuth 2.0. It is used by many goroutines at
// once.
type Tokens interface {
	// Token returns whom a token is for, by any name that he has. The error
	// wraps [readers.ErrDenied]; any other may pass.
	Token(ctx context.Context, token string) (name string, err error)
}

// Channel is what a mechanism knows of the connection.
type Channel struct {
	// Private means that a password may be sent on it.
	Private bool
	// TLS is nil without it.
	TLS *tls.ConnectionState
	// Certificate is the one that the server showed; nil if that is not known.
	Certificate *tls.Certificate
}

// Ask sends a challenge and returns the client's response. Its errors end the
// exchange, and are returned as they are.
type Ask func(challenge []byte) (response []byte, err error)

// exchange is a login under way.
type exchange struct {
	*Server
	channel Channel
	initial []byte // nil when the client sent none with the command
	ask     Ask
}

// mechanism is one of those that there are.
type mechanism struct {
	name   string
	run    func(ctx context.Context, x *exchange) (user string, err error)
	offers func(ctx context.Context, s *Server, c Channel) bool // whether it works on a channel
	plain  bool                                                 // it sends what others could use
}

// mechanisms are all, the best first.
var mechanisms = []mechanism{
	{name: External, run: external, offers: certified},
	{name: SCRAMSHA256Plus, run: scramWith(crypto.SHA256, true), offers: binds(crypto.SHA256)},
	{name: SCRAMSHA256, run: scramWith(crypto.SHA256, false), offers: allKeys(crypto.SHA256)},
	{name: SCRAMSHA1Plus, run: scramWith(crypto.SHA1, true), offers: binds(crypto.SHA1)},
	{name: SCRAMSHA1, run: scramWith(crypto.SHA1, false), offers: allKeys(crypto.SHA1)},
	{name: OAuthBearer, run: oauthBearer, offers: hasTokens, plain: true},
	{name: XOAuth2, run: xoauth2, offers: hasTokens, plain: true},
	{name: CRAMMD5, run: cramMD5, offers: hasKeys},
	{name: Plain, run: plain, plain: true},
	{name: Login, run: login, plain: true},
}

func hasKeys(_ context.Context, s *Server, _ Channel) bool { return s.Keys != nil }

func allKeys(hash crypto.Hash) func(context.Context, *Server, Channel) bool {
	return func(ctx context.Context, s *Server, _ Channel) bool {
		return s.Keys != nil && s.Keys.AllKeys(ctx, hash)
	}
}

func binds(hash crypto.Hash) func(context.Context, *Server, Channel) bool {
	has := allKeys(hash)
	return func(ctx context.Context, s *Server, c Channel) bool { return has(ctx, s, c) && len(c.bindings()) > 0 }
}

// Known tells whether there is a mechanism of that name, in whatever case, or
// it is APOP.
func Known(name string) bool {
	return strings.EqualFold(name, APOP) || slices.ContainsFunc(mechanisms, func(m mechanism) bool { return strings.EqualFold(m.name, name) })
}

// Offers tells whether a mechanism is enabled.
func (s *Server) Offers(name string) bool {
	list := s.Enabled
	if list == nil {
		list = Defaults
	}
	return slices.ContainsFunc(list, func(other string) bool { return strings.EqualFold(other, name) })
}

// Mechanisms lists what a client of the channel may use.
func (s *Server) Mechanisms(ctx context.Context, c Channel) (names []string) {
	for _, m := range mechanisms {
		if s.refuses(ctx, m, c) == nil {
			names = append(names, m.name)
		}
	}
	return names
}

// refuses tells why a mechanism does not work on a channel.
func (s *Server) refuses(ctx context.Context, m mechanism, c Channel) error {
	switch {
	case !s.Offers(m.name) || m.offers != nil && !m.offers(ctx, s, c):
		return fmt.Errorf("%s: %w", m.name, ErrMechanism)
	case m.plain && !c.Private:
		return fmt.Errorf("%s: %w", m.name, ErrPrivate)
	}
	return nil
}

// Request is what a client says when it begins to log in.
type Request struct {
	Mechanism string
	// Initial is the initial response (RFC 4422 §3.3), nil when none came, and
	// not nil but empty when an empty one did.
	Initial []byte
	Ask     Ask
}

// Authenticate talks to a client until it is known who that is.
//
// The error wraps [ErrMechanism], [ErrPrivate], [ErrSyntax],
// [readers.ErrDenied], or is that of ask, or of the accounts.
func (s *Server) Authenticate(ctx context.Context, c Channel, r Request) (user string, err error) {
	i := slices.IndexFunc(mechanisms, func(m mechanism) bool { return strings.EqualFold(m.name, r.Mechanism) })
	if i < 0 {
		return "", fmt.Errorf("%.40q: %w", r.Mechanism, ErrMechanism)
	}
	if err := s.refuses(ctx, mechanisms[i], c); err != nil {
		return "", err
	}
	x := &exchange{Server: s, channel: c, initial: r.Initial, ask: r.Ask}
	return mechanisms[i].run(ctx, x)
}

// first returns the client's first response.
func (x *exchange) first(challenge string) ([]byte, error) {
	if x.initial != nil {
		return x.initial, nil
	}
	return x.ask([]byte(challenge))
}

// authorize decides for whom somebody acts who proved to be user. as is what he
// asks for, "" for himself.
func (x *exchange) authorize(ctx context.Context, user, as string) (string, error) {
	switch {
	case cmp.Or(strings.ToLower(as), user) == user:
		return user, nil
	case x.Authorize != nil:
		return x.Authorize(ctx, user, as)
	}
	return "", fmt.Errorf("user %s as %.64q: %w", user, as, readers.ErrDenied)
}
