package commitlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// History applies the records of the oldest generations that are still whole,
// one after the other, and of all after them, to the end. It is for a view
// that has read nothing yet, of a machine that wants records and no state.
func (l *Log) History(ctx context.Context) error {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	names, err := l.FS.ReadDir(ctx, l.Dir)
	if err != nil {
		return err
	}
	gens := parseGenerations(names)
	if len(gens) == 0 {
		return &fs.PathError{Op: "read", Path: l.Dir + "/" + firstDir, Err: fs.ErrNotExist}
	}
	if err := l.start(ctx, l.oldest(ctx, gens)); err != nil {
		return err
	}
	err = l.follow(ctx)
	if errors.Is(err, errCollected) {
		err = fmt.Errorf("%w; try again", err)
	}
	return err
}

// oldest finds the generation from which on none is missing.
func (l *Log) oldest(ctx context.Context, gens []*generation) *generation {
	i := len(gens) - 1
	for ; i > 0; i-- {
		if _, err := l.readSlot(ctx, l.slotIn(gens[i-1], gens[i].first), gens[i].first); err != nil {
			break
		}
		if _, err := l.readBase(ctx, gens[i-1]); err != nil {
			break
		}
	}
	return gens[i]
}
