package netfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// NewFile is a file on its way to being durable. It is used by one goroutine
// and ends with Commit or Abort.
type NewFile struct {
	f    FS
	file File
	name string
	size int64
	err  error
}

// CreateNew opens a file under a name that nobody else uses.
func CreateNew(ctx context.Context, f FS, name string) (*NewFile, error) {
	file, err := f.Create(ctx, name, 0o666)
	if err != nil {
		return nil, err
	}
	return &NewFile{f: f, file: file, name: name}, nil
}

// Write appends p. A short write is continued (H100).
func (n *NewFile) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && n.err == nil; {
		k, err := n.file.Write(rest)
		if err == nil && k == 0 {
			err = io.ErrShortWrite
		}
		n.size += int64(k)
		n.err = err
		rest = rest[k:]
	}
	if n.err != nil {
		return 0, n.err
	}
	return len(p), nil
}

// Size is the number of bytes written so far.
func (n *NewFile) Size() int64 { return n.size }

// Commit makes the content durable and closes the file. Only after it
// returned nil may the file get a public name.
//
// Problem: write errors show at fsync or at close, once (H99). What we do:
// check write, fsync, size and close, in that order, and give the file up at
// the first error.
func (n *NewFile) Commit() error {
	if n.err == nil {
		n.err = n.file.Sync()
	}
	if n.err == nil {
		var size int64
		size, n.err = n.file.Size()
		if n.err == nil && size != n.size {
			n.err = fmt.Errorf("write %s: the server has %d bytes of %d: %w",
				n.name, size, n.size, io.ErrShortWrite)
		}
	}
	return errors.Join(n.err, n.file.Close())
}

// Abort closes and removes the file. Its errors are passed over: what is
// left under a temporary name is swept later.
func (n *NewFile) Abort(ctx context.Context) {
	_ = n.file.Close()
	_ = n.f.Remove(context.WithoutCancel(ctx), n.name)
}

// WriteFile makes a durable file of data under a name that nobody else uses.
// After an error nothing is left but perhaps litter.
func WriteFile(ctx context.Context, f FS, name string, data []byte) error {
	n, err := CreateNew(ctx, f, name)
	if err != nil {
		return err
	}
	_, err = n.Write(data)
	if err = errors.Join(err, n.Commit()); err != nil {
		_ = f.Remove(context.WithoutCancel(ctx), name)
	}
	return err
}

// ErrVanished means that a rename ended with neither name there: it was done
// and somebody moved the file on, or somebody removed it.
var ErrVanished = errors.New("neither name exists")

// Move renames oldname to newname, a name that is used only once, and makes
// the new name durable. It returns nil when newname is there; an error
// wrapping [ErrVanished] when neither name is; any other error when oldname is
// still in place, unless the error matches [ErrUncertain].
//
// Problem: a retransmitted RENAME finds the source gone and says ENOENT
// although it was done (H08). What we do: after any error look for the new
// name, then for the old one, as [afresh] says, and repeat while the old one is
// there.
func Move(ctx context.Context, h *Host, f FS, oldname, newname string) error {
	start := h.Boot()
	doubt := false
	for try := 0; ; try++ {
		err := f.Rename(ctx, oldname, newname)
		if err == nil {
			return moved(ctx, h, f, newname)
		}
		nerr, oerr := lookBoth(ctx, h, f, oldname, newname)
		if nerr == nil {
			return moved(ctx, h, f, newname)
		}
		absent := errors.Is(nerr, fs.ErrNotExist)
		if absent && errors.Is(oerr, fs.ErrNotExist) {
			// It may have been done late, between the two looks (H12).
			again := lookAgain(ctx, h, f, newname, try > 0 || !errors.Is(err, fs.ErrNotExist))
			switch {
			case again == nil:
				return moved(ctx, h, f, newname)
			case !errors.Is(again, fs.ErrNotExist):
				return uncertain("rename", oldname, err)
			}
			return fmt.Errorf("rename %s to %s: %w", oldname, newname, ErrVanished)
		}
		known := absent && oerr == nil
		doubt = doubt || !known || !(refused(err) ||
			errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission))
		final := ctx.Err() != nil || refused(err) || h.Boot()-start > patience || try >= 4 &&
			(errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist))
		switch {
		case final && !doubt:
			return err
		case final:
			return uncertain("rename", oldname, err)
		}
		if serr := h.retryPause(ctx, try); serr != nil {
			return uncertain("rename", oldname, err)
		}
	}
}

// MoveIfThere is Move for a file that others may be renaming to the same name.
// The error wraps [ErrVanished] as soon as the server says that oldname is not
// there: the rename may have been done, and nobody looks.
func MoveIfThere(ctx context.Context, h *Host, f FS, oldname, newname string) error {
	err := f.Rename(ctx, oldname, newname)
	switch {
	case err == nil:
		return moved(ctx, h, f, newname)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("rename %s to %s: %w", oldname, newname, ErrVanished)
	}
	return Move(ctx, h, f, oldname, newname)
}

// lookBoth looks for the new name of a rename and then for the old one.
func lookBoth(ctx context.Context, h *Host, f FS, oldname, newname string) (nerr, oerr error) {
	above := path.Dir(newname)
	nerr = afresh(ctx, h, f, above)
	if from := path.Dir(oldname); from != above {
		if oerr = afresh(ctx, h, f, from); errors.Is(oerr, fs.ErrNotExist) {
			oerr = nil // the name is missing with its directory
		}
	}
	if nerr == nil || errors.Is(nerr, fs.ErrNotExist) {
		_, nerr = f.Stat(ctx, newname)
	}
	if oerr == nil {
		_, oerr = f.Stat(ctx, oldname)
	}
	return nerr, oerr
}

// lookAgain looks once more for a name that was missing. If that look may have
// been too early, and names do not follow the directory, it waits first until
// the client has forgotten it (H34).
func lookAgain(ctx context.Context, h *Host, f FS, name string, early bool) error {
	var err error
	if early && !h.Profile.NamesFollow {
		_, _, err = Settled(ctx, h, f, path.Dir(name))
	} else {
		err = afresh(ctx, h, f, path.Dir(name))
	}
	if err == nil {
		_, err = f.Stat(ctx, name)
	}
	return err
}

func moved(ctx context.Context, h *Host, f FS, newname string) error {
	if err := SyncDir(ctx, h, f, path.Dir(newname)); err != nil {
		return uncertain("rename", newname, err)
	}
	return nil
}

// Unlink removes name; a name that is already gone is removed (H09).
func Unlink(ctx context.Context, h *Host, f FS, name string) error {
	for try := 0; ; try++ {
		err := f.Remove(ctx, name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if hopeless(ctx, err) || try >= 4 {
			return err
		}
		if serr := h.retryPause(ctx, try); serr != nil {
			return err
		}
	}
}

// MkdirAll creates dir and its parents below f's root, with the root's rights;
// directories that are there are fine (H09), anything else in their place is
// an error.
func MkdirAll(ctx context.Context, h *Host, f FS, dir string) error {
	return mkdirAll(ctx, h, f, dir, 0o777)
}

// MkdirPrivate is MkdirAll for directories that are their owner's alone.
func MkdirPrivate(ctx context.Context, h *Host, f FS, dir string) error {
	return mkdirAll(ctx, h, f, dir, 0o700)
}

func mkdirAll(ctx context.Context, h *Host, f FS, dir string, perm fs.FileMode) error {
	for try := 0; ; try++ {
		err := f.Mkdir(ctx, dir, perm)
		if err == nil {
			return SyncDir(ctx, h, f, path.Dir(dir))
		}
		if errors.Is(err, fs.ErrNotExist) && path.Dir(dir) != "." {
			if perr := mkdirAll(ctx, h, f, path.Dir(dir), perm); perr != nil {
				return perr
			}
		}
		if _, serr := Fresh(ctx, f, dir); serr == nil {
			return SyncDir(ctx, h, f, path.Dir(dir)) // who made it may not have
		} else if errors.Is(err, fs.ErrExist) && !errors.Is(serr, fs.ErrNotExist) {
			err = serr
		}
		if refused(err) || ctx.Err() != nil || try >= 8 {
			return err
		}
		if serr := h.retryPause(ctx, try); serr != nil {
			return err
		}
	}
}
