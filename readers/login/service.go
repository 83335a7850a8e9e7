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

// RefusesPasswords tells why a client may not log in by a command with its name
// and password: [sasl.ErrMechanism], [sasl.ErrPrivate], or nil if it may.
func (s *Service) RefusesPasswords(c *server.Conn) error {
	switch {
	case !s.SASL.Offers(sasl.Plain) && !s.SASL.Offers(sasl.Login):
		return sasl.ErrMechanism
	case !s.private(c):
		return sasl.ErrPrivate
	}
	return nil
}

// private tells whether a password would be safe: it is encrypted, does not
// leave the host, or the administrator does not mind.
func (s *Service) private(c *server.Conn) bool {
	if c.TLS != nil || s.Plain || c.Remote == "unix" {
		return true
	}
	ip := net.ParseIP(c.Address())
	return ip != nil && ip.IsLoopback()
}

func (s *Service) channel(c *server.Conn) sasl.Channel {
	return sasl.Channel{Private: s.private(c), TLS: c.TLS, Certificate: c.Certificate}
}

// Login is a login by a command with a name and a password. The error is
// that of RefusesPasswords or [readers.Authenticator].
func (s *Service) Login(ctx context.Context, c *server.Conn, name string, password []byte) (user string, err error) {
	if err := s.RefusesPasswords(c); err != nil {
		return "", err
	}
	return s.try(ctx, c, func() (string, error) { return s.SASL.Accounts.Password(ctx, name, password) })
}

// Mechanisms lists what SASL offers to the client, the best first.
func (s *Service) Mechanisms(ctx context.Context, c *server.Conn) []string {
	return s.SASL.Mechanisms(ctx, s.channel(c))
}

// Authenticate is a login by SASL. The error is that of
// [sasl.Server.Authenticate].
func (s *Service) Authenticate(ctx context.Context, c *server.Conn, r sasl.Request) (user string, err error) {
	return s.try(ctx, c, func() (string, error) { return s.SASL.Authenticate(ctx, s.channel(c), r) })
}

// APOP is a login by that command of POP3. The error is that of
// [sasl.Server.APOP].
func (s *Service) APOP(ctx context.Context, c *server.Conn, d sasl.Digest) (user string, err error) {
	return s.try(ctx, c, func() (string, error) { return s.SASL.APOP(ctx, d) })
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
