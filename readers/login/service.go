package login

import (
	"context"
	"net"

	"github.com/bobbinmail/bobbin/readers/sasl"
	"github.com/bobbinmail/bobbin/readers/server"
)

// Service logs the clients of all protocols in. Its fields are set before use;
// its methods may be called from several goroutines.
type Service struct {
	// SASL has the accounts and mechanisms.
	SASL sasl.Server
	// Delays makes those wait who guess; nil does not.
	Delays *Delays
	// Plain lets clients of other hosts send passwords without encryption.
	Plain bool
	// Tried, if set, is told how each login ended. It is called by several
	// goroutines at once.
	Tried func(c *server.Conn, err error)
}

// Private tells whether a password would be safe: it is encrypted, does not
// leave the host, or the administrator does not mind.
func (s *Service) Private(c *server.Conn) bool {
	if c.TLS != nil || s.Plain || c.Remote == "unix" {
		return true
	}
	ip := net.ParseIP(c.Address())
	return ip != nil && ip.IsLoopback()
}

func (s *Service) channel(c *server.Conn) sasl.Channel {
	return sasl.Channel{Private: s.Private(c)}
}

// Login is a login by a command with a name and a password. The error wraps
// [sasl.ErrPrivate], or is that of [readers.Authenticator].
func (s *Service) Login(ctx context.Context, c *server.Conn, name string, password []byte) (user string, err error) {
	if !s.Private(c) {
		return "", sasl.ErrPrivate
	}
	return s.try(ctx, c, func() (string, error) { return s.SASL.Accounts.Password(ctx, name, password) })
}

// Mechanisms lists what SASL offers to the client, the best first.
func (s *Service) Mechanisms(c *server.Conn) []string { return s.SASL.Mechanisms(s.channel(c)) }

// Exchange is what a client says when it begins to log in by SASL.
type Exchange struct {
	Mechanism string
	Initial   []byte // see [sasl.Server.Authenticate]
	Ask       sasl.Ask
}

// Authenticate is a login by SASL. The error is that of
// [sasl.Server.Authenticate].
func (s *Service) Authenticate(ctx context.Context, c *server.Conn, x Exchange) (user string, err error) {
	return s.try(ctx, c, func() (string, error) {
		return s.SASL.Authenticate(ctx, s.channel(c), x.Mechanism, x.Initial, x.Ask)
	})
}

func (s *Service) try(ctx context.Context, c *server.Conn, try func() (string, error)) (user string, err error) {
	if s.Delays == nil {
		user, err = try()
	} else {
		user, err = s.Delays.Try(ctx, c.Address(), try)
	}
	if s.Tried != nil {
		s.Tried(c, err)
	}
	return user, err
}
