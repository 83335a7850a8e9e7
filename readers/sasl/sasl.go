package sasl

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
)

// Names of mechanisms, as IANA has them.
const (
	Plain = "PLAIN"
	Login = "LOGIN"
)

var (
	// ErrMechanism means that a mechanism is not offered.
	ErrMechanism = errors.New("no such mechanism")
	// ErrPrivate means that a mechanism would send a password in plain.
	ErrPrivate = errors.New("the connection is not private")
	// ErrSyntax means that a client's response is none of the mechanism.
	ErrSyntax = errors.New("malformed response")
)

// Server knows how clients may prove who they are. Its fields are set before
// use; its methods may be called from several goroutines.
type Server struct {
	// Accounts checks what clients say.
	Accounts readers.Authenticator
}

// Channel is what a mechanism knows of the connection.
type Channel struct {
	// Private means that a password may be sent on it.
	Private bool
}

// Ask sends a challenge and returns the client's response. Its errors end the
// exchange, and are returned as they are.
type Ask func(challenge []byte) (response []byte, err error)

// exchange is a login under way.
type exchange struct {
	*Server
	initial []byte // nil when the client sent none with the command
	ask     Ask
}

// mechanism is one of those that there are.
type mechanism struct {
	name  string
	plain bool // it sends what others could use
	run   func(ctx context.Context, x *exchange) (user string, err error)
}

// mechanisms are all, the best first.
var mechanisms = []mechanism{
	{name: Plain, plain: true, run: plain},
	{name: Login, plain: true, run: login},
}

// Mechanisms lists what a client of the channel may use.
func (s *Server) Mechanisms(c Channel) (names []string) {
	for _, m := range mechanisms {
		if c.Private || !m.plain {
			names = append(names, m.name)
		}
	}
	return names
}

// Authenticate talks to a client until it is known who that is. The initial
// response is nil when none came with the command (RFC 4422 §3.3), and not nil
// but empty when an empty one did.
//
// The error wraps [ErrMechanism], [ErrPrivate], [ErrSyntax],
// [readers.ErrDenied], or is that of ask, or of the accounts.
func (s *Server) Authenticate(ctx context.Context, c Channel, name string, initial []byte, ask Ask) (user string, err error) {
	i := slices.IndexFunc(mechanisms, func(m mechanism) bool { return strings.EqualFold(m.name, name) })
	if i < 0 {
		return "", fmt.Errorf("%.40q: %w", name, ErrMechanism)
	}
	m := mechanisms[i]
	if m.plain && !c.Private {
		return "", fmt.Errorf("%s: %w", m.name, ErrPrivate)
	}
	return m.run(ctx, &exchange{s, initial, ask})
}

// first returns the client's first response.
func (x *exchange) first(challenge string) ([]byte, error) {
	if x.initial != nil {
		return x.initial, nil
	}
	return x.ask([]byte(challenge))
}
