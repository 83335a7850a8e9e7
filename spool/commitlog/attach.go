package commitlog

import (
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/bobbinmail/bobbin/netfs"
)

// Attach writes an immutable file beside the bases, for a record that is to
// name it, and returns its name: the number of the next slot, a dot and id,
// which says what the content is. A record may name it as long as its
// generation began before that number: so the log tells, without clocks, when
// nobody can name it any more. After an error nothing is left but perhaps
// litter, which is swept.
func (l *Log) Attach(ctx context.Context, id string, content []byte) (string, error) {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return "", err
	}
	seq := l.at.seq + 1
	unlock()
	name := fileName(seq, id)
	err = netfs.WriteFile(ctx, l.FS, l.attached(name), content)
	if errors.Is(err, fs.ErrNotExist) {
		if err = netfs.MkdirAll(ctx, l.Host, l.FS, path.Join(l.Dir, "s")); err == nil {
			err = netfs.WriteFile(ctx, l.FS, l.attached(name), content)
		}
	}
	return name, err
}

// Detach removes an attached file that no record names and none will.
func (l *Log) Detach(ctx context.Context, name string) { l.unlink(ctx, []string{name}) }

// OpenAttached opens an attached file.
func (l *Log) OpenAttached(ctx context.Context, name string) (netfs.File, error) {
	return l.FS.Open(ctx, l.attached(name))
}

func (l *Log) attached(name string) string { return path.Join(l.Dir, "s", name) }

// AttachedNumber is the number in the name of an attached file; ok is false
// for what is no such name.
func AttachedNumber(name string) (number uint64, id string, ok bool) { return parseFileName(name) }

// named lists the attached files that the machine's state names.
func (l *Log) named() []string {
	if l.Named == nil {
		return nil
	}
	return l.Named()
}
