// Package login logs clients in.
package login

import (
	"context"
	"fmt"
	"sync"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// Spool has the accounts of a spool. A password that was right is right again
// without the work of its hash, until the account is changed by any host: a
// login costs one operation. It is made by [NewSpool].
type Spool struct {
	spool  *spool.Spool
	checks *checks

	mu       sync.Mutex
	accounts *spool.Accounts // nil until they were read
}

// NewSpool returns an authenticator for the accounts of s.
func NewSpool(s *spool.Spool) *Spool { return &Spool{spool: s, checks: newChecks()} }

var _ readers.Authenticator = (*Spool)(nil)

// Password is [readers.Authenticator].
func (s *Spool) Password(ctx context.Context, name string, given []byte) (string, error) {
	user, c, err := s.find(ctx, name)
	if err != nil {
		return "", err
	}
	// It takes as long for nobody, so that nobody learns who exists.
	ok, err := s.checks.matches(ctx, password{user, string(c.Password), given}, func() (bool, error) { return c.Password.Matches(given) })
	if err != nil {
		return "", fmt.Errorf("user %s: %w", user, err)
	}
	if !ok {
		return "", denied(name)
	}
	return user, nil
}

// read returns the accounts as they are now.
func (s *Spool) read(ctx context.Context) (*spool.Accounts, error) {
	s.mu.Lock()
	accounts := s.accounts
	s.mu.Unlock()
	if accounts != nil {
		return accounts, accounts.Refresh(ctx)
	}
	accounts, err := s.spool.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accounts == nil {
		s.accounts = accounts
	}
	return s.accounts, nil
}
