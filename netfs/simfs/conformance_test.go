package simfs_test

import (
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/netfstest"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// The simulator keeps the contract that real file systems are held to, on
// every kind of share, by two hosts and by two processes of one, whether or not
// several calls fall into one tick of the server's clock.
func TestConformance(t *testing.T) {
	for _, share := range simfs.Shares() {
		for _, name := range []string{"hosts", "processes", "hosts in one tick"} {
			t.Run(share.Name+"/"+name, func(t *testing.T) {
				o := simfs.Options{Pace: min(share.Tick, time.Second) + 1}
				if name == "hosts in one tick" {
					o.Pace = share.Tick / 50
				}
				share.Set(&o)
				netfstest.Run(t, func(t *testing.T, fn func(t *testing.T, a, b *netfs.Host)) {
					simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
						a := s.Host("a")
						b := s.Process(a, "b")
						if name != "processes" {
							b = s.Host("b")
						}
						fn(t, a, b)
					})
				})
			})
		}
	}
	t.Run("no caches, no time", func(t *testing.T) {
		netfstest.Run(t, func(t *testing.T, fn func(t *testing.T, a, b *netfs.Host)) {
			simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) { fn(t, s.Host("a"), s.Host("b")) })
		})
	})
}
