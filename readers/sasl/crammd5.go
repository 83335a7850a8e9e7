package sasl

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/bobbinmail/bobbin/readers"
)

// cramMD5 is RFC 2195.
func cramMD5(ctx context.Context, x *exchange) (string, error) {
	if x.initial != nil {
		return "", fmt.Errorf("%s: %w: nothing was asked yet", CRAMMD5, ErrSyntax)
	}
	challenge := x.Stamp()
	said, err := x.ask([]byte(challenge))
	if err != nil {
		return "", err
	}
	// The name may have spaces, the digest has none.
	i := strings.LastIndexByte(string(said), ' ')
	if i < 0 {
		return "", fmt.Errorf("%s: %w", CRAMMD5, ErrSyntax)
	}
	return x.digest(ctx, string(said[:i]), string(said[i+1:]), func(password []byte) []byte {
		h := hmac.New(md5.New, password)
		h.Write([]byte(challenge))
		return h.Sum(nil)
	})
}

// Stamp is a new challenge for CRAM-MD5 and APOP, in the form of a Message-ID.
func (s *Server) Stamp() string {
	nonce := rand.Text
	if s.nonce != nil {
		nonce = s.nonce
	}
	return fmt.Sprintf("<%s@%s>", nonce(), cmp.Or(s.Name, "localhost"))
}

// Digest is what a client says with APOP (RFC 1939 §7), and the stamp that it
// answers.
type Digest struct{ Stamp, Name, Sum string }

// APOP checks a digest. The error is that of [Server.Authenticate].
func (s *Server) APOP(ctx context.Context, d Digest) (user string, err error) {
	if s.Keys == nil || !s.Offers(APOP) {
		return "", fmt.Errorf("%s: %w", APOP, ErrMechanism)
	}
	return s.digest(ctx, d.Name, d.Sum, func(password []byte) []byte {
		sum := md5.Sum(append([]byte(d.Stamp), password...))
		return sum[:]
	})
}

// digest compares what a client sent with what its password would make.
func (s *Server) digest(ctx context.Context, name, digest string, of func(password []byte) []byte) (string, error) {
	keys, err := s.Keys.Keys(ctx, name)
	if err != nil {
		return "", err
	}
	want := hex.EncodeToString(of(keys.Plain))
	if !hmac.Equal([]byte(want), []byte(digest)) || keys.User == "" || len(keys.Plain) == 0 {
		return "", fmt.Errorf("user %.64q: %w", name, readers.ErrDenied)
	}
	return keys.User, nil
}
