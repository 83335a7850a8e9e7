package spool

import "errors"

// What can be wrong with a spool or with what is asked of it. Errors name the
// object and wrap one of these, commitlog.ErrCorrupt, commitlog.ErrNewer,
// netfs.ErrUncertain or the file system's own error.
var (
	// ErrNotSpool: the marker file is missing. The share may not be mounted,
	// so this is a temporary error, never an empty spool (H98).
	ErrNotSpool = errors.New("not a spool")
	// ErrExists: the spool, user or folder to be made is there already.
	ErrExists = errors.New("exists already")
	// ErrNoUser: there is no such user.
	ErrNoUser = errors.New("no such user")
	// ErrNoAccounts: the share is one user's mail root and has no accounts.
	ErrNoAccounts = errors.New("no accounts here")
	// ErrNoFolder: the user has no such folder.
	ErrNoFolder = errors.New("no such folder")
	// ErrNoMessage: no message has this UID.
	ErrNoMessage = errors.New("no such message")
	// ErrMissing: the log knows the message and its file cannot be found.
	ErrMissing = errors.New("the message's file is missing")
	// ErrRetry: nothing was done, and the same call may work later.
	ErrRetry = errors.New("not done, try again")
	// ErrLevel: the spool's feature level is too low for what is asked.
	ErrLevel = errors.New("needs feature level")
	// ErrBadName: a name is not allowed.
	ErrBadName = errors.New("name not allowed")
)
