package twofuse_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/twofuse"
)

// change is something that host A does, and how to see on the share itself
// whether it is done.
type change struct {
	name string
	ops  []twofuse.Op // the requests of it that may fail
	do   func(ctx context.Context, h *netfs.Host, n string) error
	seen func(dir, n string) bool
	// litter: what is there after an error does not count
	litter bool
}

func holds(name, text string) bool {
	b, err := os.ReadFile(name)
	return string(b) == text && err == nil
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

var changes = []change{
	{"put by symlink", []twofuse.Op{twofuse.Lookup, twofuse.Symlink, twofuse.Getattr, twofuse.Fsyncdir}, put(netfs.ViaSymlink),
		func(dir, n string) bool { s, err := os.Readlink(dir + "/" + n); return s == "record "+n && err == nil }, false},
	{"put by link", []twofuse.Op{twofuse.Lookup, twofuse.Create, twofuse.Write, twofuse.Fsync, twofuse.Flush, twofuse.Link, twofuse.Unlink}, put(netfs.ViaLink),
		func(dir, n string) bool { return holds(dir+"/"+n, "record "+n) }, false},
	{"put by directory", []twofuse.Op{twofuse.Lookup, twofuse.Mkdir, twofuse.Create, twofuse.Write, twofuse.Fsync, twofuse.Rename}, put(netfs.ViaDir),
		func(dir, n string) bool { return holds(dir+"/"+n+"/r", "record "+n) }, false},
	{"write a file", []twofuse.Op{twofuse.Lookup, twofuse.Create, twofuse.Write, twofuse.Fsync, twofuse.Getattr, twofuse.Flush},
		func(ctx context.Context, h *netfs.Host, n string) error {
			return netfs.WriteFile(ctx, h.Share, n, []byte("text"))
		},
		func(dir, n string) bool { return holds(dir+"/"+n, "text") }, true},
	{"move", []twofuse.Op{twofuse.Lookup, twofuse.Rename, twofuse.Getattr, twofuse.Fsyncdir},
		func(ctx context.Context, h *netfs.Host, n string) error {
			return netfs.Move(ctx, h, h.Share, n+".old", n)
		},
		func(dir, n string) bool { return exists(dir+"/"+n) && !exists(dir+"/"+n+".old") }, false},
	{"unlink", []twofuse.Op{twofuse.Lookup, twofuse.Unlink},
		func(ctx context.Context, h *netfs.Host, n string) error {
			return netfs.Unlink(ctx, h, h.Share, n+".old")
		},
		func(dir, n string) bool { return !exists(dir + "/" + n + ".old") }, false},
	{"make directories", []twofuse.Op{twofuse.Lookup, twofuse.Mkdir, twofuse.Getattr, twofuse.Fsyncdir},
		func(ctx context.Context, h *netfs.Host, n string) error {
			return netfs.MkdirAll(ctx, h, h.Share, n+"/sub")
		},
		func(dir, n string) bool { return exists(dir + "/" + n + "/sub") }, false},
}

func put(way netfs.Way) func(ctx context.Context, h *netfs.Host, n string) error {
	return func(ctx context.Context, h *netfs.Host, n string) error {
		_, err := way.Put(ctx, h, h.Share, n, "record "+n)
		return err
	}
}

// lies are the errors with which a request of a kind may fail: those of a
// broken connection whether it is done or not, and what the server says to a
// request that is repeated because its reply was lost (H05, H08, H09).
func lies(op twofuse.Op) (list []twofuse.Fault) {
	errnos := []syscall.Errno{syscall.EIO}
	if full() {
		errnos = append(errnos, syscall.ESTALE, syscall.EINTR, syscall.ETIMEDOUT)
	}
	for _, errno := range errnos {
		list = append(list, twofuse.Fault{Err: errno}, twofuse.Fault{Err: errno, Done: true})
	}
	switch op {
	case twofuse.Symlink, twofuse.Link, twofuse.Mkdir:
		list = append(list, twofuse.Fault{Err: syscall.EEXIST, Done: true})
	case twofuse.Rename, twofuse.Unlink:
		list = append(list, twofuse.Fault{Err: syscall.ENOENT, Done: true})
	}
	return append(list, twofuse.Fault{Err: syscall.EACCES}) // H60
}

// twice lets the first two requests of a kind fail.
func twice(op twofuse.Op, fault twofuse.Fault, hits *atomic.Int64) twofuse.Injector {
	return func(is twofuse.Op) twofuse.Fault {
		if is != op || hits.Add(1) > 2 {
			return twofuse.Fault{}
		}
		return fault
	}
}

// Whatever request of a change fails, done or not, while the kernel believes
// for ever what it was told before: what the caller is told is true.
func TestFaults(t *testing.T) {
	p := newPair(t, twofuse.Options{Attributes: forever, Names: forever})
	n := 0
	for _, c := range changes {
		sure := 0
		for _, op := range c.ops {
			var hits atomic.Int64
			for _, fault := range lies(op) {
				n++
				what := fmt.Sprintf("%s, %s fails with %+v", c.name, op, fault)
				if c.fails(t, p, fmt.Sprint("n", n), twice(op, fault, &hits), what) == nil {
					sure++
				}
			}
			if hits.Load() == 0 {
				t.Errorf("%s asks for no %s: nothing was tried", c.name, op)
			}
		}
		if sure == 0 {
			t.Errorf("%s: never done", c.name)
		}
	}
}

// fails makes the change while requests of a kind fail, and checks what is
// said of it.
func (c change) fails(t *testing.T, p *pair, name string, inject twofuse.Injector, what string) error {
	t.Helper()
	backing := p.mounts[0].Backing()
	must(t, os.WriteFile(filepath.Join(backing, name+".old"), nil, 0o600))
	p.mounts[0].Inject(inject)
	err := c.do(t.Context(), p.a, name)
	p.mounts[0].Inject(nil)
	seen := c.seen(backing, name)
	switch {
	case err == nil && !seen:
		t.Errorf("%s: reported done and is not", what)
	case errors.Is(err, netfs.ErrUncertain), errors.Is(err, netfs.ErrVanished), c.litter:
	case err != nil && seen:
		t.Errorf("%s: %v, and yet it is done", what, err)
	}
	return err
}

// What another host was first with is never taken for one's own, whatever
// fails while it is read.
func TestTakenFaults(t *testing.T) {
	p := newPair(t, twofuse.Options{Attributes: forever, Names: forever})
	n := 0
	for way, ops := range map[netfs.Way][]twofuse.Op{
		netfs.ViaSymlink: {twofuse.Lookup, twofuse.Readlink},
		netfs.ViaLink:    {twofuse.Lookup, twofuse.Open, twofuse.Read},
		netfs.ViaDir:     {twofuse.Lookup, twofuse.Open, twofuse.Read},
	} {
		told := 0
		for _, op := range ops {
			var hits atomic.Int64
			for _, fault := range lies(op) {
				n++
				name := fmt.Sprint("n", n)
				p.absentHere(t, name)
				_, err := way.Put(t.Context(), p.b, p.b.Share, name, "theirs")
				must(t, err)
				p.mounts[0].Inject(twice(op, fault, &hits))
				got, err := way.Put(t.Context(), p.a, p.a.Share, name, "ours")
				p.mounts[0].Inject(nil)
				switch {
				case errors.Is(err, fs.ErrExist) && got == "theirs":
					told++
				case err == nil, errors.Is(err, fs.ErrExist):
					t.Errorf("by %s, %s fails with %+v: %q, %v", way, op, fault, got, err)
				}
			}
			if hits.Load() == 0 {
				t.Errorf("by %s asks for no %s: nothing was tried", way, op)
			}
		}
		if told == 0 {
			t.Errorf("by %s: never told who was first", way)
		}
	}
}

// absentHere lets host A's kernel learn that there is no such name.
func (p *pair) absentHere(t *testing.T, name string) {
	t.Helper()
	if _, err := p.a.Share.Stat(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}
