package spool_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// unpack writes a golden tree to a directory of the test's.
func unpack(t *testing.T, name string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err == nil {
			err = unpackOne(dir, h, r)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func unpackOne(dir string, h *tar.Header, r io.Reader) error {
	name := filepath.Join(dir, h.Name)
	switch h.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(name, 0o700)
	case tar.TypeSymlink:
		return os.Symlink(h.Linkname, name)
	case tar.TypeLink: // the file of a copied message
		return os.Link(filepath.Join(dir, h.Linkname), name)
	}
	b, err := io.ReadAll(r)
	return errors.Join(err, os.WriteFile(name, b, 0o600))
}

// What the first version wrote, with a rotation, a base, a payload, keywords,
// expunges, a copy and a password, is read, upgraded and written by this one.
func TestGoldenLevel1(t *testing.T) {
	dir := unpack(t, "level1.tar.gz")
	s, err := spool.Open(t.Context(), openHost(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if s.Level() != 1 {
		t.Fatalf("level %d, want 1", s.Level())
	}
	const want = "1 S [work]\n2 FS [later work]\n3  []\n5  []\n43 R []\n44  []\n45  []\n"
	wantMessages(t, s, "alice", spool.Inbox, want)
	wantMessages(t, s, "alice", "Archive", "1 S [work]\n")
	wantMessages(t, s, "bob", spool.Inbox, "1  []\n2  []\n49  []\n50  []\n110  []\n")
	if got := read(t, open(t, inbox(t, s)), 5); !strings.HasSuffix(got, "Subject: message 5\nFrom: joe@example.org\n\nBody of 5.\n") {
		t.Errorf("message 5 is %q", got)
	}
	a, err := s.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	known, err := a.Credentials("bob")
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := known.Password.Matches([]byte("secret")); !ok || err != nil {
		t.Errorf("bob's password: %v", err)
	}
	if err := s.Upgrade(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if s, err = spool.Open(t.Context(), openHost(t, dir)); err != nil || s.Level() != 2 {
		t.Fatalf("after the upgrade: %v", err)
	}
	wantMessages(t, s, "alice", spool.Inbox, want)
	b := inbox(t, s)
	mustPut(t, b, "Subject: new\n\n")
	m := open(t, b)
	if _, err := m.Expunge(t.Context(), spool.SetOf(1, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.SetFlags(t.Context(), spool.SetOf(46), spool.FlagChange{AddKeywords: []string{"new"}}); err != nil {
		t.Fatal(err)
	}
	if err := m.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantMessages(t, s, "alice", spool.Inbox, "3  []\n5  []\n43 R []\n44  []\n45  []\n46  [new]\n")
	checkClean(t, b)
}

// wantMessages compares UIDs, flags and keywords of a folder, each with a file.
func wantMessages(t *testing.T, s *spool.Spool, user, folder, want string) {
	t.Helper()
	b, err := s.Box(t.Context(), user, folder)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var got strings.Builder
	m := open(t, b)
	for _, msg := range m.Messages() {
		fmt.Fprintf(&got, "%d %s %v\n", msg.UID, msg.Flags.Letters(), msg.Keywords)
		if n := len(read(t, m, msg.UID)); int64(n) != msg.Size {
			t.Errorf("%s %s: message %d has %d bytes, want %d", user, folder, msg.UID, n, msg.Size)
		}
	}
	if got.String() != want {
		t.Errorf("%s %s:\n%swant\n%s", user, folder, got.String(), want)
	}
	checkClean(t, b)
}

// lowered makes the spool of the share one of level 1.
func lowered(t *testing.T, h *netfs.Host, o spool.InitOptions) {
	t.Helper()
	if _, err := spool.Init(t.Context(), h, o); err != nil {
		t.Fatal(err)
	}
	b, err := netfs.ReadFile(t.Context(), h.Share, "bobbin.toml", 4096)
	if err == nil {
		err = h.Share.Remove(t.Context(), "bobbin.toml")
	}
	if err == nil {
		err = netfs.WriteFile(t.Context(), h.Share, "bobbin.toml", []byte(strings.Replace(string(b), "level = 2", "level = 1", 1)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Several hosts upgrade at once, under faults and crashes: whoever was told
// that it is done finds it done, nobody ever sees the level sink, and it can be
// done again.
func TestUpgradeRace(t *testing.T) {
	upgraded, behind := 0, 0
	for seed := range uint64(120) {
		o := simfs.Options{
			Seed: seed, HoldDirs: true, TraceLen: 1000,
			Faults: simfs.Faults{Crash: 0.01, Pause: 0.05, Fail: 0.03, Lost: 0.03, Twice: 0.03, Late: 0.03, Echo: 0.03},
		}
		simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
			s.SetFaults(simfs.Faults{})
			lowered(t, s.Host("setup"), spool.InitOptions{Slots: []string{"symlink", "link", "directory"}[seed%3]})
			s.SetFaults(o.Faults)
			for i := range 3 {
				s.Go(s.Host(fmt.Sprint("h", i)), func(ctx context.Context, h *netfs.Host) {
					sp, err := spool.Open(ctx, h)
					if err != nil {
						return
					}
					before := sp.Level()
					if sp.Upgrade(ctx, 2) != nil {
						return
					}
					upgraded++
					if again, err := spool.Open(ctx, h); err == nil && again.Level() != 2 {
						t.Errorf("seed %d: upgraded, and then the level is %d", seed, again.Level())
					}
					if before == 1 {
						behind++
					}
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
			s.SetFaults(simfs.Faults{})
			sp, err := spool.Open(t.Context(), s.Host("late"))
			if err == nil {
				err = sp.Upgrade(t.Context(), 2)
			}
			if err == nil {
				sp, err = spool.Open(t.Context(), s.Host("check"))
			}
			if err != nil || sp.Level() != 2 {
				t.Errorf("seed %d: at last %v", seed, err)
			}
			if t.Failed() {
				t.Logf("%s\n%s", s.Trace(), s.Server().Dump())
			}
		})
	}
	if upgraded < 100 || behind < 50 {
		t.Errorf("%d upgrades, %d of them from level 1: too few to prove anything", upgraded, behind)
	}
}

// A host whose spool has a higher level than it knows says which; one that
// knows the level of the marker to be the highest asks for nothing.
func TestLevelOfSpool(t *testing.T) {
	h := openHost(t, t.TempDir())
	lowered(t, h, spool.InitOptions{})
	cost := func(want int64) {
		t.Helper()
		before := h.Ops.Read()
		if _, err := spool.Open(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		// open, read and close of the marker
		if got := h.Ops.Read().Sub(before); got.Total() != 3+want {
			t.Errorf("open cost %s; want %d operations besides the marker's", got, want)
		}
	}
	cost(1)
	s, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Upgrade(t.Context(), 3); err == nil {
		t.Error("upgraded to a level that nobody knows")
	}
	if err := s.Upgrade(t.Context(), 2); err != nil || s.Level() != 2 {
		t.Errorf("level %d, %v", s.Level(), err)
	}
	cost(1)
	for _, odd := range []string{"bobbin.level.x", "bobbin.level.03", "bobbin.level.-1", "bobbin.level.", "bobbin.level.3~"} {
		if err := h.Share.Symlink(t.Context(), "x", odd); err != nil {
			t.Fatal(err)
		}
	}
	cost(1)
	if err := h.Share.Symlink(t.Context(), "x", "bobbin.level.7"); err != nil {
		t.Fatal(err)
	}
	if _, err := spool.Open(t.Context(), h); !errors.Is(err, commitlog.ErrNewer) || !strings.Contains(err.Error(), "feature level 7, this version has 2") {
		t.Errorf("a spool of level 7: %v", err)
	}

	top := openHost(t, t.TempDir())
	if s, err = spool.Init(t.Context(), top, spool.InitOptions{}); err != nil || s.Level() != spool.Level {
		t.Fatalf("a new spool: %v", err)
	}
	h = top
	cost(0)
}
