package netfs

import (
	"context"
	"io"
	"io/fs"
	"strings"
	"time"
)

// FS is one directory tree on a shared file system. One call is one operation
// that the simulator can interleave, fail or lose.
//
// Names are slash-separated, relative and clean ([ValidPath]); "." names the
// root. No call follows a symbolic link in the last component, and none
// leaves the root through one. Calls may be made from several goroutines.
//
// Errors wrap the errno in an [*fs.PathError] or [*os.LinkError], so
// errors.Is(err, fs.ErrNotExist) and friends work. After an error of a
// mutating call the caller knows nothing: it asks the server what happened
// (the functions of this package do).
type FS interface {
	// Create opens name for writing and creates it if it is missing (O_CREAT
	// without O_EXCL or O_TRUNC: callers use random names). A new file gets the
	// group of the tree's root and of perm what the root has, whatever the
	// umask; see [RootInfo].
	Create(ctx context.Context, name string, perm fs.FileMode) (File, error)
	// Open opens a regular file for reading; anything else is [ErrIrregular].
	Open(ctx context.Context, name string) (File, error)
	// Stat describes name itself (no link is followed), as the server answers
	// now: attribute and name caches are bypassed as far as the client's
	// kernel allows (H36).
	Stat(ctx context.Context, name string) (Info, error)
	// ReadDir lists the names in a directory, opened anew, sorted, without
	// "." and "..". A listing made during renames may miss or repeat names
	// (H48): presence is evidence, absence is not.
	ReadDir(ctx context.Context, name string) ([]string, error)
	// Readlink returns the target of a symbolic link.
	Readlink(ctx context.Context, name string) (string, error)
	// Symlink creates name as a symbolic link; it fails with fs.ErrExist
	// when name exists.
	Symlink(ctx context.Context, target, name string) error
	// Link makes newname a hard link to oldname; it fails with fs.ErrExist
	// when newname exists.
	Link(ctx context.Context, oldname, newname string) error
	// Rename moves oldname to newname.
	Rename(ctx context.Context, oldname, newname string) error
	// Remove removes a file, a symbolic link or an empty directory.
	Remove(ctx context.Context, name string) error
	// Mkdir creates one directory; it fails with fs.ErrExist when name exists.
	// Group and perm are as with Create.
	Mkdir(ctx context.Context, name string, perm fs.FileMode) error
	// SyncDir is fsync of a directory, with the errno as the kernel gave it.
	SyncDir(ctx context.Context, name string) error
	// Sub returns the tree below a directory, which becomes the new root:
	// no link leads out of it.
	Sub(ctx context.Context, name string) (FS, error)
	// Close releases what the tree holds open. Trees made by Sub are closed
	// on their own.
	Close() error
}

// File is an open regular file: either for reading (Open) or for writing
// (Create). It is used by one goroutine.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	// Size is the length as this client knows it; after Sync it is the
	// server's. It costs no request.
	Size() (int64, error)
	// Sync makes what was written durable. After an error the file is
	// worthless: its pages may be gone (H99).
	Sync() error
	// Close must be checked: network file systems report write errors here.
	Close() error
}

// Info is what Stat tells of one name.
type Info struct {
	// Mode has the type, the permission bits, and a directory's setgid and
	// sticky bits.
	Mode     fs.FileMode
	Size     int64
	Nlink    uint64
	UID, GID uint32
	// Mtime and Ctime are the server's, at its own grain. They are compared
	// only with each other, never with a local clock (H117).
	Mtime, Ctime time.Time
}

// Stamp is what changes, within the server's grain, when a directory changes.
// Stamps are compared with ==.
type Stamp struct {
	mtime, ctime int64
	size         int64
	nlink        uint64
}

// Stamp returns the comparable part of i.
func (i Info) Stamp() Stamp {
	return Stamp{i.Mtime.UnixNano(), i.Ctime.UnixNano(), i.Size, i.Nlink}
}

// ValidPath reports whether name can be given to an [FS]. It is fs.ValidPath
// without the demand for UTF-8: other programs' files have names in any bytes.
func ValidPath(name string) bool {
	if name == "." {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." || strings.IndexByte(part, 0) >= 0 {
			return false
		}
	}
	return true
}
