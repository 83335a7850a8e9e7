package spool_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// noLinks is a share without links: all of them, or the hard ones.
type noLinks struct {
	netfs.FS
	symlinks bool
	denial   error // of hard links
}

func (f noLinks) Link(context.Context, string, string) error { return f.denial }

func (f noLinks) Symlink(ctx context.Context, target, name string) error {
	if !f.symlinks {
		return syscall.EPERM
	}
	return f.FS.Symlink(ctx, target, name)
}

// Where hard links do not say whose marker was first, all hosts that make a
// spool at the same time still agree on one.
func TestInitRace(t *testing.T) {
	for seed := range uint64(60) {
		o := simfs.Options{Seed: seed, HoldDirs: true, TraceLen: 1000}
		if seed%2 == 0 {
			o.Faults = simfs.Faults{Crash: 0.005, Pause: 0.05, Fail: 0.02, Lost: 0.02, Twice: 0.02, Late: 0.02, Echo: 0.02}
		}
		want := netfs.ViaDir.String()
		if seed%3 == 0 {
			want = netfs.ViaSymlink.String()
		}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			made := make([]string, 3)
			host := func(name string) (h, bare *netfs.Host) {
				h = s.Host(name)
				c := *h
				c.Share = noLinks{h.Share, seed%3 == 0, []error{syscall.EOPNOTSUPP, syscall.EPERM, syscall.EACCES}[seed%4%3]}
				return h, &c
			}
			for i := range made {
				h, bare := host(fmt.Sprint("h", i))
				s.Go(h, func(ctx context.Context, _ *netfs.Host) {
					if sp, err := spool.Init(ctx, bare, spool.InitOptions{}); err == nil {
						made[i] = sp.Marker.Share
					}
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			s.SetFaults(simfs.Faults{})
			_, late := host("late")
			if _, err := spool.Init(t.Context(), late, spool.InitOptions{}); err != nil && !errors.Is(err, spool.ErrExists) {
				t.Errorf("the next init: %v", err)
			}
			sp, err := spool.Open(t.Context(), s.Host("check"))
			if err != nil || sp.Marker.Slots != want {
				t.Fatalf("%+v, %v; want slots by %s", sp, err, want)
			}
			for i, share := range made {
				if share != "" && share != sp.Marker.Share {
					t.Errorf("h%d made the spool %s, and it is %s", i, share, sp.Marker.Share)
				}
			}
		})
	}
}
