package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// below is a host whose share is a directory of another's.
func below(ctx context.Context, h *netfs.Host, dir string) (*netfs.Host, error) {
	f, err := h.Share.Sub(ctx, dir)
	if err != nil {
		return nil, err
	}
	c := *h
	c.Share = f
	return &c, nil
}

// Several hosts deliver at once to a mail root that has no marker yet. They
// all go by one marker, and nothing is lost, under faults and crashes.
func TestMailRootRace(t *testing.T) {
	delivered := 0
	for seed := range uint64(60) {
		o := simfs.Options{Seed: seed, HoldDirs: true, TraceLen: 1000}
		if seed%2 == 0 {
			o.Faults = simfs.Faults{Crash: 0.003, Pause: 0.05, Fail: 0.01, Lost: 0.01, Twice: 0.01, Late: 0.01, Echo: 0.01}
		}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			s.SetFaults(simfs.Faults{})
			if err := netfs.MkdirAll(t.Context(), s.Host("setup"), s.Host("setup").Share, "home/Maildir/new"); err != nil {
				t.Fatal(err)
			}
			s.SetFaults(o.Faults)
			acknowledged, shares := 0, map[string]bool{}
			for i := range 3 {
				s.Go(s.Host(fmt.Sprint("h", i)), func(ctx context.Context, h *netfs.Host) {
					sp, err := openRoot(ctx, h)
					if err != nil {
						return
					}
					shares[sp.Marker.Share] = true
					b, err := sp.Box(ctx, "alice", spool.Inbox)
					if err != nil {
						return
					}
					if _, err := put(ctx, b, fmt.Sprintf("Subject: %d\n\n", i)); err == nil {
						acknowledged++
					}
					if m, err := b.Open(ctx); err == nil {
						_, _ = m.SetFlags(ctx, spool.SetOf(1), spool.FlagChange{Add: spool.Seen})
					}
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			s.SetFaults(simfs.Faults{})
			sp, err := openRoot(t.Context(), s.Host("late"))
			if err != nil {
				t.Fatalf("seed %d: %v\n%s\n%s", seed, err, s.Trace(), s.Server().Dump())
			}
			shares[sp.Marker.Share] = true
			b, err := sp.Box(t.Context(), "alice", spool.Inbox)
			if err != nil {
				t.Fatal(err)
			}
			if n := len(open(t, b).Messages()); n < acknowledged || len(shares) != 1 {
				t.Errorf("seed %d: %d messages of %d, %d shares\n%s\n%s", seed, n, acknowledged, len(shares), s.Trace(), s.Server().Dump())
			}
			checkClean(t, b)
			delivered += acknowledged
		})
	}
	if delivered < 90 {
		t.Errorf("%d deliveries in all: too few to prove anything", delivered)
	}
}

func openRoot(ctx context.Context, h *netfs.Host) (*spool.Spool, error) {
	h, err := below(ctx, h, "home/Maildir")
	if err != nil {
		return nil, err
	}
	return spool.OpenMailRoot(ctx, h, "alice")
}

// A plain Maildir becomes a share of its own: its mail has UIDs, its root holds
// nothing that another program could take for a folder.
func TestMailRootOfAMaildir(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"tmp", "new", "cur"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cur/1700000000.x.y:2,S"), []byte("Subject: old\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := spool.OpenMailRoot(t.Context(), openHost(t, dir), "Alice")
	if err != nil {
		t.Fatal(err)
	}
	wantMessages(t, s, "alice", spool.Inbox, "1 S []\n")
	if _, err := s.Box(t.Context(), "bob", spool.Inbox); !errors.Is(err, spool.ErrNoUser) {
		t.Errorf("another user's box: %v", err)
	}
	if _, err := s.Box(t.Context(), "alice", "None"); !errors.Is(err, spool.ErrNoFolder) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := s.Accounts(t.Context()); !errors.Is(err, spool.ErrNoAccounts) {
		t.Errorf("its accounts: %v", err)
	}
	if users, err := s.Users(t.Context()); err != nil || len(users) != 1 || users[0] != "alice" {
		t.Errorf("its users: %q, %v", users, err)
	}
	names, err := openHost(t, dir).Share.ReadDir(t.Context(), ".")
	if err != nil || fmt.Sprint(names) != "[bobbin bobbin-user cur new tmp]" {
		t.Errorf("the root has %q, %v", names, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "bobbin/bobbin.toml")); err != nil {
		t.Error(err)
	}
	if _, err := spool.OpenMailRoot(t.Context(), openHost(t, dir), "../x"); !errors.Is(err, spool.ErrBadName) {
		t.Errorf("a user that is none: %v", err)
	}

	// Whoever loses the marker must not begin with another one.
	if err := os.Remove(filepath.Join(dir, "bobbin/bobbin.toml")); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.OpenMailRoot(t.Context(), openHost(t, dir), "alice"); !errors.Is(err, spool.ErrNotSpool) {
		t.Errorf("a log without a marker: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "bobbin/bobbin.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a new marker was made: %v", err)
	}
}

// Messages go from one share to another: the bytes are copied, and a second
// try of a move doubles nothing.
func TestCopyBetweenShares(t *testing.T) {
	virtual, _ := newSpool(t, spool.InitOptions{})
	dir := t.TempDir()
	own, err := spool.OpenMailRoot(t.Context(), openHost(t, dir), "alice")
	if err != nil {
		t.Fatal(err)
	}
	from, to := inbox(t, virtual), inbox(t, own)
	for i := range 3 {
		mustPut(t, from, fmt.Sprintf("Subject: %d\n\n", i))
	}
	source, target := open(t, from), open(t, to)
	c, err := spool.ParseFlagChange("+seen,+kw:work")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.SetFlags(t.Context(), spool.SetOf(1), c); err != nil {
		t.Fatal(err)
	}
	done, err := source.Copy(t.Context(), spool.SetOf(1, 2), target)
	if err != nil || len(done) != 2 {
		t.Fatalf("copied %v, %v", done, err)
	}
	if done, err = source.Move(t.Context(), spool.SetOf(1, 3), target); err != nil || len(done) != 2 {
		t.Fatalf("moved %v, %v", done, err)
	}
	for _, m := range []*spool.Mailbox{source, target} {
		if err := m.Project(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	wantMessages(t, virtual, "alice", spool.Inbox, "2  []\n")
	wantMessages(t, own, "alice", spool.Inbox, "1 S [work]\n2  []\n3 S [work]\n4  []\n")
	if got := read(t, target, 4); got != "Subject: 2\n\n" {
		t.Errorf("the moved message is %q", got)
	}
	linked, err := filepath.Glob(filepath.Join(dir, "cur/*"))
	if err != nil || len(linked) != 4 {
		t.Fatalf("%q, %v", linked, err)
	}
	for _, name := range linked {
		i, err := openHost(t, dir).Share.Stat(t.Context(), "cur/"+filepath.Base(name))
		if err != nil || i.Nlink != 1 {
			t.Errorf("%s has %d names, %v", name, i.Nlink, err)
		}
	}
}
