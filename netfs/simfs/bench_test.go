package simfs_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// mixed makes at least n operations of all kinds in a directory of its own and
// one that all share. It goes on after every error but the end of ctx.
func mixed(ctx context.Context, h *netfs.Host, n int) {
	own := "d" + h.Tag
	_ = h.Share.Mkdir(ctx, own, 0o700)
	data := []byte("some line of text that is written to a file\n")
	buf := make([]byte, 64)
	for i, ops := 0, 0; ops < n && ctx.Err() == nil; i, ops = i+1, ops+12 {
		temp, name := fmt.Sprintf("%s/t%d", own, i), fmt.Sprintf("%s/f%d", own, i)
		if f, err := h.Share.Create(ctx, temp, 0o600); err == nil {
			_, _ = f.Write(data)
			_ = f.Sync()
			_ = f.Close()
		}
		_ = h.Share.Rename(ctx, temp, name)
		_ = h.Share.Symlink(ctx, h.Tag, fmt.Sprintf("s%d", i))
		_, _ = h.Share.Readlink(ctx, fmt.Sprintf("s%d", i))
		_, _ = h.Share.Stat(ctx, ".")
		if f, err := h.Share.Open(ctx, name); err == nil {
			_, _ = f.Read(buf)
			_ = f.Close()
		}
		_ = h.Share.Remove(ctx, name)
	}
}

// BenchmarkOps measures operations of four processes; one iteration is about
// one operation. No timer is touched in the bubble: its clock is a fake.
func BenchmarkOps(b *testing.B) {
	for _, c := range []struct {
		name   string
		faults simfs.Faults
	}{{"calm", simfs.Faults{}}, {"faults", someFaults}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			steps := 0
			bubble(b, simfs.Options{Seed: 1, Faults: c.faults, MaxOps: 1 << 40}, func(s *simfs.Sim) {
				var hosts []*netfs.Host
				for i := range 4 {
					h := s.Host(fmt.Sprintf("h%d", i))
					hosts = append(hosts, h)
					s.Go(h, func(ctx context.Context, h *netfs.Host) { mixed(ctx, h, b.N/4) })
				}
				if err := s.Run(); err != nil {
					b.Error(err)
				}
				for _, h := range hosts {
					steps += s.OpsOf(h)
				}
			})
			b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "ops/s")
		})
	}
}

// bubble makes a bubble in a benchmark, which synctest itself has not.
func bubble(b *testing.B, o simfs.Options, fn func(s *simfs.Sim)) {
	all := func(string, string) (bool, error) { return true, nil }
	ok := testing.RunTests(all, []testing.InternalTest{{
		Name: "bubble",
		F: func(t *testing.T) {
			simfs.Run(t, o, func(_ *testing.T, s *simfs.Sim) { fn(s) })
		},
	}})
	if !ok {
		b.Fail()
	}
}
