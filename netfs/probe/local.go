package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// What follows needs a path of this machine: it is about programs that know
// nothing of netfs.

// path is a name in the working directory as other programs open it.
func (p *prober) path(name string) string { return filepath.Join(p.Dir, p.dir, name) }

// exclusive tries O_EXCL, on which lock files of mbox programs rest.
func (p *prober) exclusive(context.Context) error {
	if p.Dir == "" {
		return nil
	}
	create := func() error {
		f, err := os.OpenFile(p.path("excl"), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return f.Close()
	}
	first := create()
	switch second := create(); {
	case first != nil:
		p.add(Finding{"exclusive creation", reason(first), Note, "H01", "lock files of other programs do not work here"})
	case second == nil:
		p.add(Finding{"exclusive creation", "a name was created twice", Note, "H02", "lock files of other programs do not work here; Bobbin does not use it"})
	default:
		p.ok("exclusive creation", "works")
	}
	return nil
}

// lockPatience is how long a lock is waited for before it counts as held.
const lockPatience = 2 * time.Second

// take tries a lock.
func (p *prober) take(ctx context.Context, l Lock) (release func() error, held bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	return l.Take(ctx, p.path("lock."+l.Name))
}

func (p *prober) locks(ctx context.Context) error {
	if p.Dir == "" {
		return nil
	}
	for _, l := range p.Locks {
		release, held, err := p.take(ctx, l)
		switch {
		case err != nil || held:
			result := "held by nobody, and not given"
			if err != nil {
				result = reason(err)
			}
			p.add(Finding{l.Name + " locks", result, Note, "H87", "Bobbin's own format needs none; programs that lock mbox files do"})
		default:
			p.ok(l.Name+" locks", "work on this host")
			if err := release(); err != nil {
				return err
			}
		}
	}
	return nil
}

// lowSpace is the number of bytes below which a share is nearly full.
const lowSpace = 64 << 20

// space tells what is left for the user who asks.
func (p *prober) space(context.Context) error {
	if p.Dir == "" {
		return nil
	}
	var s unix.Statfs_t
	for {
		err := unix.Statfs(p.Dir, &s)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return &os.PathError{Op: "statfs", Path: p.Dir, Err: err}
		}
	}
	free := s.Bavail * uint64(s.Bsize)
	f := Finding{Check: "space", Result: size(free) + " free"}
	if s.Files > 0 {
		f.Result += fmt.Sprintf(", room for %d files", s.Ffree)
	}
	if free < lowSpace || s.Files > 0 && s.Ffree < 1000 {
		f.Grade, f.Hazard, f.Advice = Note, "H111", "make room: deliveries are put off when the share is full"
	}
	p.add(f)
	return nil
}

func size(n uint64) string {
	for _, u := range []struct {
		bits uint
		name string
	}{{40, "TB"}, {30, "GB"}, {20, "MB"}} {
		if n>>u.bits > 0 {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(uint64(1)<<u.bits), u.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
