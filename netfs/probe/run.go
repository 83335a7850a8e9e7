package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Options say what a probe may use besides the share.
type Options struct {
	// Dir is the share's root as a path of this machine. What needs one is
	// left out without it: mount options, space, exclusive creation, locks,
	// what other programs see through the client's caches.
	Dir string
	// Locks are the kinds of file locks to try.
	Locks []Lock
	// Say, if set, tells a person what is being waited for.
	Say func(text string)
	// Patience is how long [Peer] waits for the other host; 2 minutes if zero.
	Patience time.Duration
}

// Lock is a kind of file lock of this machine's kernel.
type Lock struct {
	Name string
	// Take locks the file for writing, making it if it is missing. held says
	// that somebody else has the lock; release gives it back.
	Take func(ctx context.Context, file string) (release func() error, held bool, err error)
}

// What a probe makes on the share begins so: its working directory, and what
// [Choose] tries in the spool's own.
const (
	workPrefix = ".bobbin-probe"
	tryPrefix  = ".probe."
)

// Temporary tells whether a name in a share's root is that of a probe under way
// or broken off. It may be removed once no probe runs.
func Temporary(name string) bool {
	return strings.HasPrefix(name, workPrefix) || strings.HasPrefix(name, tryPrefix)
}

// prober tries things in one directory of the share.
type prober struct {
	Options
	Report
	h   *netfs.Host
	dir string // its working directory on the share
}

// Run tries what one host alone can find out about the share. It takes some
// seconds. The error is for what kept it from looking; what does not work is
// in the report. Two runs at the same time do not disturb each other.
func Run(ctx context.Context, h *netfs.Host, o Options) (*Report, error) {
	token, err := h.Token()
	if err != nil {
		return nil, err
	}
	p := &prober{Options: o, h: h, dir: workPrefix + "." + token}
	p.Kind = h.Profile.Kind
	if err := p.mount(); err != nil {
		return nil, err
	}
	if err := h.Share.Mkdir(ctx, p.dir, 0o700); err != nil {
		p.add(Finding{"write", err.Error(), Unfit, "", "give the user who runs Bobbin the right to write here"})
		return &p.Report, ctx.Err()
	}
	defer p.clean(context.WithoutCancel(ctx), p.dir)
	for _, check := range []func(context.Context) error{
		p.slots, p.hardLinks, p.renames, p.names, p.syncs, p.stamps, p.listings, p.openFiles,
		p.exclusive, p.locks, p.space, p.speed,
	} {
		if err := check(ctx); err != nil {
			return nil, fmt.Errorf("probe %s: %w", p.dir, err)
		}
	}
	return &p.Report, nil
}

// at is a name in the working directory.
func (p *prober) at(name string) string { return path.Join(p.dir, name) }

// write makes a durable file.
func (p *prober) write(ctx context.Context, name, text string) error {
	return netfs.WriteFile(ctx, p.h.Share, p.at(name), []byte(text))
}

// mkdir makes a directory in the working directory.
func (p *prober) mkdir(ctx context.Context, name string) error {
	return p.h.Share.Mkdir(ctx, p.at(name), 0o700)
}

// clean removes a directory with all that is in it, as far as it can: what is
// left has a name that says what it was. A listing may have missed something.
func (p *prober) clean(ctx context.Context, dir string) {
	for range 3 {
		names, _ := p.h.Share.ReadDir(ctx, dir)
		for _, n := range names {
			name := path.Join(dir, n)
			if i, err := p.h.Share.Stat(ctx, name); err == nil && i.Mode.IsDir() {
				p.clean(ctx, name)
			} else {
				_ = netfs.Unlink(ctx, p.h, p.h.Share, name)
			}
		}
		if err := p.h.Share.Remove(ctx, dir); err == nil || gone(err) {
			return
		}
	}
}

// reason is the errno of err, for a table: which name it was says nothing.
func reason(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// gone tells whether a name is missing.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
