package login

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"maps"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

var (
	_ readers.KeyStore  = (*Spool)(nil)
	_ readers.Directory = (*Spool)(nil)
)

// Keys is [readers.KeyStore].
func (s *Spool) Keys(ctx context.Context, name string) (readers.Keys, error) {
	user, c, err := s.find(ctx, name)
	if err != nil {
		return readers.Keys{}, err
	}
	k := readers.Keys{User: user, SCRAM: maps.Clone(c.SCRAM)}
	if c.Plain != "" {
		k.Plain = []byte(c.Plain)
	}
	complete(&k, s.spool.Marker.Share, name, spool.SCRAMIterations)
	return k, nil
}

// AllKeys is [readers.KeyStore].
func (s *Spool) AllKeys(ctx context.Context, hash crypto.Hash) bool {
	s.mu.Lock()
	accounts := s.accounts
	s.mu.Unlock()
	if accounts == nil {
		var err error
		if accounts, err = s.read(ctx); err != nil {
			return false // a login would say so
		}
	}
	return accounts.AllKeys(hash)
}

// User is [readers.Directory].
func (s *Spool) User(ctx context.Context, name string) (string, error) {
	user, _, err := s.find(ctx, name)
	if err == nil && user == "" {
		err = denied(name)
	}
	return user, err
}

// find returns the user who has a name, "" for nobody, as the accounts are now.
func (s *Spool) find(ctx context.Context, name string) (user string, c spool.Credentials, err error) {
	accounts, err := s.read(ctx)
	if err != nil {
		return "", c, err
	}
	user, err = spool.CleanUser(name)
	if err != nil {
		return "", c, nil
	}
	if has, err := accounts.Has(user); err != nil || !has {
		return "", c, err
	}
	c, err = accounts.Credentials(user)
	return user, c, err
}

// complete makes up keys for SCRAM that are missing, and that no password fits:
// their salt is made of a secret of the place and the name, so that it is the
// same on all hosts and each time that somebody asks (RFC 5802 §9).
func complete(k *readers.Keys, secret, name string, iterations int) {
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
		if _, ok := k.SCRAM[hash]; ok {
			continue
		}
		if k.SCRAM == nil {
			k.SCRAM = map[crypto.Hash]spool.SCRAMKeys{}
		}
		h := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(h, "%s\x00%s", hash, clean(name))
		k.SCRAM[hash] = spool.SCRAMKeys{Salt: h.Sum(nil)[:16], Iterations: iterations}
	}
}

// clean is the name as the accounts have it, if it can be one.
func clean(name string) string {
	if user, err := spool.CleanUser(name); err == nil {
		return user
	}
	return name
}
