package spool_test

import (
	"context"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// What was acknowledged before the power fails is there afterwards, on a disk
// that keeps of the rest what it likes.
func TestPowerFails(t *testing.T) {
	for seed := range uint64(12) {
		o := simfs.Case{Seed: seed, Share: "local"}.Options()
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			h := s.Host("a")
			makeAlice(t, h, "")
			b := inboxAt(t, h)
			m := open(t, b)
			in := receive(t, b, "Subject: appended\n\n")
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				s.SetFaults(simfs.Faults{Forget: 1e-9}) // the past is kept from here on
				mustPut(t, b, "Subject: delivered\n\n")
				if seed%2 == 0 {
					if _, err := m.Append(ctx, spool.NewMessage{In: in}); err != nil {
						t.Error(err)
					}
				}
				s.SetFaultsKeepingPast(simfs.Faults{PowerLoss: 1})
				_, _ = h.Share.Stat(ctx, ".")
			})
			if err := s.Run(); err != nil || s.Disasters() != 1 {
				t.Fatalf("%d disasters, %v", s.Disasters(), err)
			}
			s.SetFaults(simfs.Faults{})
			want := 2 - int(seed%2)
			if got := len(open(t, inboxAt(t, s.Host("audit"))).Messages()); got != want {
				t.Errorf("%d messages are left of %d", got, want)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
