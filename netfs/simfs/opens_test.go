package simfs_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// openly makes a simulation of a kind of share that minds open files.
func openly(share string, seed uint64) simfs.Options {
	o := on(share, seed, simfs.Faults{})
	switch share {
	case "nfs4":
		o.Able.Silly = ".nfs"
	case "smb":
		o.Able.Busy, o.Able.Gap = true, true
	case "fuse":
		o.Able.Gap = true
	}
	return o
}

// opened runs fn on a share with a file f in a directory d, which h has open.
func opened(t *testing.T, share string, fn func(t *testing.T, s *simfs.Sim, h *netfs.Host, f netfs.File)) {
	t.Helper()
	simfs.Run(t, openly(share, 1), func(t *testing.T, s *simfs.Sim) {
		if err := s.Server().WriteFile("d/f", []byte("text")); err != nil {
			t.Fatal(err)
		}
		h := s.Host("a")
		f, err := h.Share.Open(t.Context(), "d/f")
		if err != nil {
			t.Fatal(err)
		}
		fn(t, s, h, f)
	})
}

// A client that removes what it has open itself renames it until the last
// handle is closed; the directory cannot be removed meanwhile (H25).
func TestSillyRename(t *testing.T) {
	opened(t, "nfs4", func(t *testing.T, s *simfs.Sim, h *netfs.Host, f netfs.File) {
		ctx := t.Context()
		if err := s.Process(h, "a2").Share.Remove(ctx, "d/f"); err != nil {
			t.Error(err)
		}
		names, _ := s.Server().List("d")
		if len(names) != 1 || !strings.HasPrefix(names[0], ".nfs") {
			t.Fatalf("in the directory: %q", names)
		}
		if err := h.Share.Remove(ctx, "d/"+names[0]); err == nil {
			t.Error("the silly name could be removed")
		}
		if err := h.Share.Remove(ctx, "d"); err == nil {
			t.Error("the directory could be removed")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if names, _ := s.Server().List("d"); len(names) != 0 {
			t.Errorf("after the close: %q", names)
		}
	})
	opened(t, "nfs4", func(t *testing.T, s *simfs.Sim, _ *netfs.Host, _ netfs.File) {
		if err := s.Host("b").Share.Remove(t.Context(), "d/f"); err != nil {
			t.Error(err)
		}
		if names, _ := s.Server().List("d"); len(names) != 0 {
			t.Errorf("after another computer removed it: %q", names)
		}
	})
}

// Of some computers that crash the silly name stays.
func TestSillyLitter(t *testing.T) {
	left := 0
	const seeds = 20
	for seed := range uint64(seeds) {
		o := openly("nfs4", seed)
		o.CrashAt = &simfs.At{Host: "a", Op: 2}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			_ = s.Server().WriteFile("f", nil)
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				f, err := h.Share.Open(ctx, "f")
				if err == nil {
					_ = h.Share.Remove(ctx, "f")
					_ = f.Close()
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			names, _ := s.Server().List(".")
			left += len(names)
		})
	}
	if left == 0 || left == seeds {
		t.Errorf("%d of %d names stayed", left, seeds)
	}
}

// On SMB what is open is not replaced, its directory is not renamed, and once
// it is removed it has its name until it is closed (H14, H27).
func TestBusy(t *testing.T) {
	opened(t, "smb", func(t *testing.T, s *simfs.Sim, _ *netfs.Host, f netfs.File) {
		ctx, b := t.Context(), s.Host("b").Share
		_ = s.Server().WriteFile("other", []byte("other"))
		before := s.Server().Dump()
		for _, names := range [][2]string{{"other", "d/f"}, {"d", "e"}} {
			if err := b.Rename(ctx, names[0], names[1]); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("rename %s to %s: %v", names[0], names[1], err)
			}
		}
		if err := b.Remove(ctx, "d/f"); err != nil {
			t.Error(err)
		}
		if after := s.Server().Dump(); after != before {
			t.Errorf("the tree changed:\n%s", after)
		}
		time.Sleep(2 * time.Second) // the client forgets
		if _, err := b.Open(ctx, "d/f"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("open what is removed: %v", err)
		}
		if _, err := b.Create(ctx, "d/f", 0o600); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("create what is removed: %v", err)
		}
		if err := b.Remove(ctx, "d"); err == nil {
			t.Error("the directory could be removed")
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if names, _ := s.Server().List("d"); len(names) != 0 {
			t.Errorf("after the close: %q", names)
		}
	})
}

// A rename that replaces a name lets others see that there is none: where the
// target is removed first, and where the client has it open (H13, H15, H17).
func TestRenameGap(t *testing.T) {
	for _, c := range []struct {
		share     string
		open, gap bool
	}{{"smb", false, true}, {"fuse", false, true}, {"nfs4", false, false}, {"nfs4", true, true}, {"local", true, false}} {
		gaps := 0
		for seed := range uint64(40) {
			simfs.Run(t, openly(c.share, seed), func(t *testing.T, s *simfs.Sim) {
				for _, name := range []string{"new", "slot"} {
					_ = s.Server().WriteFile(name, []byte(name))
				}
				s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
					if c.open {
						if _, err := h.Share.Open(ctx, "slot"); err != nil {
							t.Error(err)
						}
					}
					if err := h.Share.Rename(ctx, "new", "slot"); err != nil {
						t.Error(err)
					}
				})
				s.Go(s.Host("b"), func(ctx context.Context, h *netfs.Host) {
					for range 3 {
						names, err := h.Share.ReadDir(ctx, ".")
						if err != nil {
							t.Error(err)
						}
						if !slices.Contains(names, "slot") {
							gaps++
						}
					}
				})
				if err := s.Run(); err != nil {
					t.Fatal(err)
				}
				if got := s.Server().Dump(); got != "slot \"new\"\n" {
					t.Errorf("%s: in the end\n%s", c.share, got)
				}
			})
		}
		if (gaps > 0) != c.gap {
			t.Errorf("%s, open %t: %d gaps were seen", c.share, c.open, gaps)
		}
	}
}
