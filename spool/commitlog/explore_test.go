package commitlog_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// member is one process of a model, and what it was told.
type member struct {
	host           *netfs.Host
	log            *commitlog.Log
	state          *ids
	acked, refused []string
	saw            []string // at its end
	err            error    // that no fault explains
}

func newMember(s *simfs.Sim, name string, tuning commitlog.Tuning) *member {
	return newMemberVia(s, name, tuning, netfs.ViaSymlink)
}

func newMemberVia(s *simfs.Sim, name string, tuning commitlog.Tuning, way netfs.Way) *member {
	m := &member{host: s.Host(name)}
	m.log, m.state = idsLogVia(m.host, tuning, way)
	return m
}

// commit commits n operations, one a record.
func (m *member) commit(ctx context.Context, n int) {
	for range n {
		id := m.host.Tag + "." + strconv.Itoa(len(m.acked)+len(m.refused))
		err := m.log.Commit(ctx, func() ([]string, error) { return []string{"id:" + id}, nil })
		switch {
		case err == nil:
			m.acked = append(m.acked, id)
		case ctx.Err() == nil && !errors.Is(err, netfs.ErrUncertain):
			m.refused = append(m.refused, id)
		}
		if errors.Is(err, commitlog.ErrCorrupt) || errors.Is(err, commitlog.ErrNewer) || errors.Is(err, commitlog.ErrWentBack) {
			m.err = err
		}
	}
	m.saw = m.state.list
}

// judge says whether what the members were told is what is there.
func judgeLog(s *simfs.Sim, members []*member) error {
	way := members[0].log.Way
	l, state := idsLogVia(s.Host("audit"), commitlog.Tuning{}, way)
	if _, err := l.Refresh(context.Background()); err != nil {
		return err
	}
	list := state.list
	for _, m := range members {
		if m.err != nil {
			return fmt.Errorf("%s: %w", m.host.Tag, m.err)
		}
		if n := len(m.saw); n > len(list) || !slices.Equal(m.saw, list[:n]) {
			return fmt.Errorf("%s saw %v, and there is %v", m.host.Tag, m.saw, list)
		}
		for _, id := range m.acked {
			if !slices.Contains(list, id) {
				return fmt.Errorf("%s was acknowledged and is lost: %v", id, list)
			}
		}
		for _, id := range m.refused {
			if slices.Contains(list, id) {
				return fmt.Errorf("%s was reported as not done and is there: %v", id, list)
			}
		}
	}
	if n := len(slices.Compact(slices.Sorted(slices.Values(list)))); n != len(list) {
		return fmt.Errorf("something was committed twice: %v", list)
	}
	l, _ = idsLogVia(s.Host("check"), commitlog.Tuning{}, way)
	found, err := l.Verify(context.Background())
	for _, f := range found {
		if !f.Litter {
			err = errors.Join(err, fmt.Errorf("verify: %s: %w", f.Name, f.Err))
		}
	}
	return err
}

func makeLog(s *simfs.Sim) error {
	var errs []error
	for _, d := range commitlog.Dirs("log") {
		errs = append(errs, s.Server().MkdirAll(d))
	}
	return errors.Join(errs...)
}

// everyFault may happen in a model where one may.
var everyFault = simfs.Faults{Crash: 1, Fail: 1, Lost: 1, Twice: 1, Late: 1, Echo: 1, SplitList: 1}

// on is a share of a kind with everyFault, a plain server without caches if
// name is empty. What clients hold open is no part of a model's states.
func on(name string) (simfs.Options, netfs.Way) {
	o := simfs.Options{Faults: everyFault}
	share, _ := simfs.ShareNamed(name)
	share.Set(&o)
	o.HoldDirs = false
	return o, share.Way()
}

// commits is a model of hosts that commit n records each to a new log.
func commits(share string, hosts, n int) simfs.Model {
	options, way := on(share)
	return simfs.Model{
		Options: options,
		Setup:   makeLog,
		Start: func(s *simfs.Sim) func() error {
			var members []*member
			for i := range hosts {
				m := newMemberVia(s, "h"+strconv.Itoa(i), commitlog.Tuning{}, way)
				members = append(members, m)
				s.Go(m.host, func(ctx context.Context, _ *netfs.Host) { m.commit(ctx, n) })
			}
			return func() error { return judgeLog(s, members) }
		},
	}
}

// collected is a model in which one host ends a generation and clears an old
// one away, while others that have read only the beginning of that commit: the
// first knows its first record, the second the first two.
func collected(share string, behind int) simfs.Model {
	options, way := on(share)
	tuning := commitlog.Tuning{Slots: 3, KeepFor: -1, Inline: 60}
	quiet := context.Background()
	return simfs.Model{
		Options: options,
		Setup: func(s *simfs.Sim) error {
			if err := makeLog(s); err != nil {
				return err
			}
			m := newMemberVia(s, "first", tuning, way)
			m.commit(quiet, 7) // the third generation has slots 9 to 12, listed as 10, 11, 12, 9
			return m.err
		},
		Start: func(s *simfs.Sim) func() error {
			var members []*member
			join := func(name string) *member {
				m := newMemberVia(s, name, tuning, way)
				if _, err := m.log.Refresh(quiet); err != nil {
					m.err = err
				}
				members = append(members, m)
				return m
			}
			before := join("before")
			for i := range behind {
				join("h" + strconv.Itoa(i))
				before.commit(quiet, 1)
			}
			before.commit(quiet, 4-behind)
			join("active") // it has won nothing yet, so it gives no way
			for _, m := range members[1:] {
				s.Go(m.host, func(ctx context.Context, _ *netfs.Host) { m.commit(ctx, 1) })
			}
			return func() error { return judgeLog(s, members) }
		},
	}
}

// models are the small configurations, with the bounds of the short run, of
// the full one, and of one that takes as long as it takes.
var models = []struct {
	name        string
	model       simfs.Model
	small, full simfs.Bound
}{
	{"two hosts commit", commits("", 2, 1), simfs.Bound{Faults: 1, Switches: 2}, simfs.Bound{Faults: 2, Switches: 4}},
	{"two hosts commit twice", commits("", 2, 2), simfs.Bound{Switches: -1}, simfs.Bound{Faults: 1, Switches: 3}},
	{"three hosts commit", commits("", 3, 1), simfs.Bound{Switches: 2}, simfs.Bound{Switches: -1}},
	{"a commit while its generation is cleared away", collected("", 1), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"a commit while the tail is given up", renewed(), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"two commits while their generation is cleared away", collected("", 2), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"nfs3: two hosts commit", commits("nfs3", 2, 1), simfs.Bound{Switches: 2}, simfs.Bound{Faults: 1, Switches: 1}},
	{"nfs4: two hosts commit", commits("nfs4", 2, 1), simfs.Bound{Switches: 2}, simfs.Bound{Faults: 1, Switches: 1}},
	{"smb: two hosts commit", commits("smb", 2, 1), simfs.Bound{Switches: 2}, simfs.Bound{Switches: 3}},
	{"smb-plain: two hosts commit", commits("smb-plain", 2, 1), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"fuse: two hosts commit", commits("fuse", 2, 1), simfs.Bound{Switches: 2}, simfs.Bound{Faults: 1, Switches: 1}},
	{"nfs3: a commit while its generation is cleared away", collected("nfs3", 1), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"nfs4: a commit while its generation is cleared away", collected("nfs4", 1), simfs.Bound{Switches: 1}, simfs.Bound{Switches: 2}},
	{"smb-plain: a commit while its generation is cleared away", collected("smb-plain", 1), simfs.Bound{}, simfs.Bound{Switches: 1}},
}

// TestExplore runs every small configuration in every way within its bound.
// BOBBIN_EXPLORE_STATES=N explores the full bounds with so many states each
// instead of 1,000,000.
func TestExplore(t *testing.T) {
	for _, m := range models {
		t.Run(strings.ReplaceAll(m.name, " ", "_"), func(t *testing.T) {
			bound := m.small
			if os.Getenv("BOBBIN_TEST_FULL") != "" {
				bound = m.full
			}
			if v, err := strconv.Atoi(os.Getenv("BOBBIN_EXPLORE_STATES")); err == nil {
				bound = m.full
				bound.States = v
			}
			got := simfs.Explore(t, m.model, bound)
			if got.Failure != nil {
				t.Fatalf("%v\n%s", got.Failure, got.Trace)
			}
			t.Logf("%d faults, %d switches: %s", bound.Faults, bound.Switches, got)
			if !got.Complete {
				t.Error("not all was explored")
			}
		})
	}
}
