package netfs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// Kind names a sort of server operation, as an NFSv4.1 server would see it.
type Kind int

// The kinds of server operations.
const (
	OpOpen Kind = iota
	OpRead
	OpWrite
	OpClose
	OpGetattr
	OpReaddir
	OpLookup
	OpReadlink
	OpSymlink
	OpLink
	OpRename
	OpRemove
	OpMkdir
	OpSync
	kinds
)

var kindNames = [kinds]string{
	"open", "read", "write", "close", "getattr", "readdir", "lookup",
	"readlink", "symlink", "link", "rename", "remove", "mkdir", "sync",
}

// String returns the kind's lower-case name.
func (k Kind) String() string { return kindNames[k] }

const (
	// wsize is how much one WRITE carries; knfsd and the Linux client agree
	// on 1 MiB.
	wsize = 1 << 20
	// chunk is the unit in which everything beyond is counted.
	chunk = 128 << 10
)

// Ops counts server operations by kind. The zero value is ready; it may be
// used from several goroutines.
type Ops struct{ n [kinds]atomic.Int64 }

// Counts is a reading of [Ops].
type Counts [kinds]int64

func (o *Ops) add(k Kind, n int64) { o.n[k].Add(n) }

// Read returns the counts so far.
func (o *Ops) Read() Counts {
	var c Counts
	for k := range c {
		c[k] = o.n[k].Load()
	}
	return c
}

// Sub returns what was counted between the earlier reading b and c.
func (c Counts) Sub(b Counts) Counts {
	for k := range c {
		c[k] -= b[k]
	}
	return c
}

// Total returns the sum over all kinds.
func (c Counts) Total() int64 {
	var t int64
	for _, n := range c {
		t += n
	}
	return t
}

// String lists the kinds that were counted, for example "open 1 write 1".
func (c Counts) String() string {
	var w []string
	for k, n := range c {
		if n != 0 {
			w = append(w, Kind(k).String()+" "+strconv.FormatInt(n, 10))
		}
	}
	return strings.Join(w, " ")
}

// Counted returns f with its operations counted in ops. What counts as one
// operation is what an NFSv4.1 server with warm names would see: a name read
// as a link 2, or 0 right after a stat if it is one of the last few this client
// read or made and still the same, a directory's fsync 1 only where the profile says that it is
// sent, a file's writes 1 per sync up to 1 MiB and 1 more for each further
// 128 KiB, reads 1 per 128 KiB.
func Counted(f FS, ops *Ops, p Profile) FS { return &countedFS{FS: f, ops: ops, dirSync: p.DirSync} }

// workKey is the key of the Ops in a context.
type workKey struct{}

// WithOps returns a context for one piece of work: what it asks of a file system
// of [Counted] is counted in ops besides. A record that several pieces of work
// share counts for the one that writes it.
func WithOps(ctx context.Context, ops *Ops) context.Context {
	return context.WithValue(ctx, workKey{}, ops)
}

// counter counts for a file system and for a piece of work, which may be nil.
type counter struct{ all, work *Ops }

func (c counter) add(k Kind, n int64) {
	c.all.add(k, n)
	if c.work != nil {
		c.work.add(k, n)
	}
}

type countedFS struct {
	FS
	ops     *Ops
	dirSync bool
	links   linkCache
}

// linkCache is what a client's kernel remembers of links: the targets it read
// or made, which count as long as a stat finds the link to be the same.
type linkCache struct {
	mu    sync.Mutex
	known [8]struct{ name, target string }
	next  int
	stat  string // the name asked for last
}

func (c *linkCache) stated(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stat = name
}

// has remembers a target and tells whether it needed no request.
func (c *linkCache) has(name, target string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := c.stat == name
	c.stat = ""
	for i := range c.known {
		if k := &c.known[i]; k.name == name {
			same := k.target == target
			k.target = target
			return fresh && same
		}
	}
	c.known[c.next] = struct{ name, target string }{name, target}
	c.next = (c.next + 1) % len(c.known)
	return false
}

func (c *countedFS) counter(ctx context.Context) counter {
	work, _ := ctx.Value(workKey{}).(*Ops)
	return counter{c.ops, work}
}

func (c *countedFS) Create(ctx context.Context, name string, perm fs.FileMode) (File, error) {
	c.counter(ctx).add(OpOpen, 1)
	f, err := c.FS.Create(ctx, name, perm)
	return c.file(ctx, f, err)
}

func (c *countedFS) Open(ctx context.Context, name string) (File, error) {
	f, err := c.FS.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		c.counter(ctx).add(OpLookup, 1)
		return nil, err
	}
	c.counter(ctx).add(OpOpen, 1)
	return c.file(ctx, f, err)
}

func (c *countedFS) file(ctx context.Context, f File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return &countedFile{File: f, ops: c.counter(ctx)}, nil
}

func (c *countedFS) Stat(ctx context.Context, name string) (Info, error) {
	c.counter(ctx).add(OpGetattr, 1)
	i, err := c.FS.Stat(ctx, name)
	if err == nil && i.Mode&fs.ModeSymlink != 0 {
		c.links.stated(name)
	}
	return i, err
}

func (c *countedFS) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := c.FS.ReadDir(ctx, name)
	size := 0
	for _, n := range names {
		size += len(n) + 24
	}
	c.counter(ctx).add(OpReaddir, 1+int64(size/chunk))
	return names, err
}

func (c *countedFS) Readlink(ctx context.Context, name string) (string, error) {
	s, err := c.FS.Readlink(ctx, name)
	if err == nil && c.links.has(name, s) {
		return s, nil
	}
	c.counter(ctx).add(OpLookup, 1)
	if !errors.Is(err, fs.ErrNotExist) {
		c.counter(ctx).add(OpReadlink, 1)
	}
	return s, err
}

func (c *countedFS) Symlink(ctx context.Context, target, name string) error {
	c.counter(ctx).add(OpSymlink, 1)
	err := c.FS.Symlink(ctx, target, name)
	if err == nil {
		c.links.has(name, target)
	}
	return err
}

func (c *countedFS) Link(ctx context.Context, oldname, newname string) error {
	c.counter(ctx).add(OpLink, 1)
	return c.FS.Link(ctx, oldname, newname)
}

func (c *countedFS) Rename(ctx context.Context, oldname, newname string) error {
	c.counter(ctx).add(OpRename, 1)
	return c.FS.Rename(ctx, oldname, newname)
}

func (c *countedFS) Remove(ctx context.Context, name string) error {
	c.counter(ctx).add(OpRemove, 1)
	return c.FS.Remove(ctx, name)
}

func (c *countedFS) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	c.counter(ctx).add(OpMkdir, 1)
	return c.FS.Mkdir(ctx, name, perm)
}

func (c *countedFS) SyncDir(ctx context.Context, name string) error {
	if c.dirSync {
		c.counter(ctx).add(OpSync, 1)
	}
	return c.FS.SyncDir(ctx, name)
}

func (c *countedFS) Sub(ctx context.Context, name string) (FS, error) {
	c.counter(ctx).add(OpLookup, 1)
	f, err := c.FS.Sub(ctx, name)
	if err != nil {
		return nil, err
	}
	return &countedFS{FS: f, ops: c.ops, dirSync: c.dirSync}, nil
}

// countedFile counts reads when their 128 KiB is first touched and writes
// when they are sent: at the sync, or at the close for what was not synced.
type countedFile struct {
	File
	ops   counter
	read  int64
	dirty int64
}

func (f *countedFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	if n > 0 || (err != nil && err != io.EOF) {
		before := (f.read + chunk - 1) / chunk
		f.read += int64(n)
		f.ops.add(OpRead, max(0, (f.read+chunk-1)/chunk-before))
	}
	return n, err
}

// ReadAt counts what lies beyond everything read before; the rest is in the
// client's cache.
func (f *countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	if end := off + int64(n); end > f.read {
		f.ops.add(OpRead, (end-max(off, f.read)+chunk-1)/chunk)
		f.read = end
	}
	return n, err
}

func (f *countedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.dirty += int64(n)
	return n, err
}

func (f *countedFile) flush() {
	if f.dirty > 0 {
		f.ops.add(OpWrite, 1+max(0, (f.dirty-wsize+chunk-1)/chunk))
	}
	f.dirty = 0
}

func (f *countedFile) Sync() error {
	f.flush()
	return f.File.Sync()
}

func (f *countedFile) Close() error {
	f.flush()
	f.ops.add(OpClose, 1)
	return f.File.Close()
}
