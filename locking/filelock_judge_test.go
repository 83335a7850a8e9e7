package locking

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

func TestJudge(t *testing.T) {
	open := func(e syscall.Errno) error { return &fs.PathError{Op: "open", Path: "x", Err: e} }
	lock := func(e syscall.Errno) error { return os.NewSyscallError("fcntl", e) }
	for _, c := range []struct {
		busy bool
		err  error
		want verdict
	}{
		{false, nil, got},
		{true, nil, busy},
		{false, lock(syscall.EAGAIN), busy},
		{false, lock(syscall.EACCES), busy},
		{false, syscall.EACCES, busy},
		{false, open(syscall.EACCES), failed},
		{false, lock(syscall.EINTR), again},
		{false, open(syscall.EINTR), again},
		{false, lock(syscall.ENOLCK), unsupported},
		{false, lock(syscall.EOPNOTSUPP), unsupported},
		{false, syscall.ENOTSUP, unsupported},
		{false, syscall.ENOSYS, unsupported},
		{false, syscall.ESTALE, stale},
		{false, open(syscall.ESTALE), stale},
		{false, lock(syscall.EIO), failed},
		{false, lock(syscall.EBADF), failed},
		{false, lock(syscall.EPERM), failed},
		{false, open(syscall.ENOENT), failed},
	} {
		if v := judge(c.busy, c.err); v != c.want {
			t.Errorf("busy %v, %v: %d, want %d", c.busy, c.err, v, c.want)
		}
	}
}

// script is a kernel lock whose tries end as told, the last one for ever.
type script struct {
	path   string
	tries  []error
	n      int
	f      *os.File
	closed int
}

func (s *script) kind() string { return "script" }

func (s *script) try() (bool, error) {
	if s.f == nil {
		f, err := os.Open(s.path)
		if err != nil {
			return false, err
		}
		s.f = f
	}
	err := s.tries[min(s.n, len(s.tries)-1)]
	s.n++
	return false, err
}

func (s *script) stat() (fs.FileInfo, error) { return s.f.Stat() }

func (s *script) close() error {
	s.closed++
	if s.f == nil {
		return nil
	}
	defer func() { s.f = nil }()
	return s.f.Close()
}

// bubbleHost has a clock and patience, no share.
func bubbleHost() *netfs.Host {
	return &netfs.Host{
		Rand: zeros{}, Wall: time.Now,
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
			return ctx.Err()
		},
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestLockFileErrors(t *testing.T) {
	busyFor := func(n int) []error { return append(slices.Repeat([]error{syscall.EACCES}, n), nil) }
	for _, c := range []struct {
		name   string
		tries  []error
		want   error // nil: locked
		n      int   // tries
		closed int   // before the release
	}{
		{"free", []error{nil}, nil, 1, 0},
		{"signals", []error{syscall.EINTR, syscall.EINTR, nil}, nil, 3, 0},
		{"busy", busyFor(5), nil, 6, 0},
		{"stale", []error{syscall.ESTALE, nil}, nil, 2, 1},
		{"always stale", []error{syscall.ESTALE}, syscall.ESTALE, staleTries + 1, staleTries + 1},
		{"no locks", []error{syscall.ENOLCK}, ErrUnsupported, 1, 1},
		{"broken", []error{syscall.EIO}, syscall.EIO, 1, 1},
		{"always busy", []error{syscall.EAGAIN}, ErrHeld, 0, 1},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			k := &script{path: path, tries: c.tries}
			held, release, err := lockFile(ctx, bubbleHost(), k, file{path: path})
			if !errors.Is(err, c.want) || c.n != 0 && k.n != c.n || k.closed != c.closed {
				t.Errorf("%s: %v, %d tries, %d closes", c.name, err, k.n, k.closed)
			}
			if err == nil && (held.Err() != nil || release() != nil || release() != nil || held.Err() == nil || k.closed != c.closed+1) {
				t.Errorf("%s: release", c.name)
			}
			if k.f != nil {
				t.Errorf("%s: left open", c.name)
			}
		})
		inside.mu.Lock()
		if len(inside.m) != 0 {
			t.Errorf("%s: left in the table: %d", c.name, len(inside.m))
		}
		inside.mu.Unlock()
	}
}

// A waiter asks often at first and twice a second in the long run.
func TestLockFilePause(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		k := &script{path: path, tries: []error{syscall.EAGAIN}}
		if _, _, err := lockFile(ctx, bubbleHost(), k, file{path: path}); !errors.Is(err, ErrHeld) {
			t.Error(err)
		}
		if k.n < 100 || k.n > 200 {
			t.Errorf("%d tries in a minute", k.n)
		}
	})
}

func TestLockPid(t *testing.T) {
	const text = "1: FLOCK  ADVISORY  WRITE 433 fe:00:99 0 EOF\n" +
		"2: OFDLCK ADVISORY  WRITE -1 fe:00:98 0 EOF\n" +
		"2: -> POSIX ADVISORY  WRITE 12 fe:00:98 0 EOF\n" +
		"3: POSIX  ADVISORY  READ 77 fe:00:9 0 EOF\n\nx\n"
	for id, want := range map[string]int{"fe:00:99": 433, "fe:00:98": 0, "fe:00:9": 77, "fe:01:9": 0} {
		if got := lockPid(text, id); got != want {
			t.Errorf("%s: %d, want %d", id, got, want)
		}
	}
}
