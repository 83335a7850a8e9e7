package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Incoming is a message on its way into a mailbox: written, finished,
// published. It needs no lock and does not touch the log. On NFS it costs
// four operations: create, write, close, rename.
type Incoming struct {
	box  *Box
	file *netfs.NewFile
	temp string // in tmp/
	base string // without size
	name string // the base name under which it is published

	placed string // the base name that the mailbox has it under
}

// Receive begins a message. It ends with Publish or Abort.
func (b *Box) Receive(ctx context.Context) (*Incoming, error) {
	base, err := newBase(b.spool.Host)
	if err != nil {
		return nil, err
	}
	temp := "tmp/" + base
	f, err := netfs.CreateNew(ctx, b.fs, temp)
	if errors.Is(err, fs.ErrNotExist) {
		if err = b.prepare(ctx, maildirs); err == nil {
			f, err = netfs.CreateNew(ctx, b.fs, temp)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Incoming{box: b, file: f, temp: temp, base: base}, nil
}

// Write appends to the message.
func (in *Incoming) Write(p []byte) (int, error) { return in.file.Write(p) }

// Finish makes the message durable under its temporary name. wire is the
// number of CRs that its wire form has more than what was written; mixed says
// that its line ends were not of one kind.
func (in *Incoming) Finish(wire int64, mixed bool) error {
	if err := in.file.Commit(); err != nil {
		return err
	}
	size := in.file.Size()
	in.name = fmt.Sprintf("%s,S=%d,W=%d", in.base, size, size+wire)
	if mixed {
		in.name += ",M"
	}
	return nil
}

// Reread ends the writing and opens what was written. Only Abort is left to
// do afterwards.
func (in *Incoming) Reread(ctx context.Context) (netfs.File, error) {
	if err := in.file.Commit(); err != nil {
		return nil, err
	}
	return in.box.fs.Open(ctx, in.temp)
}

// Name is the base name under which Publish makes the message visible.
func (in *Incoming) Name() string { return in.name }

// Size is the length of what was written, in bytes.
func (in *Incoming) Size() int64 { return in.file.Size() }

// Placed is the base name under which the mailbox has the message, Name or that of
// an earlier try; "" if it has none as far as is known.
func (in *Incoming) Placed() string { return in.placed }

// Publish makes a finished message visible. After nil it is there for good.
func (in *Incoming) Publish(ctx context.Context) error {
	return in.publish(ctx, in.name)
}

func (in *Incoming) publish(ctx context.Context, name string) error {
	move := func() error {
		return netfs.Move(ctx, in.box.spool.Host, in.box.fs, in.temp, "new/"+name)
	}
	err := move()
	if errors.Is(err, fs.ErrNotExist) && !errors.Is(err, netfs.ErrUncertain) {
		// The message is there, so the directory is not.
		if err = in.box.prepare(ctx, maildirs); err == nil {
			err = move()
		}
	}
	if err == nil {
		return in.settled(ctx, name)
	}
	if !errors.Is(err, netfs.ErrVanished) {
		return err
	}
	// A reader may have moved it on already (H08).
	there, lerr := in.box.holds(ctx, name)
	if lerr == nil && there {
		return in.settled(ctx, name)
	}
	return fmt.Errorf("deliver %s: %w: %v", name, netfs.ErrUncertain, errors.Join(err, lerr))
}

// settled ends the publication under a name.
func (in *Incoming) settled(ctx context.Context, name string) error {
	err := in.stays(ctx, name)
	if err == nil {
		in.placed = name
	}
	return err
}

// holds looks for a base name among the message files.
func (b *Box) holds(ctx context.Context, base string) (bool, error) {
	_, name, err := b.find(ctx, base)
	return name != "", err
}

// find returns where a message file with that base name is; name is "" if
// there is none.
func (b *Box) find(ctx context.Context, base string) (dir, name string, err error) {
	for _, dir := range []string{"new", "cur", goneDir} {
		names, err := b.fs.ReadDir(ctx, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
		for _, n := range names {
			if have, _, _ := splitName(n); have == base {
				return dir, n, nil
			}
		}
	}
	return "", "", nil
}

// Abort drops the message; a late rename of it then finds nothing (P5).
func (in *Incoming) Abort(ctx context.Context) { in.file.Abort(ctx) }

// PublishOnce is Publish for a message that may come again: an earlier try
// with the same key, even from another host, is found and not repeated. It
// costs one put-if-absent more.
//
// The key's first user decides under which name the message is published;
// who comes later looks for that name first. ForgetOnce forgets the key.
func (in *Incoming) PublishOnce(ctx context.Context, key string) error {
	b := in.box
	mark := onceDir + "/" + key
	put := func() (string, error) {
		return b.spool.way.Put(ctx, b.spool.Host, b.fs, mark, in.name)
	}
	name, err := put()
	if errors.Is(err, fs.ErrNotExist) {
		if err = b.prepare(ctx, []string{onceDir}); err == nil {
			name, err = put()
		}
	}
	switch {
	case err == nil:
		return in.publish(ctx, in.name)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	return in.publishAs(ctx, name)
}

// publishAs publishes under a name that an earlier try chose, unless that try
// came so far.
func (in *Incoming) publishAs(ctx context.Context, name string) error {
	if base, _, ok := splitName(name); !ok || base != name || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%s: %w: %q is not a message's name", onceDir, commitlog.ErrCorrupt, name)
	}
	there, err := in.box.delivered(ctx, name)
	if err != nil {
		return err
	}
	if !there {
		return in.publish(ctx, name)
	}
	in.Abort(ctx)
	in.placed = name
	// That the earlier try made it durable, nobody knows.
	for _, dir := range maildirs[1:] {
		if err := netfs.SyncDir(ctx, in.box.spool.Host, in.box.fs, dir); err != nil {
			return err
		}
	}
	return nil
}

// PublishUnless is Publish, unless an earlier PublishOnce with that key has
// published the message. It costs one look-up more.
func (in *Incoming) PublishUnless(ctx context.Context, key string) error {
	name, err := in.box.spool.way.Get(ctx, in.box.fs, onceDir+"/"+key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return in.publish(ctx, in.name)
	case err != nil:
		return err
	}
	return in.publishAs(ctx, name)
}

// delivered tells whether a message of that name is or was in the mailbox:
// among the files, or in the log (a reader may have expunged it since).
func (b *Box) delivered(ctx context.Context, name string) (bool, error) {
	there, err := b.holds(ctx, name)
	if err != nil || there {
		return there, err
	}
	m, err := b.open(ctx)
	if err != nil {
		return false, err
	}
	return m.knows(name), nil
}

// ForgetOnce removes the trace that PublishOnce left under key.
func (b *Box) ForgetOnce(ctx context.Context, key string) error {
	return b.spool.way.Remove(ctx, b.spool.Host, b.fs, onceDir+"/"+key)
}

// First tells whether no message with that key was published in the mailbox
// within the last d, as its hosts' clocks tell, and leaves a trace of this one if so: it is
// published next. It costs one put-if-absent, and more only if there was one. One
// that is no longer in the mailbox, nor known to its log, counts for none.
func (in *Incoming) First(ctx context.Context, key string, d time.Duration) (bool, error) {
	b := in.box
	put := func() (string, error) {
		return b.spool.way.Put(ctx, b.spool.Host, b.fs, onceDir+"/"+key, in.name)
	}
	name, err := put()
	if errors.Is(err, fs.ErrNotExist) {
		if err = b.prepare(ctx, []string{onceDir}); err == nil {
			name, err = put()
		}
	}
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	at, ok := timeInName(name)
	if ok && b.spool.Host.Wall().Sub(at) < d {
		there, err := b.delivered(ctx, name)
		if there || err != nil {
			return false, err
		}
	}
	if err := b.ForgetOnce(ctx, key); err != nil {
		return false, err
	}
	if _, err := put(); err != nil && !errors.Is(err, fs.ErrExist) {
		return false, err
	}
	return true, nil
}

// Note leaves a trace under key, for [Box.Noted] on whatever host a delivery is
// tried again. It is swept after a week.
func (b *Box) Note(ctx context.Context, key string) error {
	put := func() error {
		_, err := b.spool.way.Put(ctx, b.spool.Host, b.fs, onceDir+"/"+key, "done")
		return err
	}
	err := put()
	if errors.Is(err, fs.ErrNotExist) {
		if err = b.prepare(ctx, []string{onceDir}); err == nil {
			err = put()
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Noted tells whether [Box.Note] left a trace under key.
func (b *Box) Noted(ctx context.Context, key string) (bool, error) {
	_, err := b.spool.way.Get(ctx, b.fs, onceDir+"/"+key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
