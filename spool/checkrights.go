package spool

import (
	"context"
	"io/fs"

	"github.com/bobbinmail/bobbin/netfs"
)

// modeless are the kinds of file systems that keep no modes, or invent them:
// their own rules hold.
var modeless = map[string]bool{"smb": true, "afs": true, "9p": true, "fuse": true, "unknown": true}

// rights compares group and mode of what lies in a mailbox with those of the
// mailbox's directory (spool-format.md §8). What is too wide matters to those
// whom the directory lets in. What is too narrow does where others write, too:
// programs make private files in a Maildir whose root all may pass.
func (c *checker) rights(where string, i netfs.Info) {
	root, ok := netfs.RootInfo(c.box.fs)
	if !ok || modeless[c.box.spool.Host.Profile.Kind] || i.Mode&fs.ModeSymlink != 0 {
		return
	}
	gives := root.Mode.Perm()
	if !i.Mode.IsDir() {
		gives &= 0o666
	}
	let := fs.FileMode(0) // bits of those who get through the directory
	for _, class := range []fs.FileMode{0o070, 0o007} {
		if root.Mode&class&0o011 != 0 {
			let |= class
		}
	}
	is, shared := i.Mode.Perm()&let, root.Mode.Perm()&let&0o022
	switch gives &= let; {
	case shared&0o020 != 0 && i.GID != root.GID:
		c.note("rights", where, "its group is %d, and the mailbox's is %d", i.GID, root.GID)
	case is&^gives != 0, shared != 0 && is != gives:
		c.note("rights", where, "its mode is %04o, and the mailbox's is %04o", i.Mode.Perm(), root.Mode.Perm())
	}
}

// private looks whether a directory of the spool lets in whom it must not:
// nobody but the owner gets at password hashes, or may list or change users.
func (c *checker) private(ctx context.Context, s *Spool, dir string, forbidden fs.FileMode) error {
	i, err := s.Host.Share.Stat(ctx, dir)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	root, ok := netfs.RootInfo(s.Host.Share)
	if !ok || modeless[s.Host.Profile.Kind] || !i.Mode.IsDir() {
		return nil
	}
	switch is := i.Mode.Perm(); {
	case is&forbidden != 0:
		c.wrong("rights", dir, "its mode is %04o, which lets in others than the owner: chmod %04o", is, is&^forbidden)
	case i.UID != root.UID:
		c.wrong("rights", dir, "it belongs to uid %d, and the spool to %d", i.UID, root.UID)
	}
	return nil
}
