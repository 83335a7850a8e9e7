package login

import (
	"context"
	"crypto"
	"fmt"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/readers/passwd"
	"github.com/bobbinmail/bobbin/spool"
)

// decoyIterations is what most files with keys for SCRAM have.
const decoyIterations = 4096

// decoy is a hash that no password fits, as much work as a usual one, for names
// that nobody has.
const decoy passwd.Hash = "{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// Passwd has the accounts of a password file. It is made by [NewPasswd].
type Passwd struct {
	read   func(ctx context.Context) (*passwd.File, error)
	secret string
	checks *checks
}

var (
	_ readers.Authenticator = (*Passwd)(nil)
	_ readers.KeyStore      = (*Passwd)(nil)
	_ readers.Directory     = (*Passwd)(nil)
)

// NewPasswd returns an authenticator for the file that read returns as it is
// now. The secret is the same on all hosts; what keys are made up for names
// that nobody has comes from it.
func NewPasswd(read func(ctx context.Context) (*passwd.File, error), secret string) *Passwd {
	return &Passwd{read: read, secret: secret, checks: newChecks()}
}

// find returns the user who has a name, "" for nobody.
func (p *Passwd) find(ctx context.Context, name string) (user string, h passwd.Hash, err error) {
	f, err := p.read(ctx)
	if err != nil {
		return "", "", err
	}
	if user, err = spool.CleanUser(name); err != nil {
		return "", "", nil
	}
	h, ok, err := f.Find(user)
	if !ok {
		user = ""
	}
	return user, h, err
}

// Password is [readers.Authenticator].
func (p *Passwd) Password(ctx context.Context, name string, given []byte) (string, error) {
	user, h, err := p.find(ctx, name)
	if err != nil {
		return "", err
	}
	against := h
	if user == "" {
		against = decoy
	}
	ok, err := p.checks.matches(ctx, password{user, string(h), given}, func() (bool, error) { return against.Matches(given) })
	if err != nil {
		return "", fmt.Errorf("user %s: %w", user, err)
	}
	if !ok || user == "" {
		return "", denied(name)
	}
	return user, nil
}

// Keys is [readers.KeyStore].
func (p *Passwd) Keys(ctx context.Context, name string) (readers.Keys, error) {
	user, h, err := p.find(ctx, name)
	if err != nil {
		return readers.Keys{}, err
	}
	k := h.Keys(user)
	complete(&k, p.secret, name, decoyIterations)
	return k, nil
}

// AllKeys is [readers.KeyStore].
func (p *Passwd) AllKeys(ctx context.Context, hash crypto.Hash) bool {
	f, err := p.read(ctx)
	return err == nil && f.AllKeys(hash) // a login would say what is wrong
}

// User is [readers.Directory].
func (p *Passwd) User(ctx context.Context, name string) (string, error) {
	user, _, err := p.find(ctx, name)
	if err == nil && user == "" {
		err = denied(name)
	}
	return user, err
}

func denied(name string) error { return fmt.Errorf("user %.64q: %w", name, readers.ErrDenied) }
