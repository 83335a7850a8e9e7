package spool

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Accounts is the list of virtual users. It is a commit log of its own in
// SPOOL/accounts, which mail users cannot read: it holds password hashes.
type Accounts struct {
	spool *Spool
	log   *commitlog.Log
	mu    sync.Mutex
	users map[string]Credentials
	bare  map[crypto.Hash]int // users with a password and without such keys
	newer error               // an operation that is not known: no writing
}

// Accounts follows the accounts' log to its end.
//
// The error wraps [ErrNoAccounts] in the mail root of one user.
func (s *Spool) Accounts(ctx context.Context) (*Accounts, error) {
	if s.owner != "" {
		return nil, fmt.Errorf("the mail root of %s: %w", s.owner, ErrNoAccounts)
	}
	a := &Accounts{spool: s, users: map[string]Credentials{}}
	a.log = s.log(s.Host.Share, accountsDir, a.machine())
	if _, err := a.log.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return a, nil
}

func (a *Accounts) machine() machine {
	return machine{apply: a.apply, snapshot: a.snapshot, load: a.load}
}

// snapshot writes the operations of each account, a line each.
func (a *Accounts) snapshot(uint64) ([]byte, uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.newer != nil {
		return nil, 0
	}
	b := []byte{}
	for _, n := range a.names() {
		for _, op := range a.users[n].ops(n) {
			b = append(b, op+"\n"...)
		}
	}
	return b, 0
}

func (a *Accounts) load(text []byte) error {
	if text == nil {
		a.mu.Lock()
		a.users, a.bare, a.newer = map[string]Credentials{}, nil, nil
		a.mu.Unlock()
	}
	return a.apply(&commitlog.Record{Ops: strings.Fields(string(text))})
}

// apply takes in a record as a whole or not at all.
func (a *Accounts) apply(r *commitlog.Record) error {
	ops := make([]accountChange, 0, len(r.Ops))
	var newer error
	for _, text := range r.Ops {
		op, err := parseAccountOp(text)
		switch {
		case errors.As(err, new(*optionalError)):
			newer = err
		case err != nil:
			return err
		default:
			ops = append(ops, op)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, op := range ops {
		a.count(op.user, -1)
		op.change(a.users)
		a.count(op.user, +1)
	}
	if newer != nil {
		a.newer = newer
	}
	return nil
}

// count adds n to what bare says of a user.
func (a *Accounts) count(user string, n int) {
	c := a.users[user]
	for _, hash := range scramHashes {
		if _, ok := c.SCRAM[hash]; !ok && c.Password != "" {
			if a.bare == nil {
				a.bare = map[crypto.Hash]int{}
			}
			a.bare[hash] += n
		}
	}
}

// AllKeys tells whether every password is known as keys for SCRAM with a hash.
func (a *Accounts) AllKeys(hash crypto.Hash) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bare[hash] == 0
}

// Names lists the users in order.
func (a *Accounts) Names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.names()
}

func (a *Accounts) names() []string {
	names := make([]string, 0, len(a.users))
	for n := range a.users {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

func (a *Accounts) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.users[name]
	return ok
}

// Add makes a user with a mailbox. password may be nil: then the user has
// none. An earlier try that a crash cut short is completed.
func (a *Accounts) Add(ctx context.Context, name string, password []byte) error {
	name, err := CleanUser(name)
	if err != nil {
		return err
	}
	if a.has(name) {
		return fmt.Errorf("user %s: %w", name, ErrExists)
	}
	var known Credentials
	if password != nil {
		if known, err = a.spool.credentials(password); err != nil {
			return err
		}
	}
	if err := a.makeMailbox(ctx, name); err != nil {
		return err
	}
	exists := false
	err = a.commit(ctx, func() []string {
		if _, exists = a.users[name]; exists {
			return nil
		}
		return known.ops(name)
	})
	if err == nil && exists {
		err = fmt.Errorf("user %s: %w", name, ErrExists)
	}
	return err
}

func (a *Accounts) makeMailbox(ctx context.Context, name string) error {
	home := path.Join(usersDir, name)
	if err := netfs.MkdirPrivate(ctx, a.spool.Host, a.spool.Host.Share, home); err != nil {
		return err
	}
	b, err := a.spool.Box(ctx, name, Inbox)
	if err != nil {
		return err
	}
	_, err = b.open(ctx)
	return errors.Join(err, b.Close())
}

func (a *Accounts) commit(ctx context.Context, build func() []string) error {
	err := a.log.Commit(ctx, func() ([]string, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		ops := build()
		return ops, errors.Join(a.newer, a.spool.admits(ops))
	})
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// SetPassword replaces a user's password. The error wraps [ErrNoUser], or
// [ErrLevel] if the password itself is to be kept and the spool's level is
// below 2.
func (a *Accounts) SetPassword(ctx context.Context, name string, password []byte, o PasswordOptions) error {
	name, err := CleanUser(name)
	if err != nil {
		return err
	}
	known, err := a.spool.credentials(password)
	if err != nil {
		return err
	}
	if o.Plain {
		known.Plain = string(password)
	}
	found := false
	err = a.commit(ctx, func() []string {
		if _, found = a.users[name]; !found {
			return nil
		}
		return known.ops(name)
	})
	if err == nil && !found {
		err = fmt.Errorf("user %s: %w", name, ErrNoUser)
	}
	return err
}

// Delete removes a user and moves the mail to the spool's trash, whose name
// it returns. The error wraps [ErrNoUser].
func (a *Accounts) Delete(ctx context.Context, name string) (string, error) {
	name, err := CleanUser(name)
	if err != nil {
		return "", err
	}
	home := path.Join(usersDir, name)
	_, err = a.spool.Host.Share.Stat(ctx, home)
	if missing := errors.Is(err, fs.ErrNotExist); missing && !a.has(name) {
		return "", fmt.Errorf("user %s: %w", name, ErrNoUser)
	} else if err != nil && !missing {
		return "", err
	}
	// The mail first: a delete that is broken off here leaves an account without
	// mailbox, not a mailbox that the next user of the name would inherit.
	trash, err := a.toTrash(ctx, name)
	if err != nil {
		return "", err
	}
	return trash, a.commit(ctx, func() []string {
		if _, ok := a.users[name]; !ok {
			return nil
		}
		return []string{accountChange{word: opRemove, user: name}.String()}
	})
}

// toTrash moves a user's mail away and returns where it is, or "" if there was
// none.
func (a *Accounts) toTrash(ctx context.Context, name string) (string, error) {
	h := a.spool.Host
	token, err := h.Token()
	if err != nil {
		return "", err
	}
	if err := netfs.MkdirPrivate(ctx, h, h.Share, trashDir); err != nil {
		return "", err
	}
	trash := fmt.Sprintf("%s/%d.%s.%s", trashDir, h.Wall().Unix(), token, name)
	err = netfs.Move(ctx, h, h.Share, path.Join(usersDir, name), trash)
	if errors.Is(err, netfs.ErrVanished) {
		return "", nil
	}
	return trash, err
}

// Refresh takes in what was committed since, on whatever host. While nothing
// changes it costs one operation.
func (a *Accounts) Refresh(ctx context.Context) error {
	if _, err := a.log.Refresh(ctx); err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// Credentials returns how a user's password is known; the zero value, which
// nothing matches, for one who has none or does not exist. The error wraps
// [ErrBadName].
func (a *Accounts) Credentials(name string) (Credentials, error) {
	name, err := CleanUser(name)
	if err != nil {
		return Credentials{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.users[name], nil
}

// Has tells whether there is a user of the name. The error wraps [ErrBadName].
func (a *Accounts) Has(name string) (bool, error) {
	name, err := CleanUser(name)
	if err != nil {
		return false, err
	}
	return a.has(name), nil
}
