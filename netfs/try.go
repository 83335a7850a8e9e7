package netfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Try makes sure that the share does what the way needs: that a record of
// size bytes, 60 or more, is created under name, is read back, and is not
// replaced. name is one that nobody else uses; it is removed. The error is
// the share's own when it cannot do the way's operations at all.
func (w Way) Try(ctx context.Context, h *Host, f FS, name string, size int) (err error) {
	first, err := h.Token()
	if err != nil {
		return err
	}
	second, err := h.Token()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Remove(ctx, h, f, name)) }()
	first += strings.Repeat("x", size-len(first))
	if _, err := w.Put(ctx, h, f, name, first); err != nil {
		return err
	}
	got, err := w.Put(ctx, h, f, name, second)
	if !errors.Is(err, fs.ErrExist) || got != first {
		return fmt.Errorf("a name was created twice: %.40q, %v", got, err)
	}
	if w != ViaDir {
		return nil
	}
	return tryReplace(ctx, &put{way: w, h: h, f: f, name: name, data: second})
}

// tryReplace makes sure that the server itself refuses to replace a slot that
// is a directory: Put does not ask it to, if it sees the slot.
func tryReplace(ctx context.Context, p *put) error {
	before, err := getDir(ctx, p.f, p.name)
	if err != nil {
		return err
	}
	temp, err := tempName(p.h, p.name)
	if err != nil {
		return err
	}
	if err := p.fillDir(ctx, temp); err != nil {
		return err
	}
	rerr := p.f.Rename(ctx, temp, p.name)
	if after, err := getDir(ctx, p.f, p.name); rerr == nil || after != before {
		return fmt.Errorf("a directory with something in it was replaced: %.40q, %v", after, errors.Join(rerr, err))
	}
	discardDir(ctx, p.h, p.f, temp)
	return nil
}
