package netfstest

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// primitiveCases are about the functions that stand on FS.
var primitiveCases = []testCase{
	{"move", move},
	{"unlink", unlink},
	{"mkdir all", mkdirAll},
	{"witness", witness},
	{"fresh", fresh},
	{"settled", settled},
	{"watch", watch},
	{"watch while nothing happens", watchIdle},
}

func move(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, p.fs.Mkdir(ctx, "tmp", 0o700))
	must(t, p.fs.Mkdir(ctx, "new", 0o700))
	write(t, p.fs, "tmp/f", "text")
	must(t, netfs.Move(ctx, p.a, p.fs, "tmp/f", "new/g"))
	holds(t, p.fs, "new/g", "text")
	see(t, p.b, "new/g")
	if err := netfs.Move(ctx, p.a, p.fs, "tmp/f", "new/h"); !errors.Is(err, netfs.ErrVanished) {
		t.Errorf("move what is missing: %v", err)
	}
	must(t, netfs.Move(ctx, p.a, p.fs, "tmp/f", "new/g")) // as if the reply had been lost
	if err := netfs.Move(ctx, p.a, p.fs, "new/g", "none/g"); err == nil || errors.Is(err, netfs.ErrVanished) || errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("move into nothing: %v", err)
	}
	must(t, netfs.Move(ctx, p.a, p.fs, "new", "dir"))
	holds(t, p.fs, "dir/g", "text")
	lists(t, p.fs, "dir", "tmp")
}

func unlink(t testing.TB, p *pair) {
	ctx := t.Context()
	write(t, p.fs, "f", "")
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	write(t, p.fs, "dir/g", "text")
	for range 2 {
		must(t, netfs.Unlink(ctx, p.a, p.fs, "f"))
	}
	if err := netfs.Unlink(ctx, p.a, p.fs, "dir"); err == nil {
		t.Error("a directory with something in it was removed")
	}
	holds(t, p.fs, "dir/g", "text")
	lists(t, p.fs, "dir")
}

func mkdirAll(t testing.TB, p *pair) {
	ctx := t.Context()
	for range 2 {
		must(t, netfs.MkdirAll(ctx, p.a, p.fs, "a/b/c"))
	}
	see(t, p.b, "a/b/c")
	must(t, netfs.MkdirAll(ctx, p.b, p.b.Share, "a/b/c"))
	write(t, p.fs, "f", "text")
	for _, dir := range []string{"f", "f/d"} {
		if err := netfs.MkdirAll(ctx, p.a, p.fs, dir); !errors.Is(err, syscall.ENOTDIR) {
			t.Errorf("mkdir all of %s, a file: %v", dir, err)
		}
	}
	holds(t, p.fs, "f", "text")
	if err := p.fs.Symlink(ctx, "a", "link"); err != nil {
		return
	}
	for _, dir := range []string{"link", "link/d"} {
		if err := netfs.MkdirAll(ctx, p.a, p.fs, dir); err == nil {
			t.Errorf("mkdir all of %s went through a link", dir)
		}
	}
	if l, err := p.fs.ReadDir(ctx, "a"); len(l) != 1 || err != nil {
		t.Errorf("in a are %q, %v", l, err)
	}
}

func witness(t testing.TB, p *pair) {
	ctx := t.Context()
	if err := netfs.Witness(ctx, p.fs, "f"); !errors.Is(err, netfs.ErrGone) {
		t.Errorf("the witness is missing: %v", err)
	}
	write(t, p.fs, "f", "")
	must(t, netfs.Witness(ctx, p.fs, "f"))
	see(t, p.b, "f")
	must(t, netfs.Witness(ctx, p.b.Share, "f"))
	must(t, p.fs.Remove(ctx, "f"))
	soon(t, p.b, "the other host misses the witness", func() bool {
		_, err := netfs.Fresh(ctx, p.b.Share, ".")
		must(t, err)
		return errors.Is(netfs.Witness(ctx, p.b.Share, "f"), netfs.ErrGone)
	})
}

// fresh: stamps differ after every kind of change by another host, once a
// grain has passed.
func fresh(t testing.TB, p *pair) {
	ctx := t.Context()
	write(t, p.fs, "f", "")
	_, err := netfs.Fresh(ctx, p.fs, "f")
	wantErr(t, "fresh of a file", err, syscall.ENOTDIR)
	_, err = netfs.Fresh(ctx, p.fs, "none")
	wantErr(t, "fresh of what is missing", err, fs.ErrNotExist)
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"create", func() error { return netfs.WriteFile(ctx, p.b.Share, "g", nil) }},
		{"rename", func() error { return p.b.Share.Rename(ctx, "g", "h") }},
		{"mkdir", func() error { return p.b.Share.Mkdir(ctx, "d", 0o700) }},
		{"remove", func() error { return p.b.Share.Remove(ctx, "h") }},
	} {
		before, ok, err := netfs.Settled(ctx, p.a, p.fs, ".")
		if !ok || err != nil {
			t.Fatalf("the directory does not settle: %v", err)
		}
		must(t, c.do())
		soon(t, p.a, "another stamp after "+c.what, func() bool {
			now, err := netfs.Fresh(ctx, p.fs, ".")
			must(t, err)
			return now != before
		})
	}
}

func settled(t testing.TB, p *pair) {
	ctx := t.Context()
	write(t, p.fs, "f", "")
	start := p.a.Boot()
	first, ok, err := netfs.Settled(ctx, p.a, p.fs, ".")
	if !ok || err != nil {
		t.Fatalf("a directory at rest: %v, %v", ok, err)
	}
	if waited := p.a.Boot() - start; waited < p.a.Profile.Grain {
		t.Errorf("settled after %v, less than a grain", waited)
	}
	if again, err := netfs.Fresh(ctx, p.fs, "."); again != first || err != nil {
		t.Errorf("the stamp of a directory at rest changed from %v to %v (%v)", first, again, err)
	}
	_, _, err = netfs.Settled(ctx, p.a, p.fs, "none")
	wantErr(t, "settled of what is missing", err, fs.ErrNotExist)
}

// watch: whoever looks when Changed says so sees each change of another host.
func watch(t testing.TB, p *pair) {
	ctx := t.Context()
	var w netfs.Watch
	_, err := w.Changed(ctx, p.a, p.fs, "none")
	wantErr(t, "watch what is missing", err, fs.ErrNotExist)
	for n := range 20 {
		name := fmt.Sprint("f", n)
		must(t, netfs.WriteFile(ctx, p.b.Share, name, nil))
		looks := 0
		soon(t, p.a, "a look that shows "+name, func() bool {
			changed, err := w.Changed(ctx, p.a, p.fs, ".")
			must(t, err)
			if !changed {
				return false
			}
			looks++
			_, err = p.fs.Stat(ctx, name)
			return err == nil
		})
		if n%4 == 0 { // else the next change comes within the same grain
			must(t, p.a.Sleep(ctx, 2*p.a.Profile.Grain))
		}
	}
	w.Reset()
	if changed, err := w.Changed(ctx, p.a, p.fs, "."); !changed || err != nil {
		t.Errorf("after a reset: %v, %v", changed, err)
	}
}

// watchIdle: a poll of a directory at rest comes down to one operation.
func watchIdle(t testing.TB, p *pair) {
	ctx := t.Context()
	var w netfs.Watch
	var cost netfs.Counts
	soon(t, p.a, "rest", func() bool {
		before := p.a.Ops.Read()
		changed, err := w.Changed(ctx, p.a, p.fs, ".")
		must(t, err)
		cost = p.a.Ops.Read().Sub(before)
		return !changed
	})
	var want netfs.Counts
	if want[netfs.OpGetattr] = 1; cost != want {
		t.Errorf("a poll costs %s, want %s", cost, want)
	}
}
