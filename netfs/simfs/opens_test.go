package simfs_test

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// opened runs fn on a share with a file f in a directory d, which h has open.
func opened(t *testing.T, share string, fn func(t *testing.T, s *simfs.Sim, h *netfs.Host, f netfs.File)) {
	t.Helper()
	simfs.Run(t, on(share, 1, simfs.Faults{}), func(t *testing.T, s *simfs.Sim) {
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
		o := on("nfs4", seed, simfs.Faults{})
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

// With an older client what is open cannot be renamed either (H14).
func TestBusySource(t *testing.T) {
	for _, share := range []string{"smb", "smb-plain"} {
		opened(t, share, func(t *testing.T, s *simfs.Sim, h *netfs.Host, f netfs.File) {
			err := h.Share.Rename(t.Context(), "d/f", "d/g")
			if want := share == "smb-plain"; errors.Is(err, fs.ErrPermission) != want || !want && err != nil {
				t.Errorf("%s: rename of what is open: %v", share, err)
			}
			if err := errors.Join(f.Close(), s.Server().WriteFile("d/h", nil), h.Share.Rename(t.Context(), "d/h", "d/i")); err != nil {
				t.Error(err)
			}
		})
	}
}

// A handle whose reply was lost is closed by the client's kernel: it keeps no
// removed file.
func TestLostHandle(t *testing.T) {
	for _, fault := range []simfs.Faults{{Twice: 1}, {Lost: 1}} {
		o := on("smb", 1, fault)
		o.MaxFaults = 1
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				if f, err := h.Share.Create(ctx, "f", 0o600); err == nil {
					_ = f.Close()
				}
				if err := h.Share.Remove(ctx, "f"); err != nil {
					t.Error(err)
				}
				if names, err := s.Server().List("."); err != nil || len(names) != 0 {
					t.Errorf("%+v: after the removal there is %q, %v", fault, names, err)
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A server that forgets handles makes its clients walk anew, and leaves them
// nothing to walk from where a tree begins (H109).
func TestStaleDir(t *testing.T) {
	ended, moved := 0, 0
	for seed := range uint64(20) {
		o := on("nfs4", seed, simfs.Faults{StaleDir: 1})
		o.MaxFaults = 1
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			srv := s.Server()
			if err := errors.Join(srv.WriteFile("top/d/old", nil), srv.WriteFile("e/new", nil)); err != nil {
				t.Fatal(err)
			}
			h := s.Host("a")
			top, err := h.Share.Sub(t.Context(), "top")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := top.Stat(t.Context(), "d/old"); err != nil { // holds d
				t.Fatal(err)
			}
			b := s.Host("b").Share
			if err := errors.Join(b.Rename(t.Context(), "top/d", "f"), b.Rename(t.Context(), "e", "top/d")); err != nil {
				t.Fatal(err)
			}
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				_ = h.Sleep(ctx, time.Minute) // the client forgets names
				_, err := top.ReadDir(ctx, "d")
				_, again := top.ReadDir(ctx, "d")
				names, _ := top.ReadDir(ctx, "d")
				switch {
				case errors.Is(err, syscall.ESTALE) && errors.Is(again, syscall.ESTALE):
					ended++
				case slices.Equal(names, []string{"new"}):
					moved++
				}
				if _, err := h.Share.ReadDir(ctx, "top"); err != nil {
					t.Errorf("below the share's root: %v", err)
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if ended < 3 || moved < 3 {
		t.Errorf("%d trees ended, %d went to the new directory", ended, moved)
	}
}

// A rename that replaces a name lets others see that there is none: where the
// target is removed first, and where the client has it open (H13, H15, H17).
func TestRenameGap(t *testing.T) {
	for _, c := range []struct {
		share     string
		open, gap bool
	}{{"smb-plain", false, true}, {"smb", false, false}, {"fuse", false, true}, {"nfs4", false, false}, {"nfs4", true, true}, {"local", true, false}} {
		gaps := 0
		for seed := range uint64(40) {
			simfs.Run(t, on(c.share, seed, simfs.Faults{}), func(t *testing.T, s *simfs.Sim) {
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
