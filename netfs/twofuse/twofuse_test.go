package twofuse_test

import (
	"os"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/netfstest"
	"github.com/bobbinmail/bobbin/netfs/twofuse"
)

func full() bool { return os.Getenv("BOBBIN_TEST_FULL") != "" }

// pair is two hosts on two mounts of one directory.
type pair struct {
	mounts [2]*twofuse.Mount
	dirs   [2]string
	a, b   *netfs.Host
}

func newPair(t *testing.T, o twofuse.Options) *pair {
	t.Helper()
	p := &pair{}
	p.mounts, p.dirs = twofuse.NewPair(t, o)
	p.a, p.b = openHost(t, p.dirs[0]), openHost(t, p.dirs[1])
	return p
}

func openHost(t *testing.T, dir string) *netfs.Host {
	t.Helper()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	return h
}

// TestConformance runs the suite on two mounts, with names that live shorter
// than the profile's grain, as its rules demand.
func TestConformance(t *testing.T) {
	o, grain := twofuse.Usual, 1100*time.Millisecond
	if !full() {
		o.Names, grain = 50*time.Millisecond, 60*time.Millisecond
	}
	p := newPair(t, o)
	p.a.Profile.Grain, p.b.Profile.Grain = grain, grain
	netfstest.Run(t, func(t *testing.T, fn func(t *testing.T, a, b *netfs.Host)) { fn(t, p.a, p.b) })
}

// What a mount is mistaken for decides what Bobbin does on it.
func TestDetect(t *testing.T) {
	p := newPair(t, twofuse.Usual)
	got := p.a.Profile
	want := netfs.ProfileFor("fuse", nil)
	if got != want || !got.DirSync || !got.WeakLists || got.NamesFollow || got.Grain <= twofuse.Usual.Names || got.Risk != "" {
		t.Errorf("%+v", got)
	}
}
