package netfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

func newHost(t testing.TB) (*netfs.Host, string) {
	t.Helper()
	dir := t.TempDir()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	return h, dir
}

// faultFS makes one kind of call fail a few times, before or after it is done.
type faultFS struct {
	netfs.FS
	op    string
	times int
	after bool
	err   error
}

func (f *faultFS) fault(op string, call func() error) error {
	if f.op != op || f.times == 0 {
		return call()
	}
	f.times--
	if f.after {
		if err := call(); err != nil {
			return err
		}
	}
	return f.err
}

func (f *faultFS) Symlink(ctx context.Context, target, name string) error {
	return f.fault("put", func() error { return f.FS.Symlink(ctx, target, name) })
}

func (f *faultFS) Link(ctx context.Context, o, n string) error {
	return f.fault("put", func() error { return f.FS.Link(ctx, o, n) })
}

func (f *faultFS) Rename(ctx context.Context, o, n string) error {
	return f.fault("rename", func() error { return f.FS.Rename(ctx, o, n) })
}

func (f *faultFS) Remove(ctx context.Context, n string) error {
	return f.fault("remove", func() error { return f.FS.Remove(ctx, n) })
}

func (f *faultFS) Mkdir(ctx context.Context, n string, p fs.FileMode) error {
	return f.fault("mkdir", func() error { return f.FS.Mkdir(ctx, n, p) })
}

// Every error that a mutating call can show, done and not done, is resolved.
func TestResolve(t *testing.T) {
	errnos := []error{syscall.EIO, syscall.EEXIST, syscall.ENOENT, syscall.EINTR, syscall.ESTALE, syscall.EACCES, syscall.ETIMEDOUT}
	for _, after := range []bool{false, true} {
		for _, e := range errnos {
			t.Run(e.Error()+map[bool]string{true: " after", false: " before"}[after], func(t *testing.T) {
				h, _ := newHost(t)
				f := &faultFS{FS: h.Share, times: 2, after: after, err: &fs.PathError{Op: "x", Err: e}}
				for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink} {
					f.op, f.times = "put", 2
					name := "slot." + way.String()
					_, err := way.Put(t.Context(), h, f, name, "data")
					if e == syscall.ENOENT && !after {
						if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, netfs.ErrUncertain) {
							t.Errorf("put without a parent: %v", err)
						}
						continue
					}
					if err != nil {
						t.Errorf("put by %s: %v", way, err)
					}
					if got, err := way.Get(t.Context(), f, name); got != "data" || err != nil {
						t.Errorf("get by %s: %q, %v", way, got, err)
					}
				}
				if err := netfs.WriteFile(t.Context(), h.Share, "a", []byte("text")); err != nil {
					t.Fatal(err)
				}
				f.op, f.times = "rename", 2
				if err := netfs.Move(t.Context(), h, f, "a", "b"); err != nil {
					t.Errorf("move: %v", err)
				}
				f.op, f.times = "mkdir", 2
				if err := netfs.MkdirAll(t.Context(), h, f, "c/d"); err != nil {
					t.Errorf("mkdir: %v", err)
				}
				f.op, f.times = "remove", 2
				if err := netfs.Unlink(t.Context(), h, f, "b"); err != nil {
					t.Errorf("unlink: %v", err)
				}
			})
		}
	}
}

func TestPutForeign(t *testing.T) {
	h, _ := newHost(t)
	for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink} {
		name := "slot." + way.String()
		if _, err := way.Put(t.Context(), h, h.Share, name, "theirs"); err != nil {
			t.Fatal(err)
		}
		got, err := way.Put(t.Context(), h, h.Share, name, "mine")
		if got != "theirs" || !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %q, %v; want theirs and fs.ErrExist", way, got, err)
		}
	}
	names, err := h.Share.ReadDir(t.Context(), ".")
	if err != nil || len(names) != 2 {
		t.Errorf("left: %q, %v", names, err)
	}
}

func TestPutFullDisk(t *testing.T) {
	h, _ := newHost(t)
	f := &faultFS{FS: h.Share, op: "put", times: 1, err: syscall.ENOSPC}
	if _, err := netfs.ViaSymlink.Put(t.Context(), h, f, "slot", "data"); !errors.Is(err, syscall.ENOSPC) || errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("full disk: %v, want ENOSPC and nothing done", err)
	}
	f = &faultFS{FS: h.Share, op: "put", times: 1 << 30, err: syscall.EIO}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := netfs.ViaSymlink.Put(ctx, h, f, "slot", "data"); !errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("a server that never answers: %v, want ErrUncertain", err)
	}
}

// deafFS says EEXIST to every put and cannot be read.
type deafFS struct{ netfs.FS }

func (deafFS) Symlink(context.Context, string, string) error { return syscall.EEXIST }

func (deafFS) Readlink(context.Context, string) (string, error) { return "", syscall.EIO }

// "It exists, and nobody can tell what it is" is not "somebody was first".
func TestPutUnreadable(t *testing.T) {
	h, _ := newHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := netfs.ViaSymlink.Put(ctx, h, deafFS{h.Share}, "slot", "data")
	if !errors.Is(err, netfs.ErrUncertain) || errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrUncertain and not fs.ErrExist", err)
	}
}

// blindFS says EEXIST to every put and ENOENT to every look.
type blindFS struct{ netfs.FS }

func (blindFS) Symlink(context.Context, string, string) error { return syscall.EEXIST }

func (blindFS) Readlink(context.Context, string) (string, error) { return "", syscall.ENOENT }

// A name that exists and cannot be seen may be our own.
func TestPutUnseen(t *testing.T) {
	h, _ := newHost(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := netfs.ViaSymlink.Put(ctx, h, blindFS{h.Share}, "slot", "data")
	if !errors.Is(err, netfs.ErrUncertain) || errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want ErrUncertain and not fs.ErrExist", err)
	}
}

func TestMoveVanished(t *testing.T) {
	h, _ := newHost(t)
	if err := netfs.Move(t.Context(), h, h.Share, "a", "b"); !errors.Is(err, netfs.ErrVanished) {
		t.Errorf("got %v, want ErrVanished", err)
	}
}

// No name leads out of the tree, and nothing but a regular file is opened.
func TestIrregular(t *testing.T) {
	h, dir := newHost(t)
	outside := t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "link")),
		os.Symlink("inside", filepath.Join(dir, "near")),
		os.Symlink(outside, filepath.Join(dir, "out")),
		os.Symlink("sub", filepath.Join(dir, "in")),
		os.Mkdir(filepath.Join(dir, "sub"), 0o700),
		os.WriteFile(filepath.Join(dir, "sub/f"), []byte("x"), 0o600),
		syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"link", "near", "fifo", "sub"} {
		if _, err := h.Share.Open(t.Context(), name); !errors.Is(err, netfs.ErrIrregular) {
			t.Errorf("open %s: %v, want ErrIrregular", name, err)
		}
		if _, err := h.Share.Create(t.Context(), name, 0o600); !errors.Is(err, netfs.ErrIrregular) {
			t.Errorf("create %s: %v, want ErrIrregular", name, err)
		}
	}
	for _, name := range []string{"out/secret", "in/f", "../x", "/etc/passwd", "sub/../link"} {
		if f, err := h.Share.Open(t.Context(), name); err == nil {
			f.Close()
			t.Errorf("opened %s", name)
		}
	}
	for _, name := range []string{"out", "in"} {
		if f, err := h.Share.Sub(t.Context(), name); err == nil {
			f.Close()
			t.Errorf("entered %s", name)
		}
	}
	sub, err := h.Share.Sub(t.Context(), "sub")
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if b, err := netfs.ReadFile(t.Context(), sub, "f", 10); string(b) != "x" || err != nil {
		t.Errorf("sub/f: %q, %v", b, err)
	}
	i, err := h.Share.Stat(t.Context(), "link")
	if err != nil || i.Mode.Type() != fs.ModeSymlink {
		t.Errorf("stat of a link: %v, %v", i.Mode, err)
	}
}

// A directory that was replaced is not written through its old handle.
func TestReplacedDirectory(t *testing.T) {
	h, dir := newHost(t)
	if err := netfs.MkdirAll(t.Context(), h, h.Share, "d"); err != nil {
		t.Fatal(err)
	}
	if err := netfs.WriteFile(t.Context(), h.Share, "d/1", nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.RemoveAll(filepath.Join(dir, "d")), os.Mkdir(filepath.Join(dir, "d"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if _, err := netfs.Fresh(t.Context(), h.Share, "d"); err != nil {
		t.Fatal(err)
	}
	if err := netfs.WriteFile(t.Context(), h.Share, "d/2", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "d/2")); err != nil {
		t.Error(err)
	}
}

func TestWatch(t *testing.T) {
	h, _ := newHost(t)
	h.Profile.Grain = 5 * time.Millisecond
	var w netfs.Watch
	look := func() bool {
		t.Helper()
		c, err := w.Changed(t.Context(), h, h.Share, ".")
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if !look() {
		t.Error("the first look finds nothing to do")
	}
	if err := h.Sleep(t.Context(), 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if !look() {
		t.Error("an early look was trusted")
	}
	before := h.Ops.Read()
	if look() {
		t.Error("changed although nothing did")
	}
	var want netfs.Counts
	want[netfs.OpGetattr] = 1
	if got := h.Ops.Read().Sub(before); got != want {
		t.Errorf("an unchanged poll costs %s, want %s", got, want)
	}
	if err := netfs.WriteFile(t.Context(), h.Share, "f", nil); err != nil {
		t.Fatal(err)
	}
	if !look() {
		t.Error("a change was not seen")
	}
}

// A look that failed may have asked for names too early: the next one waits for
// a grain where names do not follow, which the first look at a directory need not.
func TestWatchAgain(t *testing.T) {
	h, _ := newHost(t)
	h.Profile.NamesFollow = false
	waits := 0
	h.Sleep = func(context.Context, time.Duration) error { waits++; return nil }
	var w netfs.Watch
	for _, again := range []bool{false, true} {
		if again {
			w.Again()
		}
		waits = 0
		if c, err := w.Changed(t.Context(), h, h.Share, "."); err != nil || !c {
			t.Errorf("changed is %v, %v", c, err)
		}
		if (waits > 0) != again {
			t.Errorf("again %v: it waited %d times", again, waits)
		}
	}
}

func TestCounted(t *testing.T) {
	h, _ := newHost(t)
	before := h.Ops.Read()
	if err := netfs.WriteFile(t.Context(), h.Share, "f", make([]byte, 1<<20+1)); err != nil {
		t.Fatal(err)
	}
	if _, err := netfs.ReadFile(t.Context(), h.Share, "f", 1<<21); err != nil {
		t.Fatal(err)
	}
	if _, err := netfs.ViaSymlink.Put(t.Context(), h, h.Share, "s", "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := netfs.ViaSymlink.Get(t.Context(), h.Share, "s"); err != nil {
		t.Fatal(err)
	}
	got := h.Ops.Read().Sub(before)
	got[netfs.OpSync] = 0
	if want := "open 2 read 9 write 2 close 2 lookup 1 readlink 1 symlink 1"; got.String() != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

func TestProfileFor(t *testing.T) {
	tests := []struct {
		kind, options, want string
		risk, dirSync       bool
	}{
		{"nfs", "rw,vers=3,hard", "nfs3", false, false},
		{"nfs", "rw,vers=4.2,hard", "nfs4", false, false},
		{"nfs", "rw,vers=2", "nfs2", true, false},
		{"smb", "rw,cache=strict", "smb", false, false},
		{"smb", "rw,cache=loose", "smb", true, false},
		{"9p", "rw,cache=loose", "9p", true, true},
		{"afs", "rw", "afs", false, false},
		{"ceph", "rw", "ceph", false, true},
		{"local", "rw", "local", false, true},
	}
	for _, tt := range tests {
		p := netfs.ProfileFor(tt.kind, strings.Split(tt.options, ","))
		if p.Kind != tt.want || (p.Risk != "") != tt.risk || p.DirSync != tt.dirSync {
			t.Errorf("%s %s: %+v", tt.kind, tt.options, p)
		}
	}
}

func TestDetect(t *testing.T) {
	p, err := netfs.Detect(t.TempDir())
	if err != nil || p.Kind == "" || p.Grain <= 0 || p.RecordMax < 500 {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := netfs.Detect("/nonexistent"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}

// A held directory that is closed under a call must not send the call to
// whatever got its descriptor number.
func TestHandlesAreNotMixedUp(t *testing.T) {
	h, dir := newHost(t)
	for _, d := range []string{"a", "b"} {
		if err := netfs.MkdirAll(t.Context(), h, h.Share, d); err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for from, to := "b", "c"; ; from, to = to, from {
			select {
			case <-stop:
				return
			default:
			}
			if err := errors.Join(h.Share.Symlink(t.Context(), "y", from+"/y"), h.Share.Remove(t.Context(), from+"/y"),
				h.Share.Rename(t.Context(), from, to)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for n := range 500 {
				// b or c, whichever there is: its handle is closed all the time.
				_ = h.Share.Symlink(t.Context(), "z", "b/z")
				_ = h.Share.Remove(t.Context(), "b/z")
				if err := h.Share.Symlink(t.Context(), "x", fmt.Sprintf("a/x%d.%d", i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	wg.Wait()
	stray, err := filepath.Glob(filepath.Join(dir, "a/[yz]*"))
	made, err2 := filepath.Glob(filepath.Join(dir, "a/x*"))
	if len(stray) > 0 || len(made) != 2000 || err != nil || err2 != nil {
		t.Errorf("%d names in a, and strays %q", len(made), stray)
	}
}

// A directory that another host replaced is entered anew.
func TestSubOfReplacedDirectory(t *testing.T) {
	h, dir := newHost(t)
	if err := netfs.WriteFile(t.Context(), h.Share, "x", nil); err != nil {
		t.Fatal(err)
	}
	if err := netfs.MkdirAll(t.Context(), h, h.Share, "d"); err != nil {
		t.Fatal(err)
	}
	if err := netfs.WriteFile(t.Context(), h.Share, "d/1", nil); err != nil {
		t.Fatal(err) // now d is held open
	}
	if err := errors.Join(os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "old")), os.Mkdir(filepath.Join(dir, "d"), 0o700)); err != nil {
		t.Fatal(err)
	}
	f, err := h.Share.Sub(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := f.ReadDir(t.Context(), "."); len(names) != 0 || err != nil {
		t.Errorf("entered the old directory: %q, %v", names, err)
	}
}

// A directory below one that another host replaced is entered anew too.
func TestSubBelowReplacedDirectory(t *testing.T) {
	h, dir := newHost(t)
	if err := netfs.MkdirAll(t.Context(), h, h.Share, "d/e"); err != nil {
		t.Fatal(err)
	}
	if err := netfs.WriteFile(t.Context(), h.Share, "d/e/1", nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "old")), os.MkdirAll(filepath.Join(dir, "d/e"), 0o700)); err != nil {
		t.Fatal(err)
	}
	f, err := h.Share.Sub(t.Context(), "d/e")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if names, err := f.ReadDir(t.Context(), "."); len(names) != 0 || err != nil {
		t.Errorf("entered the old directory: %q, %v", names, err)
	}
}

// Calls on directories refuse wrong names as all others do.
func TestInvalidDirectories(t *testing.T) {
	h, _ := newHost(t)
	for _, name := range []string{"", "/", "/x", "../x", "x/"} {
		_, err := h.Share.ReadDir(t.Context(), name)
		_, serr := h.Share.Sub(t.Context(), name)
		for _, err := range []error{err, serr, h.Share.SyncDir(t.Context(), name)} {
			if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: %v, want fs.ErrInvalid", name, err)
			}
		}
	}
}
