package login

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
)

// Masters lets some users log in as any other, with their own passwords: by
// USER, the separator and their own name, or by SASL's authorization identity.
// It stands before other accounts. Its fields are set before use.
type Masters struct {
	readers.Authenticator
	readers.KeyStore // nil for accounts that have none
	readers.Directory
	// Names are the masters, as the accounts have them.
	Names []string
	// Separator stands between the two names.
	Separator string
	// Log gets a line whenever a master's name comes with a user's.
	Log *slog.Logger
}

// split takes a name apart. The first separator counts: users have none in
// their names.
func (m *Masters) split(name string) (master, user string) {
	if user, master, ok := strings.Cut(name, m.Separator); ok {
		return master, user
	}
	return name, ""
}

// Authorize decides for whom somebody acts. The error wraps
// [readers.ErrDenied].
func (m *Masters) Authorize(ctx context.Context, user, as string) (string, error) {
	if !slices.Contains(m.Names, user) {
		return "", denied(as)
	}
	other, err := m.User(ctx, as)
	if err == nil {
		m.Log.Info("a master asks for a user", "master", user, "user", other)
	}
	return other, err
}

// Password is [readers.Authenticator].
func (m *Masters) Password(ctx context.Context, name string, password []byte) (string, error) {
	master, as := m.split(name)
	user, err := m.Authenticator.Password(ctx, master, password)
	if err != nil || as == "" {
		return user, err
	}
	return m.Authorize(ctx, user, as)
}

// Keys is [readers.KeyStore]. Keys of somebody who is no master, or for a user
// who is not there, let nobody in.
func (m *Masters) Keys(ctx context.Context, name string) (readers.Keys, error) {
	master, as := m.split(name)
	k, err := m.KeyStore.Keys(ctx, master)
	if err != nil || as == "" {
		return k, err
	}
	k.User, err = m.Authorize(ctx, k.User, as)
	if errors.Is(err, readers.ErrDenied) {
		k.User, err = "", nil
	}
	return k, err
}
