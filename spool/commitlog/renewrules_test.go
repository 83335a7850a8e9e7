package commitlog_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// besideFS lets something happen before a slot is put.
type besideFS struct {
	netfs.FS
	before map[string]func()
}

func (f *besideFS) Symlink(ctx context.Context, target, name string) error {
	if do := f.before[name]; do != nil {
		delete(f.before, name)
		do()
	}
	return f.FS.Symlink(ctx, target, name)
}

// A view that stands at the end of a log while it is renewed commits before
// the repair has looked for the last time, or not at all.
func TestRenewBeside(t *testing.T) {
	for _, c := range []struct {
		when    string
		moments []string // the slots before which the view commits
		acked   int
	}{
		{"before the void", []string{"4"}, 1},
		{"before each void", []string{"4", "5", "6"}, 3},
		{"before the end", []string{"end"}, 0},
		{"afterwards", nil, 0},
	} {
		t.Run(strings.ReplaceAll(c.when, " ", "_"), func(t *testing.T) {
			simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) { renewBeside(t, s, c.moments, c.acked) })
		})
	}
}

func renewBeside(t *testing.T, s *simfs.Sim, moments []string, acked int) {
	if err := makeLog(s); err != nil {
		t.Fatal(err)
	}
	w := newMember(s, "writer", commitlog.Tuning{})
	if w.commit(t.Context(), 3); len(w.acked) != 3 {
		t.Fatal(w.err)
	}
	h := s.Host("repair")
	before := map[string]func(){}
	for _, slot := range moments {
		before["log/g.0/"+slot] = func() { w.commit(t.Context(), 1) }
	}
	h.Share = &besideFS{h.Share, before}
	l, _ := idsLog(h, commitlog.Tuning{})
	if _, err := l.Renew(t.Context(), commitlog.Renewal{Whole: true}); err != nil {
		t.Fatal(err)
	}
	w.commit(t.Context(), 1)
	if got := len(w.acked) - 3; got != acked || !errors.Is(w.err, commitlog.ErrWentBack) {
		t.Errorf("%d commits were acknowledged, want %d; %v", got, acked, w.err)
	}
	if _, err := w.log.Refresh(t.Context()); !errors.Is(err, commitlog.ErrWentBack) {
		t.Errorf("the view goes on: %v", err)
	}
	audit, state := idsLog(s.Host("audit"), commitlog.Tuning{})
	if _, err := audit.Refresh(t.Context()); err != nil || !slices.Equal(state.list, w.acked) {
		t.Errorf("the log has %q of %q, %v", state.list, w.acked, err)
	}
}

// renewed is a model of a log whose last record, that only its readers know, one
// host gives up, while another that read it commits and a third one comes.
func renewed() simfs.Model {
	return simfs.Model{
		Options: simfs.Options{Faults: everyFault},
		Setup: func(s *simfs.Sim) error {
			if err := makeLog(s); err != nil {
				return err
			}
			m := newMember(s, "first", commitlog.Tuning{})
			m.commit(context.Background(), 4)
			return m.err
		},
		Start: func(s *simfs.Sim) func() error {
			before, later := newMember(s, "before", commitlog.Tuning{}), newMember(s, "later", commitlog.Tuning{})
			if _, err := before.log.Refresh(context.Background()); err != nil {
				before.err = err
			}
			garble := func(b []byte) []byte { return append([]byte("x"), b...) }
			if err := s.Server().Corrupt("log/g.0/4", garble); err != nil {
				before.err = err
			}
			s.Go(before.host, func(ctx context.Context, _ *netfs.Host) { before.commit(ctx, 1) })
			s.Go(later.host, func(ctx context.Context, _ *netfs.Host) { later.commit(ctx, 1) })
			s.Go(s.Host("repair"), func(ctx context.Context, h *netfs.Host) {
				l, _ := idsLog(h, commitlog.Tuning{})
				_, _ = l.Renew(ctx, commitlog.Renewal{}) // what a fault left is completed in the end
			})
			return func() error { return judgeRenewed(s, []*member{before, later}) }
		},
	}
}

// judgeRenewed completes the repair and says whether what was acknowledged
// meanwhile is there.
func judgeRenewed(s *simfs.Sim, members []*member) error {
	l, _ := idsLog(s.Host("last"), commitlog.Tuning{})
	if _, err := l.Renew(context.Background(), commitlog.Renewal{}); err != nil {
		return err
	}
	for _, m := range members {
		if errors.Is(m.err, commitlog.ErrCorrupt) || errors.Is(m.err, commitlog.ErrWentBack) {
			m.err, m.saw = nil, nil // as it should be
		}
	}
	return judgeLog(s, members)
}
