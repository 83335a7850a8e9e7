// Package passwd reads password files as Dovecot, Postfix and others have
// them: a line for each user, NAME:{SCHEME}HASH:UID:GID:GECOS:HOME:SHELL:EXTRA,
// of which all after the hash may be missing.
package passwd

import (
	"crypto"
	"errors"
	"fmt"
	"strings"

	"github.com/bobbinmail/bobbin/spool"
)

// ErrField means that a line restricts its user by a field that is not known
// here, so he is not let in.
var ErrField = errors.New("unknown extra field")

// File has users. It is not changed.
type File struct {
	users map[string]Hash
	wrong map[string]error
	bare  map[crypto.Hash]int // users without such keys for SCRAM
}

// Parse reads a file. Empty lines and those that begin with # mean nothing; of
// several lines for a user the last holds. It returns an error for the first
// line that is none; users of the others are there nevertheless.
func Parse(text string) (*File, error) {
	f := &File{users: map[string]Hash{}, wrong: map[string]error{}, bare: map[crypto.Hash]int{}}
	var first error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		if err := f.add(line); err != nil && first == nil {
			first = fmt.Errorf("line %d: %w", number, err)
		}
	}
	for _, h := range f.users {
		has, _, _ := h.keys()
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256} {
			if hash != has && h != "" {
				f.bare[hash]++
			}
		}
	}
	return f, first
}

func (f *File) add(line string) error {
	name, rest, ok := strings.Cut(line, ":")
	if !ok {
		return errors.New("there is no colon")
	}
	name, err := spool.CleanUser(name)
	if err != nil {
		return err
	}
	hash, extra, _ := strings.Cut(rest, ":")
	delete(f.wrong, name)
	// The extra fields are the eighth; a shell may have no colon.
	if field := strings.SplitN(extra, ":", 6); len(field) == 6 {
		for _, word := range strings.Fields(field[5]) {
			if !strings.HasPrefix(word, "userdb_") {
				f.wrong[name] = fmt.Errorf("user %s: %w %.40q", name, ErrField, word)
			}
		}
	}
	f.users[name] = Hash(hash)
	return f.wrong[name]
}

// Find returns how a user's password is known, and whether there is one of
// that name. The error wraps [ErrField].
func (f *File) Find(user string) (h Hash, ok bool, err error) {
	h, ok = f.users[user]
	return h, ok, f.wrong[user]
}

// AllKeys tells whether every password is known as keys for SCRAM with a hash.
func (f *File) AllKeys(hash crypto.Hash) bool { return f.bare[hash] == 0 }
