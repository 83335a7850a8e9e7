package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"sync"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
)

// environment is all that a command touches of the world, so that tests run
// commands in their own process, on a simulated share if they like.
type environment struct {
	Stdin  io.Reader
	Stdout io.Writer
	Stderr io.Writer
	// Getenv returns an environment variable, or "".
	Getenv func(name string) string
	// SystemConfig is the configuration file for all users; "" for none.
	SystemConfig string
	// Login returns the name of the user who runs the command.
	Login func() (string, error)
	// Host returns a host whose share is the directory dir.
	Host func(ctx context.Context, dir string) (*netfs.Host, error)
	// Probe tries what the share of a host can do; dir is where it is mounted.
	Probe func(ctx context.Context, h *netfs.Host, dir string) (*probe.Report, error)
	// Account looks up a user of the system. The error wraps spool.ErrNoUser when
	// the system has no such user.
	Account func(ctx context.Context, name string) (account, error)
	// MailRoot returns a host whose share is a user's mail root, made if it may
	// be. For templates without %h the owner is not known.
	MailRoot func(ctx context.Context, m mailRoot, owner account) (*netfs.Host, error)
	// Root says that the process may become another user.
	Root bool
	// Self returns a command that runs this program with other arguments.
	Self func(ctx context.Context, args ...string) (*exec.Cmd, error)
	// Syslog and Journal are the sockets of the system's log.
	Syslog, Journal string
	// MakeDir makes the directory that is to become a share's root.
	MakeDir func(dir string) error
}

func processEnvironment() environment {
	return environment{
		Stdin:  os.Stdin,
		Stdout: os.Stdout,
		Stderr: os.Stderr,
		Getenv: os.Getenv,

		SystemConfig: "/etc/bobbin/config.toml",
		Login:        loginName,
		Host: func(_ context.Context, dir string) (*netfs.Host, error) {
			if err := becomeOwner(dir); err != nil {
				return nil, err
			}
			h, err := netfs.OpenHost(dir)
			return remembering(h, err, dir)
		},
		Probe: func(ctx context.Context, h *netfs.Host, dir string) (*probe.Report, error) {
			return probe.Run(ctx, h, probe.Options{Dir: dir})
		},
		Self:     selfCommand,
		Account:  lookupAccount,
		MailRoot: openMailRoot,
		Root:     os.Geteuid() == 0,
		Syslog:   "/dev/log",
		Journal:  "/run/systemd/journal/socket",
		MakeDir:  func(dir string) error { return os.Mkdir(dir, 0o700) },
	}
}

// becomeOwner makes root the owner of the spool: what root created there the
// mail system could not read.
func becomeOwner(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	i, err := os.Stat(dir)
	if err != nil {
		return nil // whoever opens it next says so
	}
	owner, ok := i.Sys().(*syscall.Stat_t)
	if !ok || owner.Uid == 0 {
		return nil
	}
	err = errors.Join(syscall.Setgroups(nil), syscall.Setgid(int(owner.Gid)), syscall.Setuid(int(owner.Uid)))
	if err != nil {
		return fmt.Errorf("become the owner of %s: %w", dir, err)
	}
	return nil
}

// selfCommand prefers the name the program was called by: tests give their
// own binary another one.
func selfCommand(ctx context.Context, args ...string) (*exec.Cmd, error) {
	name, err := exec.LookPath(os.Args[0])
	if err != nil {
		name, err = os.Executable()
	}
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, name, args...), nil
}

func loginName() (string, error) {
	u, err := user.Current()
	if err != nil {
		return "", fmt.Errorf("login name: %w", err)
	}
	return u.Username, nil
}

// checkedWriter remembers the first error, so that a command whose output went
// nowhere does not report success.
type checkedWriter struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err == nil {
			c.err = err
		}
	}
	return n, err
}

// Err returns the first error of a write.
func (c *checkedWriter) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
