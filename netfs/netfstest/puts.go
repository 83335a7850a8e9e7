package netfstest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// putCase is a test of one way to put a record.
type putCase struct {
	name string
	run  func(t testing.TB, p *pair, way netfs.Way)
}

// putCases are about put-if-absent.
var putCases = []putCase{
	{"put", put},
	{"put records of any length", putLengths},
	{"put what is in the way", putIrregular},
	{"put in a race", putRace},
	{"remove a record", putRemove},
	{"try", putTry},
}

var ways = []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir}

func skipUnless(t testing.TB, p *pair, way netfs.Way) {
	t.Helper()
	switch way {
	case netfs.ViaSymlink:
		needSymlinks(t, p)
	case netfs.ViaLink:
		needLinks(t, p)
	}
}

// taken checks that way.Put said that somebody was first with want.
func taken(t testing.TB, got string, err error, want string) {
	t.Helper()
	if got != want || !errors.Is(err, fs.ErrExist) || errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("put: %.60q, %v; want %.60q and fs.ErrExist", got, err, want)
	}
}

// has checks what a record is.
func has(t testing.TB, way netfs.Way, f netfs.FS, name, want string) {
	t.Helper()
	if got, err := way.Get(t.Context(), f, name); got != want || err != nil {
		t.Errorf("%s is %.60q, want %.60q (%v)", name, got, want, err)
	}
}

func put(t testing.TB, p *pair, way netfs.Way) {
	ctx := t.Context()
	_, err := way.Get(ctx, p.fs, "1")
	if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, netfs.ErrIrregular) {
		t.Errorf("get what is missing: %v", err)
	}
	_, err = way.Get(ctx, p.b.Share, "1") // which a cache may remember
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get what is missing: %v", err)
	}
	_, err = way.Put(ctx, p.a, p.fs, "1", "first")
	must(t, err)
	has(t, way, p.fs, "1", "first")
	got, err := way.Put(ctx, p.a, p.fs, "1", "again")
	taken(t, got, err, "first")
	got, err = way.Put(ctx, p.b, p.b.Share, "1", "other")
	taken(t, got, err, "first")
	see(t, p.b, "1")
	has(t, way, p.b.Share, "1", "first")
	must(t, netfs.Witness(ctx, p.fs, "1"))
	_, err = way.Put(ctx, p.a, p.fs, "1", "first")
	must(t, err) // as if the reply had been lost
	if _, err = way.Put(ctx, p.a, p.fs, "none/1", "x"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, netfs.ErrUncertain) {
		t.Errorf("put below nothing: %v", err)
	}
	lists(t, p.fs, "1")
}

// putLengths: a record comes back as it was, or is refused because of its
// length; 500 bytes are never too many, nor are those that the way promises
// but on a share that takes shorter links (H126).
func putLengths(t testing.TB, p *pair, way netfs.Way) {
	ctx := t.Context()
	longest := way.Max(p.a.Profile)
	text := strings.Repeat("b1 7 | %41:x /../etc/ =0123abcd ", longest/32+1)
	want := []string{}
	for _, size := range slices.Compact([]int{1, 500, 1000, longest}) {
		name := fmt.Sprint(size)
		_, err := way.Put(ctx, p.a, p.fs, name, text[:size])
		if way == netfs.ViaSymlink && size > 500 && errors.Is(err, syscall.ENAMETOOLONG) && !errors.Is(err, netfs.ErrUncertain) {
			continue
		}
		must(t, err)
		want = append(want, name)
		see(t, p.b, name)
		has(t, way, p.b.Share, name, text[:size])
	}
	_, err := way.Put(ctx, p.a, p.fs, "long", strings.Repeat("x", 70000))
	if err == nil || errors.Is(err, netfs.ErrUncertain) || errors.Is(err, fs.ErrExist) {
		t.Errorf("a record of 70,000 bytes: %v", err)
	}
	lists(t, p.fs, want...)
}

// putIrregular: what is no record of this way is neither read nor replaced.
func putIrregular(t testing.TB, p *pair, way netfs.Way) {
	ctx := t.Context()
	strange := []string{"dir"}
	must(t, p.fs.Mkdir(ctx, "dir", 0o700))
	if way != netfs.ViaLink {
		write(t, p.fs, "file", "text")
		strange = append(strange, "file")
	}
	if way != netfs.ViaSymlink && p.fs.Symlink(ctx, "dir", "link") == nil {
		strange = append(strange, "link")
	}
	for _, name := range strange {
		if _, err := way.Get(ctx, p.fs, name); !errors.Is(err, netfs.ErrIrregular) {
			t.Errorf("get %s: %v, want ErrIrregular", name, err)
		}
		if _, err := way.Put(ctx, p.a, p.fs, name, "x"); !errors.Is(err, netfs.ErrIrregular) {
			t.Errorf("put %s: %v, want ErrIrregular", name, err)
		}
	}
	lists(t, p.fs, strange...)
	if l, err := p.fs.ReadDir(ctx, "dir"); len(l) != 0 || err != nil {
		t.Errorf("in the directory are %q, %v", l, err)
	}
}

// putRace: of all that put one record one is told that it is theirs, and all
// others what it is.
func putRace(t testing.TB, p *pair, way netfs.Way) {
	const records, racers = 10, 6
	ctx := t.Context()
	var won [records][]string
	var shown [records]map[string]bool
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range racers {
		h := []*netfs.Host{p.a, p.b}[i%2]
		wg.Go(func() {
			for n := range records {
				mine := fmt.Sprintf("record %d of %d", n, i)
				got, err := way.Put(ctx, h, h.Share, fmt.Sprint(n), mine)
				mu.Lock()
				switch {
				case err == nil:
					won[n] = append(won[n], mine)
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("put: %v", err)
				case shown[n] == nil:
					shown[n] = map[string]bool{got: true}
				default:
					shown[n][got] = true
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	var want []string
	for n := range records {
		name := fmt.Sprint(n)
		want = append(want, name)
		if len(won[n]) != 1 || len(shown[n]) != 1 || !shown[n][won[n][0]] {
			t.Errorf("%s was won by %q, and losers were shown %v", name, won[n], shown[n])
			continue
		}
		see(t, p.a, name)
		has(t, way, p.fs, name, won[n][0])
		see(t, p.b, name)
		has(t, way, p.b.Share, name, won[n][0])
	}
	lists(t, p.fs, want...)
}

func putRemove(t testing.TB, p *pair, way netfs.Way) {
	ctx := t.Context()
	_, err := way.Put(ctx, p.a, p.fs, "1", "first")
	must(t, err)
	see(t, p.b, "1")
	for range 2 {
		must(t, way.Remove(ctx, p.b, p.b.Share, "1"))
	}
	vanishes(t, p.a, "1")
	if _, err := way.Get(ctx, p.fs, "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get what was removed: %v", err)
	}
	lists(t, p.b.Share)
}

func putTry(t testing.TB, p *pair, way netfs.Way) {
	must(t, way.Try(t.Context(), p.a, p.fs, "slot", 500))
	lists(t, p.fs)
}
