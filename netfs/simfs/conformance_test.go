package simfs_test

import (
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/netfstest"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// The simulator keeps the contract that real file systems are held to.
func TestConformance(t *testing.T) {
	nfs3 := netfs.ProfileFor("nfs", []string{"vers=3"})
	for name, o := range map[string]simfs.Options{
		"nfs4":              {},
		"nfs3, held":        {HoldDirs: true, Profile: nfs3},
		"local, held":       {HoldDirs: true, Profile: netfs.ProfileFor("local", nil)},
		"fuse, coarse tick": {Profile: netfs.ProfileFor("fuse", nil), Tick: 1000e6},
	} {
		t.Run(name, func(t *testing.T) {
			netfstest.Run(t, func(t *testing.T, fn func(t *testing.T, a, b *netfs.Host)) {
				simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) { fn(t, s.Host("a"), s.Host("b")) })
			})
		})
	}
}
