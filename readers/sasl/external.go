package sasl

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bobbinmail/bobbin/readers"
)

// external is RFC 4422, appendix A: the client showed a certificate, which is
// for the users whom it names by its addresses or, if it has none, its common
// name. The first that there is logs in, or the one that the client wants.
func external(ctx context.Context, x *exchange) (string, error) {
	as, err := x.first("")
	if err != nil {
		return "", err
	}
	var users []string
	for _, name := range x.channel.names() {
		user, err := x.Users.User(ctx, name)
		if errors.Is(err, readers.ErrDenied) {
			continue
		}
		if err != nil {
			return "", err
		}
		users = append(users, user)
	}
	if len(users) == 0 {
		return "", fmt.Errorf("certificate for %.100q: %w", x.channel.names(), readers.ErrDenied)
	}
	if len(as) > 0 {
		wanted, err := x.Users.User(ctx, string(as))
		if err != nil {
			return "", err
		}
		if slices.Contains(users, wanted) {
			return wanted, nil
		}
	}
	return x.authorize(ctx, users[0], string(as))
}

// names are those that a client's certificate gives it.
func (c Channel) names() []string {
	if c.TLS == nil || len(c.TLS.VerifiedChains) == 0 || len(c.TLS.PeerCertificates) == 0 {
		return nil
	}
	cert := c.TLS.PeerCertificates[0]
	if len(cert.EmailAddresses) > 0 {
		return cert.EmailAddresses
	}
	if name := cert.Subject.CommonName; name != "" {
		return []string{name}
	}
	return nil
}

func certified(_ context.Context, s *Server, c Channel) bool {
	return s.Users != nil && len(c.names()) > 0
}
