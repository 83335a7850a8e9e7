package spool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// onFull delivers n messages to alice on a simulated share.
func onFull(t *testing.T, h *netfs.Host, n int) *spool.Mailbox {
	t.Helper()
	makeAlice(t, h, "")
	s, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return numbered(t, inbox(t, s), n)
}

// numbered delivers n messages whose text tells their UID.
func numbered(t *testing.T, b *spool.Box, n int) *spool.Mailbox {
	t.Helper()
	m := open(t, b)
	for i := range n {
		mustPut(t, b, fmt.Sprintf("Subject: %d\n\n", i+1))
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// wantUIDs checks that these are the messages, and that all can be read.
func wantUIDs(t *testing.T, m *spool.Mailbox, want ...uint32) {
	t.Helper()
	var got []uint32
	for _, msg := range m.Messages() {
		got = append(got, msg.UID)
		if text := read(t, m, msg.UID); text != fmt.Sprintf("Subject: %d\n\n", msg.UID) {
			t.Errorf("UID %d is %q", msg.UID, text)
		}
	}
	if spool.SetOf(got...).String() != spool.SetOf(want...).String() {
		t.Errorf("messages %v, want %v", got, want)
	}
}

var flagIt = spool.FlagChange{Add: spool.Flagged}

// On a full share an expunge makes the room that its record needs.
func TestExpungeOnFullShare(t *testing.T) {
	for _, share := range simfs.Shares() {
		t.Run(share.Name, func(t *testing.T) {
			var o simfs.Options
			share.Set(&o)
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				m := onFull(t, s.Host("a"), 4)
				s.Server().LeaveRoom(0)
				if _, err := m.SetFlags(t.Context(), spool.SetOf(3), flagIt); !errors.Is(err, syscall.ENOSPC) {
					t.Errorf("flag on a full share: %v, want ENOSPC", err)
				}
				if gone, err := m.Expunge(t.Context(), spool.SetOf(1, 2)); err != nil || gone.String() != "1-2" {
					t.Fatalf("expunged %v, %v", gone, err)
				}
				wantUIDs(t, m, 3, 4)
				names, err := s.Host("look").Share.ReadDir(t.Context(), "users/alice/new")
				if err != nil || len(names) != 2 {
					t.Errorf("new has %v, %v; want the files of two messages", names, err)
				}
				s.Server().LeaveRoom(-1)
				project(t, m)
				box, err := spool.Open(t.Context(), s.Host("b"))
				if err != nil {
					t.Fatal(err)
				}
				wantUIDs(t, open(t, inbox(t, box)), 3, 4)
				checkClean(t, inbox(t, box))
			})
		})
	}
}

// What was expunged before goes first: the files of messages that the log
// still has are touched only when that is not enough.
func TestExpungeFreesTheExpungedFirst(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		m := onFull(t, s.Host("a"), 3)
		if _, err := m.Expunge(t.Context(), spool.SetOf(1)); err != nil {
			t.Fatal(err)
		}
		project(t, m)
		s.Server().LeaveRoom(0)
		if _, err := m.Expunge(t.Context(), spool.SetOf(2)); err != nil {
			t.Fatal(err)
		}
		for dir, want := range map[string]int{"new": 2, "bobbin/x": 0} {
			if names, err := s.Host("look").Share.ReadDir(t.Context(), "users/alice/"+dir); err != nil || len(names) != want {
				t.Errorf("%s has %v, %v; want %d files", dir, names, err, want)
			}
		}
		wantUIDs(t, m, 3)
	})
}

// A crash anywhere in an expunge on a full share leaves messages that are
// there or expunged, and no others are touched.
func TestExpungeOnFullShareCrash(t *testing.T) {
	freed := 0
	for k := 0; ; k++ {
		ended := false
		for _, applied := range []bool{false, true} {
			o := simfs.Options{CrashAt: &simfs.At{Host: "a", Op: k, Applied: applied}}
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				a := s.Host("a")
				m := onFull(t, a, 4)
				s.Server().LeaveRoom(0)
				s.Go(a, func(ctx context.Context, _ *netfs.Host) {
					_, err := m.Expunge(ctx, spool.SetOf(1, 2))
					ended = err == nil
				})
				if err := s.Run(); err != nil {
					t.Fatal(err)
				}
				names, err := s.Host("look").Share.ReadDir(t.Context(), "users/alice/new")
				if err != nil {
					t.Fatal(err)
				}
				freed += 4 - len(names)
				sp, err := spool.Open(t.Context(), s.Host("b"))
				if err != nil {
					t.Fatal(err)
				}
				// Room for one record, and no more.
				s.Server().LeaveRoom(1)
				m = open(t, inbox(t, sp))
				if n := len(m.Messages()); n > len(names) {
					t.Errorf("operation %d: %d messages, and %d files", k, n, len(names))
				}
				s.Server().LeaveRoom(-1)
				if _, err := m.Expunge(t.Context(), spool.SetOf(1, 2)); err != nil {
					t.Error(err)
				}
				wantUIDs(t, m, 3, 4)
			})
		}
		if ended {
			break
		}
	}
	if freed == 0 {
		t.Error("no crash came after a file was removed")
	}
}

// If others take the room that was made, the outcome is not known, and the same
// call brings it about later.
func TestExpungeStaysFull(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		onFull(t, s.Host("a"), 3)
		sp, err := spool.Open(t.Context(), s.Host("b"))
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, inbox(t, hook(t, sp, func(op, _ string) error {
			if op == "symlink" {
				return syscall.EDQUOT
			}
			return nil
		})))
		_, err = m.Expunge(t.Context(), spool.SetOf(1, 2))
		if !errors.Is(err, netfs.ErrUncertain) || !errors.Is(err, syscall.EDQUOT) {
			t.Errorf("%v, want an uncertain outcome for want of room", err)
		}
		m = open(t, inbox(t, sp))
		if gone, err := m.Expunge(t.Context(), spool.SetOf(1, 2)); err != nil || len(gone) != 0 {
			t.Errorf("expunged %v, %v; want what the scan has done already", gone, err)
		}
		wantUIDs(t, m, 3)
	})
}

// The same on a real file system that is full.
func TestExpungeOnFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("bobbin-test", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system can be mounted: ", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := initSpool(t, openHost(t, dir), spool.InitOptions{})
	m := numbered(t, inbox(t, s), 3)
	f, err := os.Create(filepath.Join(dir, "users/other"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.CopyN(f, zeros{}, 2<<20); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if _, err := m.SetFlags(t.Context(), spool.SetOf(3), flagIt); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("flag on a full disk: %v, want ENOSPC", err)
	}
	if _, err := m.Expunge(t.Context(), spool.SetOf(1, 2)); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, dir, "new", 1)
	wantUIDs(t, m, 3)
	wantUIDs(t, open(t, inbox(t, s)), 3)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
