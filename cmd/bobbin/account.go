package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// account is a user of the system.
type account struct {
	uid, gid int
	groups   []int
	home     string
}

// lookupAccount asks the system for a user. The error wraps spool.ErrNoUser
// only when the system knows that there is none.
//
// Go's own look-up reads /etc/passwd alone in a program without cgo; users
// that come from a directory service are found by getent(1).
func lookupAccount(ctx context.Context, name string) (account, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return accountOf(ctx, u)
	}
	line, err := getent(ctx, "passwd", name)
	if err != nil {
		return account{}, err
	}
	f := strings.Split(line, ":")
	if len(f) != 7 || f[0] != name {
		return account{}, fmt.Errorf("user %s: %w", name, spool.ErrNoUser) // a number is looked up as a uid
	}
	return accountOf(ctx, &user.User{Uid: f[2], Gid: f[3], Username: name, HomeDir: f[5]})
}

// accountOf adds the groups to a user.
func accountOf(ctx context.Context, u *user.User) (account, error) {
	a := account{home: u.HomeDir}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return a, fmt.Errorf("user %s: %w", u.Username, err)
	}
	a.uid, a.gid, a.groups = uid, gid, []int{gid}
	ids, err := u.GroupIds()
	if line, gerr := getent(ctx, "initgroups", u.Username); gerr == nil {
		if f := strings.Fields(line); len(f) > 0 {
			ids = append(ids, f[1:]...)
		}
	} else if err != nil {
		return a, fmt.Errorf("groups of user %s: %w", u.Username, err)
	}
	for _, id := range ids {
		if g, err := strconv.Atoi(id); err == nil && !slices.Contains(a.groups, g) {
			a.groups = append(a.groups, g)
		}
	}
	return a, nil
}

// getentNotFound is getent's exit code for a key that is not there.
const getentNotFound = 2

func getent(ctx context.Context, database, key string) (string, error) {
	out, err := exec.CommandContext(ctx, "getent", database, key).Output()
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() == getentNotFound {
		return "", fmt.Errorf("user %s: %w", key, spool.ErrNoUser)
	}
	if err != nil {
		return "", exitWith(exitTempFail, fmt.Errorf("look up user %s: getent: %w", key, err))
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line, nil
}

// become gives up root's rights for a user's. Root's own it keeps.
func (u account) become() error {
	if os.Geteuid() != 0 || u.uid == 0 {
		return nil
	}
	err := errors.Join(syscall.Setgroups(u.groups), syscall.Setgid(u.gid), syscall.Setuid(u.uid))
	if err != nil {
		return fmt.Errorf("become uid %d: %w", u.uid, err)
	}
	return nil
}

// ownerOf is the account that a directory belongs to. It follows no link in
// the last component.
func ownerOf(ctx context.Context, dir string) (account, error) {
	i, err := os.Lstat(dir)
	if err != nil {
		return account{}, err
	}
	s, ok := i.Sys().(*syscall.Stat_t)
	if !ok || !i.IsDir() {
		return account{}, fmt.Errorf("%s: not a directory", dir)
	}
	a := account{uid: int(s.Uid), gid: int(s.Gid)}
	if u, err := user.LookupId(strconv.Itoa(a.uid)); err == nil {
		return accountOf(ctx, u)
	}
	return a, nil
}

// openMailRoot opens a mail root as its owner. Root asks nothing of it before:
// on many shares it may not.
func openMailRoot(ctx context.Context, m mailRoot, owner account) (*netfs.Host, error) {
	if os.Geteuid() == 0 && owner.home == "" {
		dir := m.Dir
		for range m.Create {
			dir = path.Dir(dir)
		}
		var err error
		if owner, err = ownerOf(ctx, filepath.Join(m.Base, dir)); err != nil {
			return nil, err
		}
	}
	if err := owner.become(); err != nil {
		return nil, err
	}
	h, err := netfs.OpenBelow(ctx, m.Below)
	return remembering(h, err, filepath.Join(m.Base, m.Dir))
}
