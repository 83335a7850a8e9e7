package simfs_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// counters is a model in which two processes each want a number of their own:
// they list the numbers that are taken and take the next, by claim.
func counters(claim func(ctx context.Context, h *netfs.Host, name string) error) simfs.Model {
	return simfs.Model{
		Setup: func(s *simfs.Sim) error { return s.Server().MkdirAll("n") },
		Start: func(s *simfs.Sim) func() error {
			got := [2]string{}
			for i := range got {
				s.Go(s.Host(fmt.Sprintf("h%d", i)), func(ctx context.Context, h *netfs.Host) {
					for ctx.Err() == nil && got[i] == "" {
						names, err := h.Share.ReadDir(ctx, "n")
						if err != nil {
							return
						}
						if name := fmt.Sprintf("n/%d", len(names)); claim(ctx, h, name) == nil {
							got[i] = name
						}
					}
				})
			}
			return func() error {
				if got[0] != "" && got[0] == got[1] {
					return fmt.Errorf("both have %s", got[0])
				}
				return nil
			}
		},
	}
}

// The explorer finds the one bad order, with the fewest switches, and none
// where there is none.
func TestExploreFindsARace(t *testing.T) {
	create := func(ctx context.Context, h *netfs.Host, name string) error {
		f, err := h.Share.Create(ctx, name, 0o600)
		return errors.Join(err, closeIf(f))
	}
	bad := simfs.Explore(t, counters(create), simfs.Bound{Switches: -1})
	if bad.Failure == nil || bad.Failure.Error() != "both have n/0" || bad.Complete {
		t.Fatalf("found %v; %s", bad.Failure, bad)
	}
	if n := strings.Count(bad.Trace, "create"); n != 2 {
		t.Errorf("the shortest trace has %d creates:\n%s", n, bad.Trace)
	}
	if again := simfs.Explore(t, counters(create), simfs.Bound{Switches: -1}); again.Trace != bad.Trace || again.String() != bad.String() {
		t.Errorf("the second time: %s, first: %s", again, bad)
	}
	symlink := func(ctx context.Context, h *netfs.Host, name string) error { return h.Share.Symlink(ctx, h.Tag, name) }
	good := simfs.Explore(t, counters(symlink), simfs.Bound{Switches: -1})
	if good.Failure != nil || !good.Complete || good.Runs < 2 {
		t.Errorf("%v, %s\n%s", good.Failure, good, good.Trace)
	}
}

func closeIf(f netfs.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// Processes that have nothing to do with each other have as many states as
// the product of theirs, however many orders there are.
func TestExploreCountsStates(t *testing.T) {
	m := simfs.Model{Start: func(s *simfs.Sim) func() error {
		for i := range 3 {
			s.Go(s.Host(fmt.Sprintf("h%d", i)), func(ctx context.Context, h *netfs.Host) {
				for k := range 4 {
					_ = h.Share.Symlink(ctx, "x", fmt.Sprintf("%d-%d", i, k))
				}
			})
		}
		return func() error {
			names, err := s.Server().List(".")
			if err == nil && len(names) != 12 {
				err = fmt.Errorf("%d names", len(names))
			}
			return err
		}
	}}
	// 5³ states; with one or no process left there is no choice.
	got := simfs.Explore(t, m, simfs.Bound{Switches: -1})
	if want := 5*5*5 - 3*4 - 1; got.States != want || got.Failure != nil || !got.Complete {
		t.Errorf("%v, %s; want %d states", got.Failure, got, want)
	}
	few := simfs.Explore(t, m, simfs.Bound{Switches: 0})
	if few.Runs != 6 || !few.Complete {
		t.Errorf("without a switch: %s; want the 6 orders of 3 processes", few)
	}
}

// A sleep may end before and after everything that others do meanwhile.
func TestExploreTime(t *testing.T) {
	seen := map[string]bool{}
	m := simfs.Model{Start: func(s *simfs.Sim) func() error {
		order := ""
		s.Go(s.Host("sleeper"), func(ctx context.Context, h *netfs.Host) {
			if h.Sleep(ctx, time.Second) == nil && h.Share.Symlink(ctx, "x", "s") == nil {
				order += "s"
			}
		})
		s.Go(s.Host("worker"), func(ctx context.Context, h *netfs.Host) {
			for _, n := range []string{"a", "b"} {
				if h.Share.Symlink(ctx, "x", n) == nil {
					order += n
				}
			}
		})
		return func() error { seen[order] = true; return nil }
	}}
	got := simfs.Explore(t, m, simfs.Bound{Switches: -1})
	if !got.Complete || !seen["sab"] || !seen["asb"] || !seen["abs"] {
		t.Errorf("%s, orders %v", got, seen)
	}
}

// Every fate of a call that may fail is chosen, within the bound on faults.
func TestExploreFates(t *testing.T) {
	ends := map[string]bool{}
	m := simfs.Model{
		Options: simfs.Options{Faults: simfs.Faults{Fail: 1, Lost: 1, Late: 1, Echo: 1, Twice: 1, Crash: 1}},
		Start: func(s *simfs.Sim) func() error {
			told := "nothing"
			s.Go(s.Host("h"), func(ctx context.Context, h *netfs.Host) {
				err := h.Share.Symlink(ctx, "x", "a")
				told = map[bool]string{true: "done", false: "error"}[err == nil]
				if err != nil && ctx.Err() != nil {
					told = "dead"
				}
			})
			return func() error {
				_, err := s.Server().Readlink("a")
				ends[fmt.Sprintf("%s %v", told, err == nil)] = true
				return nil
			}
		},
	}
	got := simfs.Explore(t, m, simfs.Bound{Faults: 1, Switches: -1})
	for _, want := range []string{"done true", "error true", "error false", "dead true", "dead false"} {
		if !ends[want] {
			t.Errorf("no run ended with %q", want)
		}
	}
	if !got.Complete || got.Runs != 9 {
		t.Errorf("%s; want a run for each of 8 fates and for success", got)
	}
	if none := simfs.Explore(t, m, simfs.Bound{Switches: -1}); none.Runs != 1 {
		t.Errorf("without faults: %s", none)
	}
}
