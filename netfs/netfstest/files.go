package netfstest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// fileCases are about what is in files.
var fileCases = []testCase{
	{"create", create},
	{"open", open},
	{"empty file", emptyFile},
	{"read at", readAt},
	{"large file", largeFile},
	{"size", size},
	{"handles", handles},
	{"write file", writeFile},
	{"create new", createNew},
	{"read file", readFile},
}

// create: a missing file is made; one that is there is opened, not emptied.
func create(t testing.TB, p *pair) {
	ctx := t.Context()
	for _, text := range []string{"longer text", "short"} {
		w, err := p.fs.Create(ctx, "f", 0o600)
		must(t, err)
		_, err = io.WriteString(w, text)
		must(t, errors.Join(err, w.Sync(), w.Close()))
	}
	holds(t, p.fs, "f", "shortr text")
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	_, err := p.fs.Create(ctx, "dir", 0o600)
	wantErr(t, "create on a directory", err, netfs.ErrIrregular)
	_, err = p.fs.Create(ctx, "none/f", 0o600)
	wantErr(t, "create below nothing", err, fs.ErrNotExist)
	_, err = p.fs.Create(ctx, "f/f", 0o600)
	wantErr(t, "create below a file", err, syscall.ENOTDIR)
	lists(t, p.fs, "dir", "f")
}

func open(t testing.TB, p *pair) {
	ctx := t.Context()
	_, err := p.fs.Open(ctx, "f")
	wantErr(t, "open what is missing", err, fs.ErrNotExist)
	_, err = p.fs.Open(ctx, "none/f")
	wantErr(t, "open below nothing", err, fs.ErrNotExist)
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	_, err = p.fs.Open(ctx, "dir")
	wantErr(t, "open a directory", err, netfs.ErrIrregular)
	write(t, p.fs, "dir/f", "text")
	holds(t, p.fs, "dir/f", "text")
	see(t, p.b, "dir/f")
	holds(t, p.b.Share, "dir/f", "text")
}

func emptyFile(t testing.TB, p *pair) {
	write(t, p.fs, "f", "")
	see(t, p.b, "f")
	for _, h := range []*netfs.Host{p.a, p.b} {
		i, err := h.Share.Stat(t.Context(), "f")
		if err != nil || i.Size != 0 || !i.Mode.IsRegular() {
			t.Errorf("stat: %+v, %v", i, err)
		}
		r, err := h.Share.Open(t.Context(), "f")
		must(t, err)
		b := make([]byte, 1)
		if n, err := r.Read(b); n != 0 || err != io.EOF {
			t.Errorf("read: %d, %v", n, err)
		}
		if n, err := r.ReadAt(b, 0); n != 0 || err != io.EOF {
			t.Errorf("read at: %d, %v", n, err)
		}
		must(t, r.Close())
	}
}

// readAt: a short read at the end says io.EOF; the place of Read stays.
func readAt(t testing.TB, p *pair) {
	write(t, p.fs, "f", "0123456789")
	r, err := p.fs.Open(t.Context(), "f")
	must(t, err)
	defer r.Close()
	b := make([]byte, 4)
	if n, err := io.ReadFull(r, b[:2]); n != 2 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	for _, c := range []struct {
		off  int64
		want string
		eof  bool
	}{{0, "0123", false}, {5, "5678", false}, {8, "89", true}, {10, "", true}, {1 << 40, "", true}} {
		n, err := r.ReadAt(b, c.off)
		if string(b[:n]) != c.want || c.eof && err != io.EOF || !c.eof && err != nil {
			t.Errorf("read at %d: %q, %v", c.off, b[:n], err)
		}
	}
	if _, err := r.ReadAt(b, -1); err == nil || err == io.EOF {
		t.Errorf("read at -1: %v", err)
	}
	rest, err := io.ReadAll(r)
	if string(rest) != "23456789" || err != nil {
		t.Errorf("the rest: %q, %v", rest, err)
	}
}

// largeFile: what was written in uneven pieces is read whole by the other
// host, in order and at any place.
func largeFile(t testing.TB, p *pair) {
	text := make([]byte, 5<<20+17)
	for i := range text {
		text[i] = byte(i*7 + i>>8*13 + i>>16*29)
	}
	w, err := netfs.CreateNew(t.Context(), p.fs, "f")
	must(t, err)
	for rest, k := text, 1; len(rest) > 0; k = k*3 + 1 {
		n, err := w.Write(rest[:min(k, len(rest))])
		must(t, err)
		rest = rest[n:]
	}
	must(t, w.Commit())
	see(t, p.b, "f")
	got, err := netfs.ReadFile(t.Context(), p.b.Share, "f", int64(len(text)))
	if !bytes.Equal(got, text) || err != nil {
		t.Errorf("read %d bytes of %d, equal %v (%v)", len(got), len(text), bytes.Equal(got, text), err)
	}
	r, err := p.b.Share.Open(t.Context(), "f")
	must(t, err)
	defer r.Close()
	b := make([]byte, 100<<10)
	for _, off := range []int{0, 1<<20 - 50<<10, 4<<20 + 1, len(text) - len(b)} {
		if n, err := r.ReadAt(b, int64(off)); n != len(b) || !bytes.Equal(b, text[off:off+n]) || err != nil && err != io.EOF {
			t.Errorf("read at %d: %d bytes, %v", off, n, err)
		}
	}
}

// size: Size tells the writer what is written, and Stat the other host what is
// synced, although both looked before.
func size(t testing.TB, p *pair) {
	ctx := t.Context()
	w, err := p.fs.Create(ctx, "f", 0o600)
	must(t, err)
	see(t, p.b, "f")
	for want := int64(1000); want <= 3000; want += 1000 {
		_, err := w.Write(make([]byte, 1000))
		must(t, errors.Join(err, w.Sync()))
		if n, err := w.Size(); n != want || err != nil {
			t.Errorf("the writer's size is %d, want %d (%v)", n, want, err)
		}
		if i, err := p.b.Share.Stat(ctx, "f"); i.Size != want || err != nil {
			t.Errorf("the other host's size is %d, want %d (%v)", i.Size, want, err)
		}
	}
	must(t, w.Close())
	r, err := p.b.Share.Open(ctx, "f")
	must(t, err)
	defer r.Close()
	if n, err := r.Size(); n != 3000 || err != nil {
		t.Errorf("the reader's size is %d (%v)", n, err)
	}
}

// handles: each is for one thing and ends with Close.
func handles(t testing.TB, p *pair) {
	write(t, p.fs, "f", "abc")
	r, err := p.fs.Open(t.Context(), "f")
	must(t, err)
	_, err = r.Write([]byte("x"))
	wantErr(t, "write to a reader", err)
	w, err := p.fs.Create(t.Context(), "f", 0o600)
	must(t, err)
	_, err = w.Read(make([]byte, 1))
	wantErr(t, "read from a writer", err)
	must(t, errors.Join(r.Close(), w.Close()))
	_, err = r.Read(make([]byte, 1))
	wantErr(t, "read after close", err, fs.ErrClosed)
	_, err = r.ReadAt(make([]byte, 1), 0)
	wantErr(t, "read at after close", err, fs.ErrClosed)
	_, err = w.Write([]byte("x"))
	wantErr(t, "write after close", err, fs.ErrClosed)
	wantErr(t, "sync after close", w.Sync(), fs.ErrClosed)
	wantErr(t, "close after close", w.Close(), fs.ErrClosed)
	holds(t, p.fs, "f", "abc")
}

func writeFile(t testing.TB, p *pair) {
	for _, text := range []string{"", "x", "\x00\n\r\xff", strings.Repeat("long ", 50000)} {
		write(t, p.fs, "f", text)
		holds(t, p.fs, "f", text)
		must(t, p.fs.Remove(t.Context(), "f"))
	}
	err := netfs.WriteFile(t.Context(), p.fs, "none/f", nil)
	wantErr(t, "write below nothing", err, fs.ErrNotExist)
	lists(t, p.fs)
}

func createNew(t testing.TB, p *pair) {
	ctx := t.Context()
	w, err := netfs.CreateNew(ctx, p.fs, "kept")
	must(t, err)
	for _, s := range []string{"one ", "", "two"} {
		if n, err := io.WriteString(w, s); n != len(s) || err != nil {
			t.Errorf("write: %d, %v", n, err)
		}
	}
	if w.Size() != 7 {
		t.Errorf("%d bytes written", w.Size())
	}
	must(t, w.Commit())
	holds(t, p.fs, "kept", "one two")
	w, err = netfs.CreateNew(ctx, p.fs, "dropped")
	must(t, err)
	_, err = io.WriteString(w, "text")
	must(t, err)
	w.Abort(ctx)
	lists(t, p.fs, "kept")
}

func readFile(t testing.TB, p *pair) {
	write(t, p.fs, "f", "12345")
	b, err := netfs.ReadFile(t.Context(), p.fs, "f", 5)
	if string(b) != "12345" || err != nil {
		t.Errorf("within the limit: %q, %v", b, err)
	}
	if _, err := netfs.ReadFile(t.Context(), p.fs, "f", 4); !errors.Is(err, syscall.EFBIG) {
		t.Errorf("beyond the limit: %v", err)
	}
	_, err = netfs.ReadFile(t.Context(), p.fs, "none", 5)
	wantErr(t, "read what is missing", err, fs.ErrNotExist)
}
