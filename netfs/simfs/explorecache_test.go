package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// nameTrials makes a model of two hosts that do four random things each with
// three names, one of them a directory's, and tells ended what they saw.
func nameTrials(share simfs.Share, seed uint64, ended func(string)) simfs.Model {
	m := simfs.Model{
		Setup: func(s *simfs.Sim) error { return s.Server().MkdirAll("d/sub") },
		Start: func(s *simfs.Sim) func() error {
			r := rand.New(rand.NewPCG(seed, 0))
			var saw [2]string
			for i := range saw {
				var steps [4]func(context.Context, netfs.FS) string
				for k := range steps {
					steps[k] = nameStep(r)
				}
				s.Go(s.Host(fmt.Sprintf("h%d", i)), func(ctx context.Context, h *netfs.Host) {
					for _, step := range steps {
						saw[i] += step(ctx, h.Share) + ";"
					}
				})
			}
			return func() error { ended(saw[0] + saw[1]); return nil }
		},
	}
	share.Set(&m.Options)
	m.Options.HoldDirs = false
	return m
}

// nameStep chooses one call, which tells its outcome.
func nameStep(r *rand.Rand) func(context.Context, netfs.FS) string {
	names := []string{"d/a", "d/b", "d/sub/a"}
	name, other := names[r.IntN(3)], names[r.IntN(3)]
	told := func(err error) string { return fmt.Sprint(err == nil) }
	steps := []func(context.Context, netfs.FS) string{
		func(ctx context.Context, f netfs.FS) string { _, err := f.Stat(ctx, name); return told(err) },
		func(ctx context.Context, f netfs.FS) string { return told(f.Mkdir(ctx, name, 0o700)) },
		func(ctx context.Context, f netfs.FS) string { return told(f.Rename(ctx, name, other)) },
		func(ctx context.Context, f netfs.FS) string { return told(f.Rename(ctx, "d/sub", "d/a")) },
		func(ctx context.Context, f netfs.FS) string { return told(f.Remove(ctx, name)) },
		func(ctx context.Context, f netfs.FS) string {
			l, err := f.ReadDir(ctx, "d")
			return strings.Join(l, ",") + told(err)
		},
		func(ctx context.Context, f netfs.FS) string {
			sub, err := f.Sub(ctx, "d/sub")
			if err != nil {
				return told(err)
			}
			_, err = sub.Stat(ctx, "a")
			return "in " + told(err) + told(sub.Close())
		},
	}
	return steps[r.IntN(len(steps))]
}

// Whatever hosts see on a share of any kind, with what their clients remember,
// the explorer sees too, although it explores no state twice. Two changes are
// in one tick there, so a client that goes by stamps sees more elsewhere.
func TestExploreCaches(t *testing.T) {
	const seeds, runs = 30, 60
	for _, share := range simfs.Shares() {
		t.Run(share.Name, func(t *testing.T) {
			merged := 0
			for seed := range uint64(seeds) {
				found := map[string]bool{}
				m := nameTrials(share, seed, func(saw string) { found[saw] = true })
				got := simfs.Explore(t, m, simfs.Bound{Switches: -1})
				if got.Failure != nil || !got.Complete {
					t.Fatalf("%v, %s", got.Failure, got)
				}
				merged += got.Runs - len(found)
				for run := range uint64(runs) {
					saw := ""
					m := nameTrials(share, seed, func(s string) { saw = s })
					if share.Cache.Coarse {
						m.Options.Tick = m.Options.Profile.Grain
					}
					m.Options.Seed = run
					simfs.Run(t, m.Options, func(t *testing.T, s *simfs.Sim) {
						if err := m.Setup(s); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Hour) // as for the explorer
						judge := m.Start(s)
						if err := s.Run(); err != nil {
							t.Fatal(err)
						}
						if err := judge(); err != nil {
							t.Fatal(err)
						}
					})
					if !found[saw] {
						t.Fatalf("seed %d, run %d: %q is none of the %d that were explored", seed, run, saw, len(found))
					}
				}
			}
			if merged == 0 {
				t.Error("no two ways led to one end")
			}
		})
	}
}

// A process goes on in the directory that it has found, whatever that is
// called now.
func TestExploreTrees(t *testing.T) {
	ends := map[string]bool{}
	m := simfs.Model{
		Setup: func(s *simfs.Sim) error { return s.Server().MkdirAll("d/a") },
		Start: func(s *simfs.Sim) func() error {
			found, end := "not there", "first"
			s.Go(s.Host("in"), func(ctx context.Context, h *netfs.Host) {
				d, err := h.Share.Sub(ctx, "d")
				if err != nil {
					return
				}
				found = "new"
				if _, err := d.Stat(ctx, "a"); err == nil {
					found = "old"
				}
				_ = h.Share.Symlink(ctx, "x", "done")
			})
			s.Go(s.Host("mover"), func(ctx context.Context, h *netfs.Host) {
				err := errors.Join(h.Share.Rename(ctx, "d", "e"), h.Share.Mkdir(ctx, "d", 0o700))
				if _, serr := h.Share.Readlink(ctx, "done"); err == nil && serr == nil {
					end = "last"
				}
			})
			return func() error { ends[found+" "+end] = true; return nil }
		},
	}
	got := simfs.Explore(t, m, simfs.Bound{Switches: -1})
	for _, end := range []string{"not there first", "old first", "old last", "new first", "new last"} {
		if !ends[end] || !got.Complete {
			t.Errorf("%s, ends %v, not %q", got, ends, end)
		}
	}
}
