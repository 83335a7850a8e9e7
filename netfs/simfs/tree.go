package simfs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
)

// laneKey is the context key of a goroutine's identity.
type laneKey struct{}

// Lane returns a context whose calls have an identity of their own in the
// schedule. Goroutines of one process that may ask for the same thing at the
// same time should be given one each, or the run is not repeatable.
func Lane(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, laneKey{}, laneOf(ctx)+"/"+name)
}

func laneOf(ctx context.Context) string {
	lane, _ := ctx.Value(laneKey{}).(string)
	return lane
}

// tree is a client's FS. What is held in dirs is looked at by calls under way
// alone.
type tree struct {
	p      *proc
	num    int // of the process's trees and files, in the order of opening
	path   string
	root   *inode
	dirs   map[string]*inode // nil unless directories are held
	stale  bool              // the server does not know root's handle
	closed atomic.Bool
}

func (p *proc) newTree(root *inode, name string) *tree {
	p.opened++
	t := &tree{p: p, num: p.opened, root: root, path: name}
	if p.sim.opt.HoldDirs {
		t.dirs = map[string]*inode{}
	} else { // as Explore does
		p.trees = append(slices.DeleteFunc(p.trees, func(t *tree) bool { return t.closed.Load() }), t)
	}
	return t
}

// dir finds a directory, held ones first.
func (t *tree) dir(name string) (*inode, error) {
	if t.stale {
		return nil, syscall.ESTALE
	}
	if t.dirs == nil {
		return t.p.walk(t.root, name)
	}
	if name == "." {
		return t.root, nil
	}
	if d := t.dirs[name]; d != nil {
		return d, nil
	}
	parent, leaf := split(name)
	d, err := t.dir(parent)
	if err == nil {
		if d, err = t.p.child(d, leaf); err == nil {
			t.dirs[name] = d
		}
	}
	return d, err
}

// child looks for a directory's sub-directory.
func (p *proc) child(dir *inode, name string) (*inode, error) {
	if p.client == nil {
		return dir.child(name)
	}
	n, err := p.client.reach(dir, name)
	if err == nil && !n.isDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// walk goes down from a directory; a symbolic link on the way is no directory.
func (p *proc) walk(dir *inode, name string) (_ *inode, err error) {
	for name != "." {
		leaf, rest, more := strings.Cut(name, "/")
		if dir, err = p.child(dir, leaf); err != nil || !more {
			return dir, err
		}
		name = rest
	}
	return dir, nil
}

// held finds a directory; if the one that is held was removed, anew.
func (t *tree) held(name string) (*inode, error) {
	d, err := t.dir(name)
	if err == nil && d.nlink == 0 {
		t.forget(name)
		d, err = t.dir(name)
	}
	if err == nil && d.nlink == 0 {
		err = syscall.ESTALE
	}
	return d, err
}

// at finds the directory that holds name.
func (t *tree) at(name string) (*inode, string, error) {
	dir, leaf := split(name)
	d, err := t.held(dir)
	return d, leaf, err
}

// known returns the held directory called name if the server still has it.
func (t *tree) known(name string) *inode {
	d := t.dirs[name]
	if d != nil && d.nlink == 0 {
		t.forget(name)
		return nil
	}
	return d
}

// staleDirs perhaps makes the server forget the handles of c's tree. The real
// host walks anew to what lies below, by whatever directories are there now;
// the root of a share is the kernel's to find.
func (s *Sim) staleDirs(c *call) {
	t := c.tree
	if t == nil || t.dirs == nil || !s.spare() || !s.chance(s.faults.StaleDir) {
		return
	}
	s.faulty++
	clear(t.dirs)
	t.stale = t.path != "." && s.rng.IntN(2) == 0
	s.record(c, "handles of directories are stale")
}

// forget drops what is held at and above name.
func (t *tree) forget(name string) {
	for ; name != "."; name, _ = split(name) {
		delete(t.dirs, name)
	}
}

// forgetTree drops what is held at and below name.
func (t *tree) forgetTree(name string) {
	for n := range t.dirs {
		if n == name || strings.HasPrefix(n, name+"/") {
			delete(t.dirs, n)
		}
	}
}

// sub returns a new tree at the directory d that was found under name.
func (t *tree) sub(name string, d *inode) *tree {
	return t.p.newTree(d, path.Join(t.path, name))
}

// call sends a call through the gate.
func (t *tree) call(ctx context.Context, c call) (result, error) {
	var err error
	switch {
	case t.closed.Load():
		err = fs.ErrClosed
	case !netfs.ValidPath(c.name):
		err = fs.ErrInvalid
	default:
		c.p, c.tree, c.lane = t.p, t, laneOf(ctx)
		r := t.p.sim.do(c)
		if r.err == nil {
			return r, nil
		}
		err = r.err
	}
	return result{}, pathError(c.op, c.name, err)
}

func pathError(o op, name string, err error) error {
	if err == nil || err == ErrDead {
		return err
	}
	return &fs.PathError{Op: o.String(), Path: name, Err: err}
}

func (t *tree) Create(ctx context.Context, name string, perm fs.FileMode) (netfs.File, error) {
	r, err := t.call(ctx, call{op: opCreate, name: name, perm: perm})
	if err != nil {
		return nil, err
	}
	return r.file, nil
}

func (t *tree) Open(ctx context.Context, name string) (netfs.File, error) {
	r, err := t.call(ctx, call{op: opOpen, name: name})
	if err != nil {
		return nil, err
	}
	return r.file, nil
}

func (t *tree) Stat(ctx context.Context, name string) (netfs.Info, error) {
	r, err := t.call(ctx, call{op: opStat, name: name})
	return r.info, err
}

func (t *tree) ReadDir(ctx context.Context, name string) ([]string, error) {
	r, err := t.call(ctx, call{op: opReadDir, name: name})
	return r.names, err
}

func (t *tree) Readlink(ctx context.Context, name string) (string, error) {
	r, err := t.call(ctx, call{op: opReadlink, name: name})
	return r.str, err
}

func (t *tree) Symlink(ctx context.Context, target, name string) error {
	_, err := t.call(ctx, call{op: opSymlink, name: name, arg: target})
	return err
}

// two sends a call with two names.
func (t *tree) two(ctx context.Context, o op, oldname, newname string) error {
	err := fs.ErrInvalid
	if netfs.ValidPath(newname) {
		_, err = t.call(ctx, call{op: o, name: oldname, arg: newname})
	}
	if err == nil || err == ErrDead {
		return err
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return &os.LinkError{Op: o.String(), Old: oldname, New: newname, Err: err}
}

func (t *tree) Link(ctx context.Context, oldname, newname string) error {
	return t.two(ctx, opLink, oldname, newname)
}

func (t *tree) Rename(ctx context.Context, oldname, newname string) error {
	return t.two(ctx, opRename, oldname, newname)
}

func (t *tree) Remove(ctx context.Context, name string) error {
	_, err := t.call(ctx, call{op: opRemove, name: name})
	return err
}

func (t *tree) Mkdir(ctx context.Context, name string, perm fs.FileMode) error {
	_, err := t.call(ctx, call{op: opMkdir, name: name, perm: perm})
	return err
}

func (t *tree) SyncDir(ctx context.Context, name string) error {
	_, err := t.call(ctx, call{op: opSyncDir, name: name})
	return err
}

func (t *tree) Sub(ctx context.Context, name string) (netfs.FS, error) {
	r, err := t.call(ctx, call{op: opSub, name: name})
	if err != nil {
		return nil, err
	}
	return r.tree, nil
}

// Close costs no request and passes no gate.
func (t *tree) Close() error {
	t.closed.Store(true)
	return nil
}
