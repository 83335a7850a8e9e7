package simfs_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// planted runs hosts that take every error of a rename for the word that it
// was not done.
func planted(t *testing.T, c simfs.Case) (ops int) {
	simfs.Run(t, c.Options(), func(t *testing.T, s *simfs.Sim) {
		var refused []string
		var hosts []*netfs.Host
		for i := range c.Rounds * c.Hosts {
			h := s.Host(fmt.Sprint("h", i))
			hosts = append(hosts, h)
			s.Go(h, func(ctx context.Context, h *netfs.Host) {
				for n := range c.Steps {
					name := fmt.Sprintf("%s.%d", h.Tag, n)
					if f, err := h.Share.Create(ctx, "t."+name, 0o600); err == nil {
						_ = f.Close()
					}
					if h.Share.Rename(ctx, "t."+name, name) != nil && ctx.Err() == nil {
						refused = append(refused, name)
					}
				}
			})
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		for _, name := range refused {
			if _, err := s.Server().Stat(name); err == nil {
				t.Errorf("%s was not done, and is there", name)
			}
		}
		for _, h := range hosts {
			ops += s.OpsOf(h)
		}
	})
	return ops
}

var plantedPlan = simfs.Plan{
	Ops: 1000, Full: 1000, Run: planted,
	Case: func(seed uint64) simfs.Case {
		return simfs.Case{Seed: seed, Share: "nfs3", Hosts: 3, Steps: 40, Rounds: 2, Faults: someFaults}
	},
}

// TestPlanted is what TestShrink runs in processes of its own.
func TestPlanted(t *testing.T) {
	if os.Getenv("BOBBIN_SIM_CASE") != "" {
		plantedPlan.Test(t)
	}
}

// A failing case becomes one host that does a few things while one reply is
// lost, and its trace tells the story.
func TestShrink(t *testing.T) {
	small, out := simfs.Shrink(t.Context(), "TestPlanted", plantedPlan.Case(1))
	f := small.Faults
	f.Lost, f.Twice, f.Late = 0, 0, 0
	f.Crash, f.WriteBack, f.Pause, f.PauseMax, f.LateMax = 0, 0, 0, 0, 0 // without any effect here
	if small.Hosts != 1 || small.Rounds != 1 || small.Steps > 8 || small.MaxFaults != 1 || f != (simfs.Faults{}) {
		t.Errorf("the case was not made small: %s", small)
	}
	for _, want := range []string{small.String(), "was not done, and is there", "rename t.h0."} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
}

// A plan simulates as much as it says, and each seed's case once.
func TestPlan(t *testing.T) {
	var seeds []uint64
	simfs.Plan{Ops: 100, Full: 100, Case: func(seed uint64) simfs.Case { return simfs.Case{Seed: seed} },
		Run: func(_ *testing.T, c simfs.Case) int { seeds = append(seeds, c.Seed); return 30 },
	}.Test(t)
	if fmt.Sprint(seeds) != "[1 2 3 4]" {
		t.Errorf("seeds %v", seeds)
	}
}
