package twofuse_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/twofuse"
)

// These tests say what the FUSE kernel does with what it was told. Where one
// fails on another kernel, doc.go has to say so.

const forever = time.Hour

func (p *pair) path(host int, name string) string { return filepath.Join(p.dirs[host], name) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *pair) write(t *testing.T, h *netfs.Host, name, text string) {
	t.Helper()
	must(t, netfs.WriteFile(t.Context(), h.Share, name, []byte(text)))
}

// absent checks whether host B sees no such name, whatever is forced.
func (p *pair) absent(t *testing.T, name string, want bool) {
	t.Helper()
	if _, err := netfs.Fresh(t.Context(), p.b.Share, "."); err != nil {
		t.Fatal(err)
	}
	_, err := p.b.Share.Stat(t.Context(), name)
	if got := errors.Is(err, fs.ErrNotExist); got != want || err != nil && !got {
		t.Errorf("%s: %v; absent %v, want %v", name, err, got, want)
	}
}

// A name that was seen to be missing stays so, whatever is forced, until it
// is asked for by who wants to create it, or listed.
func TestAbsenceIsKept(t *testing.T) {
	p := newPair(t, twofuse.Options{Attributes: forever, Names: forever})
	ctx := t.Context()
	for _, name := range []string{"dir", "link", "listed"} {
		p.absent(t, name, true)
	}
	must(t, p.a.Share.Mkdir(ctx, "dir", 0o700))
	must(t, p.a.Share.Symlink(ctx, "x", "link"))
	p.write(t, p.a, "listed", "")
	for _, name := range []string{"dir", "link", "listed"} {
		p.absent(t, name, true)
	}
	if err := p.b.Share.Mkdir(ctx, "dir", 0o700); !errors.Is(err, fs.ErrExist) {
		t.Errorf("mkdir: %v", err)
	}
	if err := p.b.Share.Symlink(ctx, "y", "link"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("symlink: %v", err)
	}
	p.absent(t, "dir", false)
	p.absent(t, "link", false)
	names, err := p.b.Share.ReadDir(ctx, ".")
	if err != nil || len(names) != 3 {
		t.Errorf("listed %q, %v", names, err)
	}
}

// A name that was seen stays, and leads to the same file, until somebody fails
// with it.
func TestPresenceIsKept(t *testing.T) {
	p := newPair(t, twofuse.Options{Attributes: forever, Names: forever})
	ctx := t.Context()
	p.write(t, p.a, "f", "text")
	p.absent(t, "f", false)
	must(t, p.a.Share.Rename(ctx, "f", "g"))
	p.absent(t, "f", false)
	text, err := netfs.ReadFile(ctx, p.b.Share, "f", 100)
	if string(text) != "text" || err != nil {
		t.Errorf("f holds %q, %v", text, err)
	}
	if err := p.b.Share.Rename(ctx, "f", "h"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rename: %v", err)
	}
	p.absent(t, "f", true)
	p.absent(t, "g", false)
}

// A removed file is stale to others, and its name is given up at once; what
// has no name by this mount's own doing can be read on.
func TestRemoved(t *testing.T) {
	p := newPair(t, twofuse.Options{Attributes: forever, Names: forever})
	ctx := t.Context()
	for _, name := range []string{"f", "own"} {
		p.write(t, p.a, name, "text")
	}
	var files [2]netfs.File
	for i, name := range []string{"f", "own"} {
		f, err := p.b.Share.Open(ctx, name)
		must(t, err)
		defer f.Close()
		files[i] = f
	}
	must(t, p.a.Share.Remove(ctx, "f"))
	must(t, p.b.Share.Remove(ctx, "own"))
	buf := make([]byte, 4)
	if _, err := files[0].ReadAt(buf, 0); !errors.Is(err, syscall.ESTALE) {
		t.Errorf("read of what another host removed: %q, %v", buf, err)
	}
	if n, err := files[1].ReadAt(buf, 0); string(buf[:n]) != "text" || err != nil {
		t.Errorf("read of what was removed here: %q, %v", buf[:n], err)
	}
	p.absent(t, "f", true)
}

// Attributes are kept, and passed over by a forced stat; pages go when the
// size changes.
func TestAttributes(t *testing.T) {
	p := newPair(t, twofuse.Options{Attributes: forever, Names: forever})
	ctx := t.Context()
	p.write(t, p.a, "f", "1234")
	size := func(want int64) {
		t.Helper()
		i, err := os.Stat(p.path(1, "f"))
		if err != nil || i.Size() != want {
			t.Errorf("size %v, want %d (%v)", i, want, err)
		}
	}
	size(4)
	before := p.mounts[1].Counts()
	size(4)
	if got := p.mounts[1].Counts().Sub(before); len(got) != 0 {
		t.Errorf("a second stat took %s", got)
	}
	must(t, os.WriteFile(p.path(0, "f"), []byte("123456"), 0o600))
	size(4)
	before = p.mounts[1].Counts()
	i, err := p.b.Share.Stat(ctx, "f")
	if got := p.mounts[1].Counts().Sub(before).String(); i.Size != 6 || err != nil || got != "GETATTR 1" {
		t.Errorf("forced: size %d, %v, %s", i.Size, err, got)
	}
	size(6)
	text, err := os.ReadFile(p.path(1, "f"))
	if string(text) != "123456" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
}

// Everything is believed only as long as was said.
func TestExpiry(t *testing.T) {
	p := newPair(t, twofuse.Options{Attributes: 10 * time.Millisecond, Names: 10 * time.Millisecond})
	ctx := t.Context()
	_, err := p.b.Share.Stat(ctx, "f")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	p.write(t, p.a, "f", "1234")
	for start := p.a.Boot(); ; {
		if i, err := os.Stat(p.path(1, "f")); err == nil && i.Size() == 4 {
			break
		}
		if p.a.Boot()-start > time.Minute {
			t.Fatal("the name is not seen within a minute")
		}
		must(t, p.a.Sleep(ctx, 10*time.Millisecond))
	}
}
