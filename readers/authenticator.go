package readers

import (
	"context"
	"errors"
)

// ErrDenied means that a name and a password do not belong together. It is said
// of a user that does not exist, too.
var ErrDenied = errors.New("wrong name or password")

// Authenticator knows who may read whose mail. It is used by many goroutines at
// once.
type Authenticator interface {
	// Password returns the user who logs in with a name and a password. The
	// error wraps [ErrDenied]; any other may pass, and then nobody should be
	// told that the password was wrong.
	Password(ctx context.Context, name string, password []byte) (user string, err error)
}
