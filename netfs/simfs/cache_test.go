package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// early lets b look names up just before a makes them and again after a forced
// stat of the directory, and counts how many b misses. The server's clock
// ticks every ten calls.
func early(t *testing.T, share simfs.Share, look func(b *netfs.Host, name string) bool) (missed int) {
	o := simfs.Options{Pace: share.Tick / 10}
	share.Set(&o)
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		a, b := s.Host("a"), s.Host("b")
		for i := range 50 {
			name := fmt.Sprint(i)
			if _, err := b.Share.Stat(ctx, name); !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if err := a.Share.Mkdir(ctx, name, 0o700); err != nil {
				t.Fatal(err)
			}
			if !look(b, name) {
				missed++
			}
		}
	})
	return missed
}

// What clients miss is what the kernels' clients missed (measured on NFSv3, 4.2,
// SMB3 and kAFS): without a forced stat of the directory, after one, and by the
// rule of [netfs.Watch], by which nothing is missed.
func TestEarlyLook(t *testing.T) {
	found := func(b *netfs.Host, name string) bool {
		_, err := b.Share.Stat(context.Background(), name)
		return err == nil
	}
	for name, want := range map[string][2][2]int{ // least and most
		"nfs3": {{50, 50}, {25, 49}}, "nfs4": {{50, 50}, {0, 0}}, "smb": {{50, 50}, {50, 50}},
		"smb-plain": {{50, 50}, {50, 50}}, "smb-fat": {{50, 50}, {50, 50}}, "afs": {}, "ceph": {}, "fuse": {}, "local": {},
	} {
		t.Run(name, func(t *testing.T) {
			share, ok := simfs.ShareNamed(name)
			if !ok {
				t.Fatal("there is no such share")
			}
			plain := early(t, share, found)
			forced := early(t, share, func(b *netfs.Host, name string) bool {
				_, err := netfs.Fresh(context.Background(), b.Share, ".")
				return err == nil && found(b, name)
			})
			for i, n := range []int{plain, forced} {
				if n < want[i][0] || n > want[i][1] {
					t.Errorf("missed %d of 50, want %d; with a forced stat: %v", n, want[i], i == 1)
				}
			}
			if missed := byRule(t, share, found); missed > 0 {
				t.Errorf("missed %d of 50 by the rule", missed)
			}
		})
	}
}

// byRule lets b look only when a Watch says so, twice before and after a makes
// a name, and counts the names that b does not find.
func byRule(t *testing.T, share simfs.Share, found func(b *netfs.Host, name string) bool) (missed int) {
	o := simfs.Options{Pace: share.Tick / 10}
	share.Set(&o)
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		a, b := s.Host("a"), s.Host("b")
		var w netfs.Watch
		for i := range 50 {
			name, seen := fmt.Sprint(i), false
			for poll := range 4 {
				if poll == 2 {
					f, err := a.Share.Create(t.Context(), name, 0o600) // no directory: it would show in the link count
					if err == nil {
						err = f.Close()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				changed, err := w.Changed(t.Context(), b, b.Share, ".")
				if err != nil {
					t.Fatal(err)
				}
				seen = changed && found(b, name) || seen
			}
			if !seen {
				missed++
			}
		}
	})
	return missed
}

// What a client remembers, it shares among its processes, and forgets when
// others change the directory and it is told so.
func TestNameCache(t *testing.T) {
	share, _ := simfs.ShareNamed("nfs4")
	var o simfs.Options
	share.Set(&o)
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		ctx := t.Context()
		a := s.Host("a")
		b, c := s.Process(a, "b"), s.Host("c")
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		sees := func(h *netfs.Host, name string, want bool) {
			t.Helper()
			if _, err := h.Share.Stat(ctx, name); (err == nil) != want {
				t.Errorf("%s sees %s: %v, want %v", h.Tag, name, err, want)
			}
		}
		sees(a, "f", false)
		must(write(ctx, c.Share, "f", "text"))
		sees(a, "f", false)
		sees(b, "f", false)
		must(write(ctx, b.Share, "g", "")) // by which b is told that there was another change
		sees(a, "f", true)
		must(c.Share.Rename(ctx, "f", "h"))
		sees(a, "f", true) // the file is there, and a knows it by this name
		sees(a, "h", true)
		time.Sleep(31 * time.Second)
		sees(a, "f", false)
		must(c.Share.Symlink(ctx, "target", "l"))
		sees(a, "l", true)
		got, err := a.Share.Readlink(ctx, "l")
		must(err)
		must(c.Share.Remove(ctx, "l"))
		again, err := a.Share.Readlink(ctx, "l")
		if got != "target" || again != got || err != nil {
			t.Errorf("the link of before says %q and %q, %v", got, again, err)
		}
		sees(a, "l", false) // asks for the link itself
		if err := a.Share.Mkdir(ctx, "h", 0o700); !errors.Is(err, fs.ErrExist) {
			t.Errorf("mkdir over a remembered name: %v", err)
		}
	})
}

// AFS makes no hard link to another directory, and leaves a file with two
// names in its own.
func TestOneDir(t *testing.T) {
	share, _ := simfs.ShareNamed("afs")
	var o simfs.Options
	share.Set(&o)
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		ctx, f := t.Context(), s.Host("a").Share
		for _, err := range []error{f.Mkdir(ctx, "d", 0o700), write(ctx, f, "f", ""), f.Link(ctx, "f", "g")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		for what, err := range map[string]error{"link": f.Link(ctx, "f", "d/f"), "rename": f.Rename(ctx, "f", "d/f")} {
			if !netfs.Unsupported(err) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if err := errors.Join(f.Rename(ctx, "f", "h"), f.Remove(ctx, "g"), f.Rename(ctx, "h", "d/h")); err != nil {
			t.Error(err)
		}
		if err := f.SyncDir(ctx, "."); err == nil {
			t.Error("a directory can be synced")
		}
	})
}

// On SMB names are one whatever the case of their letters, and some characters
// are refused.
func TestFold(t *testing.T) {
	share, _ := simfs.ShareNamed("smb-plain")
	var o simfs.Options
	share.Set(&o)
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		ctx, f := t.Context(), s.Host("a").Share
		for _, name := range []string{"Name", "b", "C"} {
			if err := write(ctx, f, name, name); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Mkdir(ctx, "NAME", 0o700); !errors.Is(err, fs.ErrExist) {
			t.Errorf("mkdir: %v", err)
		}
		got, err := s.Server().ReadFile("nAmE")
		names, lerr := f.ReadDir(ctx, ".")
		if string(got) != "Name" || fmt.Sprint(names) != "[C Name b]" || errors.Join(err, lerr) != nil {
			t.Errorf("%q, %q, %v", got, names, errors.Join(err, lerr))
		}
		if err := write(ctx, f, "a:2,S", ""); err == nil {
			t.Error("a name with a colon was made")
		}
	})
}

// A slot that is a directory and was moved aside, and has lost its record
// there, is no damage to a client that still knows the directory by its name.
func TestSlotMovedAside(t *testing.T) {
	share, _ := simfs.ShareNamed("nfs4")
	var o simfs.Options
	share.Set(&o)
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		ctx, way := t.Context(), netfs.ViaDir
		a, b := s.Host("a"), s.Host("b")
		if _, err := way.Put(ctx, a, a.Share, "1", "record"); err != nil {
			t.Fatal(err)
		}
		if got, err := way.Get(ctx, b.Share, "1"); got != "record" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
		if err := errors.Join(a.Share.Rename(ctx, "1", ".t.x"), a.Share.Remove(ctx, ".t.x/r")); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Share.Stat(ctx, "1"); err != nil {
			t.Errorf("the client has forgotten the name: %v", err)
		}
		if _, err := way.Get(ctx, b.Share, "1"); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, netfs.ErrIrregular) {
			t.Errorf("the slot is gone: %v", err)
		}
	})
}
