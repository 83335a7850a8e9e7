package locking

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// onShare gives a new directory of a share to two hosts, by the two mounts that
// BOBBIN_TEST_SHARE names first.
func onShare(t *testing.T) (hosts [2]*netfs.Host, dirs [2]string) {
	t.Helper()
	mounts := filepath.SplitList(os.Getenv("BOBBIN_TEST_SHARE"))
	if len(mounts) < 2 {
		t.Skip("BOBBIN_TEST_SHARE names no two mounts of a share")
	}
	dir, err := os.MkdirTemp(mounts[0], "locking-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for i := range hosts {
		h, err := netfs.OpenHost(mounts[i])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = h.Share.Close() })
		if _, err := h.Share.ReadDir(t.Context(), "."); err != nil { // then it knows the new directory
			t.Fatal(err)
		}
		hosts[i], dirs[i] = h, filepath.Join(mounts[i], filepath.Base(dir))
	}
	return hosts, dirs
}

// TestShareLocks: a kernel lock that one host has is held for another, whatever
// error its file system says so with.
func TestShareLocks(t *testing.T) {
	for name, take := range map[string]func(context.Context, *netfs.Host, string, FileOptions) (context.Context, func() error, error){
		"fcntl": Fcntl, "flock": Flock,
	} {
		t.Run(name, func(t *testing.T) {
			hosts, dirs := onShare(t)
			try := func(i int, patience time.Duration) (func() error, error) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, release, err := take(ctx, hosts[i], filepath.Join(dirs[i], "lock"), FileOptions{Create: 0o600, Owner: "test"})
				return release, err
			}
			release, err := try(0, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if second, err := try(1, time.Second); !errors.Is(err, ErrHeld) {
				t.Errorf("the second host: %v, want %v", err, ErrHeld)
				if err == nil {
					_ = second()
				}
			}
			if err := release(); err != nil {
				t.Error(err)
			}
			if release, err = try(1, time.Minute); err != nil {
				t.Fatalf("the second host, after it was given back: %v", err)
			}
			if err := release(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestShareMbox: of what two hosts append to one mbox at the same time nothing
// is lost, and without the locks something is.
func TestShareMbox(t *testing.T) {
	hosts, dirs := onShare(t)
	const lines = 50
	both := func(name string, add func(h *netfs.Host, file, line string) error) (found int) {
		var wg sync.WaitGroup
		for i, h := range hosts {
			wg.Go(func() {
				for n := range lines {
					if err := add(h, filepath.Join(dirs[i], name), fmt.Sprintf("%d %02d %s\n", i, n, strings.Repeat("x", 100))); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		b, err := os.ReadFile(filepath.Join(dirs[0], name))
		if err != nil {
			t.Fatal(err)
		}
		for i := range hosts {
			for n := range lines {
				if strings.Contains(string(b), fmt.Sprintf("%d %02d %s\n", i, n, strings.Repeat("x", 100))) {
					found++
				}
			}
		}
		return found
	}
	got := both("locked", func(h *netfs.Host, file, line string) error {
		f, release, err := Mbox(t.Context(), h, file)
		if err != nil {
			return err
		}
		_, err = f.WriteString(line)
		return errors.Join(err, release())
	})
	if got != 2*lines {
		t.Errorf("%d of %d lines are there", got, 2*lines)
	}
	if hosts[1].Profile.Kind == "local" {
		return
	}
	for round := range 20 {
		got := both(fmt.Sprint("free", round), func(_ *netfs.Host, file, line string) error {
			f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
			if err != nil {
				return err
			}
			_, err = f.WriteString(line)
			return errors.Join(err, f.Close())
		})
		if got < 2*lines {
			t.Logf("%s: without the locks %d of %d lines are lost in round %d", hosts[1].Profile.Kind, 2*lines-got, 2*lines, round)
			return
		}
	}
	t.Error("nothing is lost without the locks")
}
