package spool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// twoFolders opens INBOX and Archive.
func twoFolders(ctx context.Context, h *netfs.Host) (m [2]*spool.Mailbox, err error) {
	s, err := spool.Open(ctx, h)
	for i, folder := range folders {
		var b *spool.Box
		if err == nil {
			b, err = s.Box(ctx, "alice", folder)
		}
		if err == nil {
			m[i], err = b.Open(ctx)
		}
	}
	return m, err
}

// Two hosts move the same messages while a third one sets flags and clears
// them: the messages arrive once, with the flags that were told last.
func TestMoversRace(t *testing.T) {
	seeds := uint64(150)
	if full() {
		seeds = 3000
	}
	for seed := range seeds {
		o := simfs.Options{Seed: seed, Faults: simfs.Faults{Pause: 0.1, PauseMax: 100 * time.Millisecond}, TraceLen: 2000}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) { moversRace(t, s, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func moversRace(t *testing.T, s *simfs.Sim, seed uint64) {
	h := s.Host("init")
	makeAlice(t, h, "")
	if err := s.Server().MkdirAll("users/alice/.Archive"); err != nil {
		t.Fatal(err)
	}
	b, err := spoolBox(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, b, "Subject: x\n\n")
	if _, err := twoFolders(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		s.Go(s.Host(fmt.Sprintf("mover%d", i)), func(ctx context.Context, h *netfs.Host) {
			m, err := twoFolders(ctx, h)
			if err == nil {
				_ = h.Sleep(ctx, time.Duration(rand.New(rand.NewPCG(seed, uint64(i))).IntN(20))*time.Millisecond)
				_, err = m[0].Move(ctx, spool.SetOf(1), m[1])
			}
			if err != nil && !errors.Is(err, spool.ErrRetry) {
				t.Errorf("%s: %v", h.Tag, err)
			}
		})
	}
	var keywords []string
	answered := false
	s.Go(s.Host("owner"), func(ctx context.Context, h *netfs.Host) {
		m, err := twoFolders(ctx, h)
		for n := 0; err == nil && n < 12; n++ {
			c := spool.FlagChange{Add: spool.Answered, AddKeywords: []string{fmt.Sprintf("k%d", n)}}
			if answered {
				c.Add, c.Remove = 0, spool.Answered
			}
			var done spool.UIDSet
			for i := 0; err == nil && i < 2 && len(done) == 0; i++ {
				if err = m[i].Refresh(ctx); err == nil {
					done, err = m[i].SetFlags(ctx, spool.SetOf(1), c)
				}
			}
			if len(done) > 0 {
				answered = !answered
				keywords = append(keywords, c.AddKeywords...)
			}
		}
		if err != nil {
			t.Error(err)
		}
	})
	if err := s.Run(); err != nil {
		t.Fatal(err)
	}
	m, err := twoFolders(t.Context(), s.Host("audit"))
	if err != nil {
		t.Fatal(err)
	}
	left, moved := m[0].Messages(), m[1].Messages()
	if len(left) != 0 || len(moved) != 1 {
		t.Fatalf("%d messages stayed and %d came", len(left), len(moved))
	}
	is := moved[0].Flags&spool.Answered != 0
	lost := slices.DeleteFunc(slices.Clone(keywords), func(k string) bool { return slices.Contains(moved[0].Keywords, k) })
	if is != answered || len(lost) > 0 {
		t.Errorf("answered is %v and was told %v; keywords %q were lost of %q\n%s", is, answered, lost, keywords, s.Trace())
	}
}

// deaf carries changes out and tells nobody.
type deaf struct {
	netfs.FS
	now *bool
}

func (d *deaf) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := d.FS.Sub(ctx, name)
	return &deaf{sub, d.now}, err
}

func (d *deaf) Symlink(ctx context.Context, target, name string) error {
	err := d.FS.Symlink(ctx, target, name)
	if *d.now {
		err = syscall.EIO
	}
	return err
}

func (d *deaf) Readlink(ctx context.Context, name string) (string, error) {
	if *d.now {
		return "", syscall.EIO
	}
	return d.FS.Readlink(ctx, name)
}

// A record whose fate is not known may stand: the files that it names stay.
func TestUncertainAppendStays(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		makeAlice(t, s.Host("init"), "")
		h := s.Host("deaf")
		now := false
		h.Share = &deaf{h.Share, &now}
		b, err := spoolBox(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, b)
		in := receive(t, b, "Subject: x\n\n")
		now = true
		if _, err := m.Append(t.Context(), spool.NewMessage{In: in}); !errors.Is(err, netfs.ErrUncertain) {
			t.Fatalf("append: %v, want ErrUncertain", err)
		}
		b, err = spoolBox(t.Context(), s.Host("other"))
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, open(t, b), 1); got != "Subject: x\n\n" {
			t.Errorf("UID 1 is %q", got)
		}
	})
}
