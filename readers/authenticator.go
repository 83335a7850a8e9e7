package readers

import (
	"context"
	"crypto"
	"errors"

	"github.com/bobbinmail/bobbin/spool"
)

// ErrDenied means that somebody is not who he says, or may not do what he asks
// for. It is said of a user that does not exist, too.
var ErrDenied = errors.New("wrong name or password")

// Authenticator knows who may read whose mail. It is used by many goroutines at
// once.
type Authenticator interface {
	// Password returns the user who logs in with a name and a password. The
	// error wraps [ErrDenied]; any other may pass, and then nobody should be
	// told that the password was wrong.
	Password(ctx context.Context, name string, password []byte) (user string, err error)
}

// KeyStore is an [Authenticator] that also knows what mechanisms need in which
// no password is sent.
type KeyStore interface {
	// Keys returns what is known of the user who has a name. For a name that
	// nobody has, and where something is not known, it makes up what nobody can
	// tell from the truth, the same each time.
	Keys(ctx context.Context, name string) (Keys, error)
	// AllKeys tells whether every password is known as keys for SCRAM with a
	// hash, as of the last look: else clients that prefer SCRAM could not log in.
	AllKeys(ctx context.Context, hash crypto.Hash) bool
}

// Keys are what is known of a password.
type Keys struct {
	User  string                          // "" for nobody
	SCRAM map[crypto.Hash]spool.SCRAMKeys // for SHA-1 and SHA-256
	Plain []byte                          // the password itself; nil when it is not known
}

// Directory is an [Authenticator] that knows its users.
type Directory interface {
	// User returns the user who has a name. The error wraps [ErrDenied].
	User(ctx context.Context, name string) (user string, err error)
}
