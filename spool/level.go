package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Level is the feature level this version writes and the highest it knows.
const Level = 2

// raisedPrefix and a number is the name of what raises a spool's level. The
// marker is never replaced, so a higher level is a name of its own beside it;
// what it contains is for people.
const raisedPrefix = "bobbin.level."

// raisedTo reads such a name.
func raisedTo(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, raisedPrefix)
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n > 0 && strconv.Itoa(n) == digits
}

// Level is the spool's feature level as it was when this host opened or
// upgraded it: operations up to this one may be written. Another host may have
// raised it since. That does no harm: what is written at the lower level is
// right at every higher one, and an operation that a reader does not know says
// so itself.
func (s *Spool) Level() int { return int(s.level.Load()) }

// readLevel finds out the spool's level. It costs one operation, and none
// where the marker says that there is nothing to raise. A name that the listing
// lacks (H48) leaves the lower level.
func (s *Spool) readLevel(ctx context.Context) error {
	level := s.Marker.Level
	if level < Level {
		names, err := s.Host.Share.ReadDir(ctx, s.at)
		if err != nil {
			return err
		}
		for _, name := range names {
			if n, ok := raisedTo(name); ok {
				level = max(level, n)
			}
		}
	}
	if level > Level {
		return tooNew(fmt.Sprintf("%s%d", raisedPrefix, level), level)
	}
	s.level.Store(int64(level))
	return nil
}

func tooNew(name string, level int) error {
	return fmt.Errorf("%s: %w: feature level %d, this version has %d", name, commitlog.ErrNewer, level, Level)
}

// Upgrade raises the feature level for all hosts and for good. Those that know
// it write it from the next time they open the spool; those that do not stop
// at what they cannot read and say which level they need. A level that the
// spool has already is no error. Several hosts may do it at once, and after an
// error it can be done again. A level that this version does not know is an
// error.
func (s *Spool) Upgrade(ctx context.Context, level int) error {
	switch {
	case level > Level:
		return fmt.Errorf("feature level %d: this version knows levels up to %d", level, Level)
	case level <= s.Level():
		return nil
	}
	token, err := s.Host.Token()
	if err != nil {
		return err
	}
	name := path.Join(s.at, raisedPrefix+strconv.Itoa(level))
	text := fmt.Sprintf("level %d of share %s, %s by %s", level, s.Marker.Share, token, s.Host.Tag)
	_, err = s.way.Put(ctx, s.Host, s.Host.Share, name, text)
	if errors.Is(err, fs.ErrExist) {
		// Somebody else was first. That he made it durable, nobody knows.
		err = netfs.SyncDir(ctx, s.Host, s.Host.Share, s.at)
	}
	if err != nil {
		return err
	}
	s.level.Store(int64(level))
	return nil
}

// admits refuses operations of a level that the spool does not have.
func (s *Spool) admits(ops []string) error {
	for _, op := range ops {
		word, _, _ := strings.Cut(op, ":")
		name, level, _ := strings.Cut(word, "@")
		n, _ := strconv.Atoi(strings.TrimSuffix(level, "?"))
		if err := s.needs(name, n); err != nil {
			return err
		}
	}
	return nil
}

// needs returns an error that wraps [ErrLevel] unless the spool's level is at
// least level; what names the thing that needs it.
func (s *Spool) needs(what string, level int) error {
	if have := s.Level(); have < level {
		return fmt.Errorf("%s: %w %d, and the spool has %d: run 'bobbin upgrade'", what, ErrLevel, level, have)
	}
	return nil
}
