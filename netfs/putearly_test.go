package netfs_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// A client that looked for a name in the tick in which another host put it there
// finds out when it puts the same name itself, whatever it remembers: on NFSv3
// a RENAME that fails leaves the name absent for it, until it lists the directory
// (seen in the lab).
func TestPutAfterEarlyLook(t *testing.T) {
	for _, share := range simfs.Shares() {
		for _, way := range []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir} {
			if way == netfs.ViaSymlink && share.Able.NoSymlinks != 0 || way == netfs.ViaLink && share.Able.NoLinks != 0 {
				continue
			}
			t.Run(share.Name+" by "+way.String(), func(t *testing.T) {
				o := simfs.Options{Pace: share.Tick / 10}
				share.Set(&o)
				simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
					ctx := context.Background()
					a, b := s.Host("a"), s.Host("b")
					for i := range 20 {
						name := fmt.Sprint(i)
						if _, err := way.Get(ctx, b.Share, name); !errors.Is(err, fs.ErrNotExist) {
							t.Fatal(err)
						}
						if _, err := way.Put(ctx, a, a.Share, name, "first"); err != nil {
							t.Fatal(err)
						}
						got, err := way.Put(ctx, b, b.Share, name, "other")
						if got != "first" || !errors.Is(err, fs.ErrExist) || errors.Is(err, netfs.ErrUncertain) {
							t.Errorf("put %s: %q, %v; want what was first", name, got, err)
						}
					}
				})
			})
		}
	}
}
