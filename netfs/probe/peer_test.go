package probe_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// lock is a lock of this process, on a file's name.
func lock(held map[string]bool) probe.Lock {
	turn := make(chan struct{}, 1)
	return probe.Lock{Name: "toy", Take: func(_ context.Context, file string) (func() error, bool, error) {
		turn <- struct{}{}
		defer func() { <-turn }()
		if held[file] {
			return nil, true, nil
		}
		held[file] = true
		return func() error {
			turn <- struct{}{}
			defer func() { <-turn }()
			delete(held, file)
			return nil
		}, false, nil
	}}
}

func TestPeer(t *testing.T) {
	dir := t.TempDir()
	// What a probe left that died here.
	old := filepath.Join(dir, ".bobbin-probe-peers", strings.Repeat("a", netfs.TokenLen))
	if err := os.MkdirAll(filepath.Dir(old), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l := lock(map[string]bool{})
	o := probe.Options{Dir: dir, Locks: []probe.Lock{l}, Patience: 5 * time.Minute}
	ra, rb := together(t, host(t, dir), host(t, dir), o, o)
	for _, r := range []*probe.Report{ra, rb} {
		for _, check := range []string{
			"second host", "names on both hosts", "slots by symlink, two hosts", "slots by link, two hosts",
			"slots by directory, two hosts", "rename of one file by two hosts", "exclusive creation by two hosts",
			"new names on the second host", "caches of other programs", "toy locks, two hosts",
		} {
			if f, ok := find(r, check); !ok || f.Grade > probe.Note || f.Grade == probe.Note && check != "second host" {
				t.Errorf("%q: %+v, %v", check, f, ok)
			}
		}
	}
	if err := os.Remove(old); err != nil {
		t.Error(err)
	}
	if err := os.Remove(filepath.Dir(old)); err != nil {
		t.Error(err)
	}
	leavesNothing(t, dir)
}

// TestPeerLocksThatDoNotExclude: each host has locks of its own.
func TestPeerLocksThatDoNotExclude(t *testing.T) {
	dir := t.TempDir()
	options := func() probe.Options {
		return probe.Options{Dir: dir, Locks: []probe.Lock{lock(map[string]bool{})}, Patience: 5 * time.Minute}
	}
	ra, rb := together(t, host(t, dir), host(t, dir), options(), options())
	for _, r := range []*probe.Report{ra, rb} {
		if f, _ := find(r, "toy locks, two hosts"); f.Grade != probe.Note {
			t.Errorf("%+v", f)
		}
	}
}

func TestNobodyComes(t *testing.T) {
	simulated(t, simfs.Options{Seed: 1}, func(ctx context.Context, h *netfs.Host) {
		err := probe.Peer(ctx, h, probe.Options{Patience: time.Minute}, &probe.Report{})
		if !errors.Is(err, probe.ErrNoPeer) {
			t.Errorf("%v", err)
		}
	})
}

// Two hosts that each think they were first.

type twice struct{ netfs.FS }

func (w twice) Symlink(ctx context.Context, target, name string) error {
	_ = w.Remove(ctx, name)
	return w.FS.Symlink(ctx, target, name)
}

// late does not find names while it looks early.
type late struct {
	netfs.FS
	h     *netfs.Host
	delay time.Duration
	asked map[string]time.Duration
}

func (l late) Open(ctx context.Context, name string) (netfs.File, error) {
	if strings.Count(name, "/") == 3 { // not what the two say to each other
		since, ok := l.asked[name]
		if !ok {
			since = l.h.Boot()
			l.asked[name] = since
		}
		if l.h.Boot()-since < l.delay {
			return nil, os.ErrNotExist
		}
	}
	return l.FS.Open(ctx, name)
}

func TestPeerDefects(t *testing.T) {
	lateBy := func(d time.Duration) func(h *netfs.Host) {
		return func(h *netfs.Host) {
			h.Share = late{h.Share, h, d, map[string]time.Duration{}}
		}
	}
	for _, d := range []struct {
		what, check string
		grade       probe.Grade
		follow      bool
		breaks      func(h *netfs.Host)
	}{
		{"none", "new names on the second host", probe.Good, true, func(*netfs.Host) {}},
		{"slots replaced", "slots by symlink, two hosts", probe.OneHost, true, func(h *netfs.Host) { h.Share = twice{h.Share} }},
		{"names late, as known", "new names on the second host", probe.Note, false, lateBy(80 * time.Millisecond)},
		{"names late, not as known", "new names on the second host", probe.OneHost, true, lateBy(80 * time.Millisecond)},
		{"names far too late", "new names on the second host", probe.OneHost, false, lateBy(2 * time.Second)},
	} {
		t.Run(d.what, func(t *testing.T) {
			var reports [2]probe.Report
			run := func(i int) func(ctx context.Context, h *netfs.Host) {
				return func(ctx context.Context, h *netfs.Host) {
					d.breaks(h)
					h.Profile.NamesFollow = d.follow
					if err := probe.Peer(ctx, h, probe.Options{}, &reports[i]); err != nil {
						t.Error(err)
					}
				}
			}
			simulated(t, simfs.Options{Seed: 3}, run(0), run(1))
			for _, r := range reports {
				if f, ok := find(&r, d.check); !ok || f.Grade != d.grade {
					t.Errorf("%+v, want %v", f, d.grade)
				}
				if r.Grade() != d.grade {
					t.Errorf("the whole is %v, want %v: %+v", r.Grade(), d.grade, r.Findings)
				}
			}
		})
	}
}

// TestPeerInOneTick: two probes hear each other on NFSv3, where a listing that
// is made in the tick of a change goes on showing what was before (H35).
func TestPeerInOneTick(t *testing.T) {
	share, ok := simfs.ShareNamed("nfs3")
	if !ok {
		t.Fatal("the simulator has no NFSv3")
	}
	for seed := range uint64(10) {
		o := simfs.Options{Seed: seed}
		share.Set(&o)
		run := func(ctx context.Context, h *netfs.Host) {
			if err := probe.Peer(ctx, h, probe.Options{}, &probe.Report{}); err != nil {
				t.Errorf("seed %d: %v", seed, err)
			}
		}
		simulated(t, o, run, run)
	}
}
