package netfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"
)

// recordName is the record's file in a slot that is a directory.
const recordName = "r"

// The directory of a slot is reached through Sub and closed at once: an FS
// may hold what it walked through, so that a temporary directory would be
// reached under its old name after it became the slot (H28), SMB would refuse
// its rename (H14), and a log's slots would use up the descriptors. The cache
// of a client's kernel holds names too (H33): what may have become a slot is
// not emptied before the server has given it another name.

// getDir reads the record of a slot that is a directory.
//
// Problem: a client's cache may go on taking the slot's name for a directory
// that was moved aside to be removed (H33), and there is no record in that.
// What we do: look again after a forced stat of the directory above.
func getDir(ctx context.Context, f FS, name string) (string, error) {
	text, err := readDir(ctx, f, name)
	if errors.Is(err, ErrIrregular) {
		if _, ferr := Fresh(ctx, f, path.Dir(name)); ferr != nil {
			return "", ferr
		}
		return readDir(ctx, f, name)
	}
	return text, err
}

// readDir is getDir by what the client takes the name for.
func readDir(ctx context.Context, f FS, name string) (string, error) {
	d, err := f.Sub(ctx, name)
	if errors.Is(err, syscall.ESTALE) { // a handle on the way, which Stat lets go (H109)
		if _, err = f.Stat(ctx, name); err == nil {
			d, err = f.Sub(ctx, name)
		}
	}
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return "", fmt.Errorf("read %s: %w: not a directory", name, ErrIrregular)
	case err != nil:
		return "", err
	}
	b, err := ReadFile(ctx, d, recordName, fileMax)
	err = errors.Join(err, d.Close())
	none := errors.Is(err, fs.ErrNotExist)
	if none || errors.Is(err, syscall.ESTALE) {
		// Was it removed just now, or is it no slot?
		if _, serr := f.Stat(ctx, name); serr != nil {
			return "", serr
		}
	}
	if none {
		return "", fmt.Errorf("read %s: %w: a directory without a record", name, ErrIrregular)
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path.Join(name, recordName), err)
	}
	return string(b), nil
}

// writeDir makes a directory temp with the record in it, both durable but for
// the directory's own name. After an error nothing is left but perhaps litter.
//
// A rename would replace an empty directory. No slot ever is one, so what
// stands there was put there, or its record was lost: it is left for a person
// to look at.
func (p *put) writeDir(ctx context.Context, temp string) error {
	if _, err := getDir(ctx, p.f, p.name); err == nil {
		return &fs.PathError{Op: "put", Path: p.name, Err: fs.ErrExist}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return p.fillDir(ctx, temp)
}

// fillDir is writeDir without a look at the slot.
func (p *put) fillDir(ctx context.Context, temp string) error {
	// EEXIST for a random name is our own MKDIR, sent twice (H09).
	err := p.f.Mkdir(ctx, temp, 0o777)
	if err == nil || errors.Is(err, fs.ErrExist) {
		var d FS
		if d, err = p.f.Sub(ctx, temp); err == nil {
			if err = WriteFile(ctx, d, recordName, []byte(p.data)); err == nil {
				err = SyncDir(ctx, p.h, d, ".")
			}
			err = errors.Join(err, d.Close())
		}
		if errors.Is(err, fs.ErrNotExist) { // it was just made: only the slot's parent may be said to be missing
			err = &fs.PathError{Op: "open", Path: temp, Err: syscall.ESTALE}
		}
	}
	if err != nil {
		discardDir(ctx, p.h, p.f, temp)
	}
	return err
}

// renameDir gives the temporary directory the slot's name.
//
// Problem: RENAME has no memory. It is carried out late, or twice, and then
// moves what has its source's name at that time (H08, H12). What we do: the
// source is a random name that has the record inside from before the first
// RENAME to after the last, unless the slot is known to be taken, so that
// whatever comes late moves the record, nothing, or an empty directory onto
// one that is not. That the source is gone is no word that nothing was done.
func (p *put) renameDir(ctx context.Context) error {
	err := p.f.Rename(ctx, p.temp, p.name)
	if errors.Is(err, fs.ErrNotExist) {
		p.temp = ""
		err = uncertain("rename", p.name, err)
	}
	return err
}

// withdraw ends a put that was not done, as the server said in err, and returns
// what is to be said of it.
func (p *put) withdraw(ctx context.Context, err error) error {
	if p.way != ViaDir || p.temp == "" || ctx.Err() != nil {
		return err
	}
	aside, terr := tempName(p.h, p.name)
	if terr != nil {
		return err
	}
	switch rerr := p.f.Rename(ctx, p.temp, aside); {
	case errors.Is(rerr, fs.ErrNotExist): // it is the slot now: EACCES can be said of what was done (H108)
		return uncertain("put", p.name, err)
	case rerr == nil:
		discardDir(ctx, p.h, p.f, aside)
	}
	return err
}

// discardDir removes a temporary directory that is not and will not become a
// slot.
func discardDir(ctx context.Context, h *Host, f FS, temp string) {
	d, err := f.Sub(ctx, temp)
	if err != nil {
		return
	}
	if err := errors.Join(Unlink(ctx, h, d, recordName), d.Close()); err == nil {
		_ = Unlink(ctx, h, f, temp)
	}
}

// removeDir removes a slot that is a directory. It is moved aside first: no
// slot is ever seen without its record.
func removeDir(ctx context.Context, h *Host, f FS, name string) error {
	temp, err := tempName(h, name)
	if err != nil {
		return err
	}
	switch err := Move(ctx, h, f, name, temp); {
	case errors.Is(err, ErrVanished):
		return nil
	case err != nil:
		return err
	}
	discardDir(ctx, h, f, temp)
	return nil
}
