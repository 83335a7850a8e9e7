package netfstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// hostCases are about what one host sees of the other.
var hostCases = []testCase{
	{"a file is removed while it is read", removedFile},
	{"a file is renamed by another host", renamedFile},
	{"a directory is replaced by another host", replacedDir},
	{"a directory is renamed by another host", renamedDir},
	{"a directory is removed by another host", removedDir},
	{"names are made once", madeOnce},
	{"a name is renamed once", renamedOnce},
}

// gone is how the server says that something held open is no more.
var gone = []error{fs.ErrNotExist, syscall.ESTALE}

// vanishes waits until h sees that there is no such name.
func vanishes(t testing.TB, h *netfs.Host, name string) {
	t.Helper()
	soon(t, h, name+" vanishes", func() bool {
		_, err := netfs.Fresh(t.Context(), h.Share, ".")
		must(t, err)
		_, err = h.Share.Stat(t.Context(), name)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// removedFile: who reads a file that another host removes gets all of it, or
// an error (H26). Its name may stay until it is closed (H27).
func removedFile(t testing.TB, p *pair) {
	text := strings.Repeat("0123456789abcdef", 32<<10)
	write(t, p.fs, "f", text)
	see(t, p.b, "f")
	r, err := p.b.Share.Open(t.Context(), "f")
	must(t, err)
	head := make([]byte, 100)
	_, err = io.ReadFull(r, head)
	if err == nil {
		err = p.fs.Remove(t.Context(), "f")
	}
	if err != nil {
		t.Fatal(errors.Join(err, r.Close()))
	}
	rest, err := io.ReadAll(r)
	if err == nil && string(head)+string(rest) != text {
		t.Errorf("read %d bytes of %d without an error", len(head)+len(rest), len(text))
	}
	if err != nil {
		wantErr(t, "read on", err, syscall.ESTALE, syscall.EIO, fs.ErrNotExist)
	}
	_ = r.Close()
	vanishes(t, p.b, "f")
	_, err = p.b.Share.Open(t.Context(), "f")
	wantErr(t, "open what another host removed", err, fs.ErrNotExist)
}

func renamedFile(t testing.TB, p *pair) {
	ctx := t.Context()
	write(t, p.fs, "f", "text")
	rest(t, p.b) // who looks in the tick of the rename may go on seeing the old name
	see(t, p.b, "f")
	holds(t, p.b.Share, "f", "text")
	must(t, p.fs.Rename(ctx, "f", "g"))
	see(t, p.b, "g")
	holds(t, p.b.Share, "g", "text")
	vanishes(t, p.b, "f")
	wantErr(t, "rename what another host renamed", p.b.Share.Rename(ctx, "f", "h"), fs.ErrNotExist)
	write(t, p.b.Share, "f", "another")
	see(t, p.a, "f")
	holds(t, p.fs, "f", "another")
	holds(t, p.fs, "g", "text")
}

// replacedDir: a directory that another host removed and made again is used,
// not the old one.
func replacedDir(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, p.fs.Mkdir(ctx, "d", 0o700))
	write(t, p.fs, "d/1", "old")
	see(t, p.b, "d/1")
	must(t, p.b.Share.Remove(ctx, "d/1"))
	unmake(t, p.b, "d")
	must(t, p.b.Share.Mkdir(ctx, "d", 0o700))
	write(t, p.b.Share, "d/2", "new")
	soon(t, p.a, "seeing the new directory", func() bool {
		_, err := netfs.Fresh(ctx, p.fs, "d")
		if err == nil {
			_, err = p.fs.Stat(ctx, "d/2")
		}
		if err != nil {
			wantErr(t, "stat", err, gone...)
		}
		return err == nil
	})
	write(t, p.fs, "d/3", "too")
	see(t, p.b, "d/3")
	holds(t, p.b.Share, "d/3", "too")
}

// renamedDir: a tree may go on reaching a directory under its old name (H28),
// but Sub enters what has the name, and so do those that come later.
func renamedDir(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, netfs.MkdirAll(ctx, p.a, p.fs, "d/sub"))
	write(t, p.fs, "d/sub/1", "old")
	see(t, p.b, "d/sub/1")
	rest(t, p.a)
	must(t, p.b.Share.Rename(ctx, "d", "kept"))
	must(t, netfs.MkdirAll(ctx, p.b, p.b.Share, "d/sub"))
	write(t, p.b.Share, "d/sub/2", "new")
	for _, dir := range []string{"d/sub", "d"} {
		soon(t, p.a, "entering the new "+dir, func() bool {
			_, err := netfs.Fresh(ctx, p.fs, ".")
			must(t, err)
			s, err := p.fs.Sub(ctx, dir)
			if err != nil {
				wantErr(t, "sub", err, gone...)
				return false
			}
			b, err := netfs.ReadFile(ctx, s, strings.TrimPrefix("d/sub/2", dir+"/"), 100)
			must(t, s.Close())
			return err == nil && string(b) == "new"
		})
	}
	holds(t, p.b.Share, "kept/sub/1", "old")
	see(t, p.a, "kept/sub/1")
	holds(t, p.fs, "kept/sub/1", "old")
}

// removedDir: nothing is made in a directory that is no more (H109).
func removedDir(t testing.TB, p *pair) {
	ctx := t.Context()
	must(t, p.fs.Mkdir(ctx, "d", 0o700))
	write(t, p.fs, "f", "text")
	s, err := p.fs.Sub(ctx, "d")
	must(t, err)
	defer s.Close()
	see(t, p.b, "d")
	must(t, p.b.Share.Remove(ctx, "d"))
	for what, err := range map[string]error{
		"create": closing(s.Create(ctx, "g", 0o600)),
		"open":   closing(s.Open(ctx, "f")),
		"mkdir":  s.Mkdir(ctx, "g", 0o700),
		"stat":   second(s.Stat(ctx, "g")),
		"remove": s.Remove(ctx, "f"),
		"rename": s.Rename(ctx, "f", "g"),
	} {
		wantErr(t, what+" in a removed directory", err, gone...)
	}
	vanishes(t, p.a, "d")
	lists(t, p.fs, "f")
}

// compete lets both hosts do one thing to each of some names at the same time,
// and checks that one of the two is told that it was done.
func compete(t testing.TB, p *pair, what string, do func(ctx context.Context, h *netfs.Host, n int) error, lost error) {
	t.Helper()
	const names = 30
	var outcome [2][names]error
	var wg sync.WaitGroup
	for i, h := range []*netfs.Host{p.a, p.b} {
		wg.Go(func() {
			for n := range names {
				outcome[i][n] = do(t.Context(), h, n)
			}
		})
	}
	wg.Wait()
	for n := range names {
		a, b := outcome[0][n], outcome[1][n]
		if (a == nil) == (b == nil) {
			t.Errorf("%s, name %d: both hosts were told the same: %v; %v", what, n, a, b)
			continue
		}
		wantErr(t, what+": the loser", errors.Join(a, b), lost)
	}
}

// madeOnce: of two hosts that make one name one succeeds.
func madeOnce(t testing.TB, p *pair) {
	ctx := t.Context()
	compete(t, p, "mkdir", func(ctx context.Context, h *netfs.Host, n int) error {
		return h.Share.Mkdir(ctx, fmt.Sprint("dir", n), 0o700)
	}, fs.ErrExist)
	for _, h := range []*netfs.Host{p.a, p.b} {
		write(t, h.Share, "of."+map[bool]string{true: "a", false: "b"}[h == p.a], "")
	}
	if err := p.fs.Symlink(ctx, "x", "try"); err == nil {
		compete(t, p, "symlink", func(ctx context.Context, h *netfs.Host, n int) error {
			return h.Share.Symlink(ctx, "x", fmt.Sprint("sym", n))
		}, fs.ErrExist)
	}
	if err := p.fs.Link(ctx, "of.a", "try.link"); err == nil {
		compete(t, p, "link", func(ctx context.Context, h *netfs.Host, n int) error {
			return h.Share.Link(ctx, "of."+map[bool]string{true: "a", false: "b"}[h == p.a], fmt.Sprint("link", n))
		}, fs.ErrExist)
	}
}

// renamedOnce: of two hosts that rename one name one succeeds.
func renamedOnce(t testing.TB, p *pair) {
	for n := range 30 {
		write(t, p.fs, fmt.Sprint("f", n), "")
	}
	see(t, p.b, "f29")
	compete(t, p, "rename", func(ctx context.Context, h *netfs.Host, n int) error {
		to := "a"
		if h == p.b {
			to = "b"
		}
		return h.Share.Rename(ctx, fmt.Sprint("f", n), fmt.Sprint(to, n))
	}, fs.ErrNotExist)
}
