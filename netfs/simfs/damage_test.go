package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// powerFails makes ten links, of which the first three are synced, and lets
// the power fail afterwards; it returns how many are left.
func powerFails(t *testing.T, share string, seed uint64) (left int, dump string) {
	o := simfs.Case{Seed: seed, Share: share}.Options()
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		h := s.Host("a")
		s.Go(h, func(ctx context.Context, h *netfs.Host) {
			s.SetFaults(simfs.Faults{Forget: 1e-9}) // the past is kept from here on
			for i := range 10 {
				if err := h.Share.Symlink(ctx, "target", fmt.Sprint("l", i)); err != nil {
					t.Error(err)
				}
				if i == 2 {
					_ = h.Share.SyncDir(ctx, ".")
				}
			}
			s.SetFaultsKeepingPast(simfs.Faults{PowerLoss: 1, EmptyLink: 1})
			if _, err := h.Share.Stat(ctx, "."); err != simfs.ErrDead {
				t.Errorf("after the power failed: %v", err)
			}
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		names, err := s.Server().List(".")
		if err != nil || !s.Crashed(h) || s.Disasters() != 1 {
			t.Errorf("crashed %v, %d disasters, %v", s.Crashed(h), s.Disasters(), err)
		}
		left, dump = len(names), s.Server().Dump()
	})
	return left, dump
}

// A power failure leaves what was synced, and of the rest what came first, the
// last of it perhaps an empty link. A server whose directories need no sync
// loses nothing.
func TestPowerLoss(t *testing.T) {
	lengths, empty := map[int]bool{}, 0
	for seed := range uint64(40) {
		left, dump := powerFails(t, "local", seed)
		lengths[left] = true
		if n := strings.Count(dump, `-> ""`); n > 1 || n == 1 && left <= 3 {
			t.Errorf("%d empty links:\n%s", n, dump)
		} else {
			empty += n
		}
		if n, _ := powerFails(t, "nfs4", seed); n != 10 {
			t.Errorf("the server has lost %d links", 10-n)
		}
	}
	for n := range 11 {
		if lengths[n] != (n >= 3) {
			t.Errorf("%d links were left: %v", n, lengths[n])
		}
	}
	if empty == 0 {
		t.Error("no link was empty")
	}
}

// A power failure empties a file whose name is durable and whose content is
// not.
func TestPowerLossOfContent(t *testing.T) {
	for _, synced := range []bool{false, true} {
		o := simfs.Case{Share: "local"}.Options()
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				s.SetFaults(simfs.Faults{Forget: 1e-9}) // the past is kept from here on
				w, err := h.Share.Create(ctx, "f", 0o600)
				if err == nil {
					_, err = io.WriteString(w, "text")
				}
				if synced && err == nil {
					err = w.Sync()
				}
				if err = errors.Join(err, w.Close(), h.Share.SyncDir(ctx, ".")); err != nil {
					t.Error(err)
				}
				s.SetFaultsKeepingPast(simfs.Faults{PowerLoss: 1})
				_, _ = h.Share.Stat(ctx, ".")
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			got, err := s.Server().ReadFile("f")
			if err != nil || string(got) != map[bool]string{true: "text"}[synced] {
				t.Errorf("synced %v: the file has %q, %v", synced, got, err)
			}
		})
	}
}

// A server that forgets loses the last changes alone, and does not know the
// handles of what they made.
func TestForget(t *testing.T) {
	losses := map[int]bool{}
	for seed := range uint64(40) {
		simfs.Run(t, simfs.Options{Seed: seed}, func(t *testing.T, s *simfs.Sim) {
			s.SetFaults(simfs.Faults{Forget: 1e-9})
			s.Go(s.Host("a"), func(ctx context.Context, h *netfs.Host) {
				var w netfs.File
				for i := range 6 {
					var err error
					if w, err = h.Share.Create(ctx, fmt.Sprint(i), 0o600); err != nil {
						t.Error(err)
						return
					}
				}
				_, _ = io.WriteString(w, "text")
				s.SetFaultsKeepingPast(simfs.Faults{Forget: 1, ForgetMax: 4})
				names, err := h.Share.ReadDir(ctx, ".")
				s.SetFaultsKeepingPast(simfs.Faults{})
				if strings.Join(names, "") != "012345"[:len(names)] || err != nil {
					t.Errorf("left are %q, %v", names, err)
				}
				losses[6-len(names)] = true
				if err := w.Sync(); !errors.Is(err, syscall.ESTALE) {
					t.Errorf("sync of a forgotten file: %v", err)
				}
			})
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if fmt.Sprint(losses) != "map[1:true 2:true 3:true 4:true]" {
		t.Errorf("lost were %v", losses)
	}
}

// A share that is restored is as it was; what came later is gone.
func TestRestore(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		ctx, srv := t.Context(), s.Server()
		f := s.Host("a").Share
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(srv.WriteFile("d/f", []byte("one")))
		must(srv.Symlink("x", "d/l"))
		before, shot := srv.Dump(), srv.Snapshot()
		must(f.Rename(ctx, "d/f", "d/g"))
		must(srv.WriteFile("d/g", []byte("two")))
		must(f.Remove(ctx, "d/l"))
		must(f.Mkdir(ctx, "d/new", 0o700))
		later, err := f.Sub(ctx, "d/new")
		must(err)
		srv.Restore(shot)
		if got := srv.Dump(); got != before {
			t.Errorf("restored:\n%swant:\n%s", got, before)
		}
		if err := later.Symlink(ctx, "x", "y"); !errors.Is(err, syscall.ESTALE) {
			t.Errorf("in what is gone: %v", err)
		}
		if _, err := f.Stat(ctx, "d/new"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("what came later: %v", err)
		}
	})
}
