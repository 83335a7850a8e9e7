package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// tell lets the second probe's finding be that of both.
func (p *pair) tell(ctx context.Context, f Finding) error {
	var other Finding
	if err := p.s.exchange(ctx, f, &other); err != nil {
		return err
	}
	if p.s.first() {
		f = other
	}
	p.add(f)
	return nil
}

// looks is how many names are looked up too early.
const looks = 20

// misses counts what the second host does not see in various ways.
type misses struct{ fresh, listed, settled int }

// lookups: the second host asks for a name, the first makes it, the second
// asks again as Bobbin does. It is the question on which the following of a
// log rests (H34, H35).
func (p *pair) lookups(ctx context.Context) error {
	room, err := p.room(ctx)
	if err != nil {
		return err
	}
	dir := p.at(room)
	var missed misses
	for n := range looks {
		leaf := strconv.Itoa(n)
		if !p.s.first() && p.sees(ctx, path.Join(dir, leaf)) {
			return fmt.Errorf("%s is there before it was made", leaf)
		}
		if err := p.s.barrier(ctx); err != nil {
			return err
		}
		if p.s.first() {
			if err := p.write(ctx, path.Join(room, leaf), "x"); err != nil {
				return err
			}
		}
		if err := p.s.barrier(ctx); err != nil {
			return err
		}
		if !p.s.first() {
			if err := p.lookAgain(ctx, dir, leaf, &missed); err != nil {
				return err
			}
		}
	}
	f := Finding{Check: "new names on the second host"}
	follow := p.h.Profile.NamesFollow
	switch {
	case missed.listed > 0:
		f = Finding{f.Check, fmt.Sprintf("%d of %d are missing in a new listing", missed.listed, looks), OneHost, "H49", "mail would be taken for removed"}
	case missed.settled > 0:
		f = Finding{f.Check, fmt.Sprintf("%d of %d are not found after %v", missed.settled, looks, p.h.Profile.Grain), OneHost, "H35", "this client's name cache cannot be made to ask the server; look for a mount option that lets it"}
	case missed.fresh > 0 && follow:
		f = Finding{f.Check, fmt.Sprintf("%d of %d are found late", missed.fresh, looks), OneHost, "H34", "Bobbin counts on this client to follow the server; tell its developers"}
	case missed.fresh > 0:
		f = Finding{f.Check, fmt.Sprintf("%d of %d are found %v later", missed.fresh, looks, p.h.Profile.Grain), Note, "H35", "Bobbin waits as long before it looks"}
	default:
		f.Result = "found at once"
	}
	return p.tell(ctx, f)
}

// sees looks a name up as the client's caches have it.
func (p *pair) sees(ctx context.Context, name string) bool {
	f, err := p.h.Share.Open(ctx, name)
	if err != nil {
		return false
	}
	_ = f.Close() // it was only read
	return true
}

// lookAgain looks up a name that the other host has made.
func (p *pair) lookAgain(ctx context.Context, dir, leaf string, m *misses) error {
	if _, err := netfs.Fresh(ctx, p.h.Share, dir); err != nil {
		return err
	}
	if p.sees(ctx, path.Join(dir, leaf)) {
		return nil
	}
	m.fresh++
	names, err := p.h.Share.ReadDir(ctx, dir)
	if err != nil {
		return err
	}
	if !slices.Contains(names, leaf) {
		m.listed++
	}
	if _, _, err := netfs.Settled(ctx, p.h, p.h.Share, dir); err != nil {
		return err
	}
	if !p.sees(ctx, path.Join(dir, leaf)) {
		m.settled++
	}
	return nil
}

// cacheTime bounds how long other programs' view is waited for.
const cacheTime = 70 * time.Second

// caches measures how long programs that ask for nothing special see what is
// old: a missing name, a file's size.
func (p *pair) caches(ctx context.Context) error {
	room, err := p.room(ctx)
	if err != nil || p.Dir == "" {
		return err
	}
	if p.s.first() {
		if err := os.WriteFile(p.path(room+"/size"), []byte("1"), 0o600); err != nil {
			return err
		}
	}
	if err := p.s.barrier(ctx); err != nil {
		return err
	}
	look := func() (name, size bool) {
		_, err := os.Lstat(p.path(room + "/name"))
		i, serr := os.Stat(p.path(room + "/size"))
		return err == nil, serr == nil && i.Size() == 2
	}
	if !p.s.first() {
		look()
	}
	if err := p.s.barrier(ctx); err != nil {
		return err
	}
	if p.s.first() {
		if err := p.change(room); err != nil {
			return err
		}
	}
	if err := p.s.barrier(ctx); err != nil {
		return err
	}
	f := Finding{Check: "caches of other programs"}
	if !p.s.first() {
		f, err = p.watch(ctx, f, look)
		if err != nil {
			return err
		}
	}
	// The wait may be longer than the other one's patience.
	p.s.patience += cacheTime
	defer func() { p.s.patience -= cacheTime }()
	return p.tell(ctx, f)
}

// change makes the name and lets the file grow.
func (p *pair) change(room string) error {
	f, err := os.OpenFile(p.path(room+"/size"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("2")
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.WriteFile(p.path(room+"/name"), nil, 0o600)
}

func (p *pair) watch(ctx context.Context, f Finding, look func() (name, size bool)) (Finding, error) {
	start := p.h.Boot()
	var names, sizes time.Duration
	for names == 0 || sizes == 0 {
		name, size := look()
		now := max(1, p.h.Boot()-start)
		if name && names == 0 {
			names = now
		}
		if size && sizes == 0 {
			sizes = now
		}
		if now > cacheTime {
			f.Result = fmt.Sprintf("old for more than %v", cacheTime)
			f.Grade, f.Hazard, f.Advice = Note, "H31", "Bobbin asks the server; other programs on the same mailboxes see changes late, or never"
			return f, nil
		}
		if err := p.h.Sleep(ctx, 2*pollPause); err != nil {
			return f, err
		}
	}
	f.Result = fmt.Sprintf("a new name is seen after %v, a new size after %v", names.Round(10*time.Millisecond), sizes.Round(10*time.Millisecond))
	if max(names, sizes) > 5*time.Second {
		f.Grade, f.Hazard, f.Advice = Note, "H31", "Bobbin asks the server; for other programs on the same mailboxes lower acregmax and acdirmax"
	}
	return f, nil
}

// heldLocks: the first host holds a lock, the second must not get it.
func (p *pair) heldLocks(ctx context.Context) error {
	if p.Dir == "" {
		return p.s.barrier(ctx)
	}
	for _, l := range p.Locks {
		f := Finding{Check: l.Name + " locks, two hosts", Result: "exclude each other"}
		var release func() error
		if p.s.first() {
			var err error
			if release, _, err = p.take(ctx, l); err != nil {
				release = nil
			}
		}
		var holds bool
		if err := p.s.exchange(ctx, release != nil, &holds); err != nil {
			return err
		}
		if !p.s.first() {
			unlock, held, err := p.take(ctx, l)
			switch {
			case !holds:
				f = Finding{f.Check, "the other host got none", Note, "H87", "Bobbin's own format needs none; programs that lock mbox files do"}
			case err != nil:
				f = Finding{f.Check, reason(err), Note, "H87", "Bobbin's own format needs none; programs that lock mbox files do"}
			case !held:
				f = Finding{f.Check, "both hosts got the lock", Note, "H87", "Bobbin's own format needs none; mbox files are not safe here"}
			}
			if unlock != nil {
				if err := unlock(); err != nil {
					return err
				}
			}
		}
		if err := p.tell(ctx, f); err != nil {
			return err
		}
		if release != nil {
			if err := release(); err != nil {
				return err
			}
		}
	}
	return nil
}
