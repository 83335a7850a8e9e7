// Package login checks passwords.
package login

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime"
	"sync"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

// known is how many passwords are remembered as right.
const known = 4096

// Spool checks the passwords of a spool's accounts. A password that was right
// is right again without the work of its hash, until the account is changed by
// any host: a login costs one operation. It is made by [NewSpool].
type Spool struct {
	spool *spool.Spool
	key   []byte        // of right, so that memory that leaks tells no passwords
	turn  chan struct{} // each check takes a processor and 19 MiB

	mu       sync.Mutex
	accounts *spool.Accounts // nil until they were read
	right    map[[sha256.Size]byte]struct{}
}

// NewSpool returns an authenticator for the accounts of s.
func NewSpool(s *spool.Spool) *Spool {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it never fails
	return &Spool{spool: s, key: key, turn: make(chan struct{}, runtime.GOMAXPROCS(0)), right: map[[sha256.Size]byte]struct{}{}}
}

var _ readers.Authenticator = (*Spool)(nil)

// Password is [readers.Authenticator].
func (s *Spool) Password(ctx context.Context, name string, password []byte) (string, error) {
	user, c, err := s.find(ctx, name)
	if err != nil {
		return "", err
	}
	id := s.id(user, c.Password, password)
	s.mu.Lock()
	_, ok := s.right[id]
	s.mu.Unlock()
	if !ok {
		if ok, err = s.check(ctx, c.Password, password); err != nil {
			return "", fmt.Errorf("user %s: %w", user, err)
		}
	}
	if !ok {
		return "", fmt.Errorf("user %.64q: %w", name, readers.ErrDenied)
	}
	s.remember(id)
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

// id stands for a password of an account as it is now.
func (s *Spool) id(user string, hash spool.Password, password []byte) (id [sha256.Size]byte) {
	h := hmac.New(sha256.New, s.key)
	fmt.Fprintf(h, "%s\x00%s\x00", user, hash)
	h.Write(password)
	return [sha256.Size]byte(h.Sum(id[:0]))
}

func (s *Spool) check(ctx context.Context, hash spool.Password, password []byte) (bool, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-s.turn }()
	return hash.Matches(password)
}

// remember makes room by forgetting any other.
func (s *Spool) remember(id [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.right {
		if len(s.right) < known {
			break
		}
		delete(s.right, other)
	}
	s.right[id] = struct{}{}
}
