package locking_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
)

// childEnv makes the test binary another process: it holds what to do, the
// kind of lock, the file, and a number.
const childEnv = "BOBBIN_LOCK_PROCESS"

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		if err := child(strings.Fields(spec)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

type lockFunc func(context.Context, *netfs.Host, string, locking.FileOptions) (context.Context, func() error, error)

var kinds = map[string]lockFunc{"flock": locking.Flock, "fcntl": locking.Fcntl}

// tokenLock is a token lock in a directory beside path, given the form of the
// others.
func tokenLock(ctx context.Context, h *netfs.Host, path string, _ locking.FileOptions) (context.Context, func() error, error) {
	tok := locking.NewToken(locking.TokenConfig{Host: h, FS: h.Share, Dir: filepath.Base(path) + ".lk"})
	held, release, err := tok.Acquire(ctx)
	return held, func() error { return release(context.WithoutCancel(ctx)) }, err
}

func child(args []string) error {
	what, kind, path, n := args[0], args[1], args[2], args[3]
	h, err := netfs.OpenHost(filepath.Dir(path))
	if err != nil {
		return err
	}
	if what == "add" {
		lock := tokenLock
		if kind != "token" {
			lock = kinds[kind]
		}
		return addUp(h, lock, path, n)
	}
	if kind == "posix" { // what other mail programs do
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}); err != nil {
			return err
		}
	} else if _, _, err := kinds[kind](context.Background(), h, path, locking.FileOptions{Shared: what == "share"}); err != nil {
		return err
	}
	fmt.Println("locked")
	time.Sleep(time.Hour)
	return nil
}

// addUp adds 1 to the number in a file beside the lock, with a gap that only
// the lock closes.
func addUp(h *netfs.Host, lock lockFunc, path, n string) error {
	times, err := strconv.Atoi(n)
	for i := 0; i < times && err == nil; i++ {
		var release func() error
		if _, release, err = lock(context.Background(), h, path, locking.FileOptions{}); err != nil {
			return err
		}
		var b []byte
		b, err = os.ReadFile(path + ".sum")
		sum, _ := strconv.Atoi(string(b))
		time.Sleep(200 * time.Microsecond)
		err = errors.Join(err, os.WriteFile(path+".sum", []byte(strconv.Itoa(sum+1)), 0o600), release())
	}
	return err
}

func startChild(t *testing.T, spec ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childEnv+"="+strings.Join(spec, " "))
	cmd.Stderr = os.Stderr
	return cmd
}

// holder starts a process that has a lock.
func holder(t *testing.T, spec ...string) (pid int, kill func()) {
	t.Helper()
	cmd := startChild(t, spec...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	kill = func() {
		once.Do(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	t.Cleanup(kill)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	return cmd.Process.Pid, kill
}

// listed tells whether /proc/locks shows a process's lock on a file as stat(2)
// knows the file: some file systems have other device numbers there.
func listed(t *testing.T, pid int, path string) bool {
	t.Helper()
	var s unix.Stat_t
	b, err := os.ReadFile("/proc/locks")
	if err = errors.Join(err, unix.Stat(path, &s)); err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(b), fmt.Sprintf(" %d %02x:%02x:%d ", pid, unix.Major(s.Dev), unix.Minor(s.Dev), s.Ino))
}

func localFile(t *testing.T) (*netfs.Host, string) {
	t.Helper()
	dir := t.TempDir()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	path := filepath.Join(dir, "mbox")
	if err := os.WriteFile(path, []byte("From alice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return h, path
}

// tryFor takes a lock and gives it back.
func tryFor(t *testing.T, d time.Duration, try func(context.Context) (func() error, error)) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	release, err := try(ctx)
	if err != nil {
		return err
	}
	return release()
}

// TestFileLockProcesses: locks of another process are seen, named, and free
// once it is killed.
func TestFileLockProcesses(t *testing.T) {
	for _, c := range []struct {
		mine, what, other string
		shared, free      bool
	}{
		{"flock", "hold", "flock", false, false},
		{"flock", "share", "flock", false, false},
		{"flock", "share", "flock", true, true},
		{"flock", "hold", "flock", true, false},
		{"fcntl", "hold", "fcntl", false, false},
		{"fcntl", "hold", "posix", false, false},
		{"fcntl", "hold", "posix", true, false},
		{"fcntl", "share", "fcntl", true, true},
		{"fcntl", "share", "fcntl", false, false},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			h, path := localFile(t)
			try := func(ctx context.Context) (func() error, error) {
				_, release, err := kinds[c.mine](ctx, h, path, locking.FileOptions{Shared: c.shared})
				return release, err
			}
			pid, kill := holder(t, c.what, c.other, path, "0")
			named := listed(t, pid, path)
			err := tryFor(t, 50*time.Millisecond, try)
			if c.free {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var he *locking.HeldError
			if !errors.As(err, &he) || !errors.Is(err, locking.ErrHeld) || he.Name != path || he.Since.IsZero() {
				t.Fatalf("a held lock: %v", err)
			}
			if want := "process " + strconv.Itoa(pid); named && !strings.HasPrefix(he.Owner, want+" ") || !named && he.Owner != "" {
				t.Errorf("owner %q, want %q if %v", he.Owner, want, named)
			}
			kill()
			if err := tryFor(t, 10*time.Second, try); err != nil {
				t.Errorf("after the holder was killed: %v", err)
			}
		})
	}
}

// TestFileLockExcludes: several processes, each with several goroutines.
func TestFileLockExcludes(t *testing.T) {
	for kind, lock := range map[string]lockFunc{"flock": locking.Flock, "fcntl": locking.Fcntl, "token": tokenLock} {
		h, path := localFile(t)
		var wg sync.WaitGroup
		for range 2 {
			cmd := startChild(t, "add", kind, path, "10")
			if err := os.WriteFile(path+".sum", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				if err := cmd.Run(); err != nil {
					t.Error(err)
				}
			})
		}
		for range 2 {
			wg.Go(func() {
				if err := addUp(h, lock, path, "10"); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if b, err := os.ReadFile(path + ".sum"); string(b) != "40" {
			t.Errorf("%s: %s of 40 additions, %v", kind, b, err)
		}
	}
}

// TestFileLockWithin: what one process does to itself.
func TestFileLockWithin(t *testing.T) {
	for kind, lock := range kinds {
		t.Run(kind, func(t *testing.T) {
			h, path := localFile(t)
			type key struct{}
			ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, 1), 20*time.Millisecond)
			defer cancel()
			held, release, err := lock(ctx, h, path, locking.FileOptions{Owner: "delivery to alice"})
			if err != nil {
				t.Fatal(err)
			}
			<-ctx.Done()
			if held.Err() != nil || held.Value(key{}) != 1 {
				t.Errorf("held: %v", held.Err())
			}
			try := func(o locking.FileOptions) error {
				return tryFor(t, 20*time.Millisecond, func(ctx context.Context) (func() error, error) {
					_, release, err := lock(ctx, h, path, o)
					return release, err
				})
			}
			var he *locking.HeldError
			if err := try(locking.FileOptions{}); !errors.As(err, &he) || he.Owner != "this process, delivery to alice" {
				t.Errorf("held by another goroutine: %v", err)
			}
			if err := try(locking.FileOptions{Shared: true}); !errors.Is(err, locking.ErrHeld) {
				t.Errorf("shared with an exclusive one: %v", err)
			}
			// A close of the same file elsewhere drops no lock (H86).
			if _, err := os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
			if err := try(locking.FileOptions{Shared: true}); !errors.Is(err, locking.ErrHeld) {
				t.Errorf("after another close: %v", err)
			}
			if err := release(); err != nil || held.Err() == nil {
				t.Errorf("release: %v, held %v", err, held.Err())
			}
			_, release, err = lock(t.Context(), h, path, locking.FileOptions{Shared: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := try(locking.FileOptions{Shared: true}); err != nil {
				t.Errorf("two shared ones: %v", err)
			}
			if err := try(locking.FileOptions{}); !errors.Is(err, locking.ErrHeld) {
				t.Errorf("exclusive with a shared one: %v", err)
			}
			if err := release(); err != nil {
				t.Error(err)
			}
			off, cancel := context.WithCancel(t.Context())
			cancel()
			if _, _, err := lock(off, h, path, locking.FileOptions{Shared: true}); !errors.Is(err, context.Canceled) || errors.Is(err, locking.ErrHeld) {
				t.Errorf("called off: %v", err)
			}
		})
	}
}

// TestFileLockNames: which file is locked.
func TestFileLockNames(t *testing.T) {
	for kind, lock := range kinds {
		t.Run(kind, func(t *testing.T) {
			h, path := localFile(t)
			dir := filepath.Dir(path)
			for name, make := range map[string]func(string) error{
				"link": func(p string) error { return os.Symlink(path, p) },
				"fifo": func(p string) error { return unix.Mkfifo(p, 0o600) },
				"dir":  func(p string) error { return os.Mkdir(p, 0o700) },
				"none": func(string) error { return nil },
			} {
				p := filepath.Join(dir, name)
				if err := make(p); err != nil {
					t.Fatal(err)
				}
				for _, shared := range []bool{false, true} {
					if _, _, err := lock(t.Context(), h, p, locking.FileOptions{Shared: shared}); err == nil {
						t.Errorf("locked a %s", name)
					}
				}
			}
			made := filepath.Join(dir, "made.lock")
			_, release, err := lock(t.Context(), h, made, locking.FileOptions{Create: 0o600})
			if err != nil {
				t.Fatal(err)
			}
			if i, err := os.Lstat(made); err != nil || i.Mode().Perm() != 0o600 || i.Size() != 0 {
				t.Errorf("made: %v, %v", i, err)
			}
			if err := release(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFileLockReplaced: a waiter whose file was replaced under it ends up with
// the lock of the file that has the name (H88).
func TestFileLockReplaced(t *testing.T) {
	for kind, lock := range kinds {
		t.Run(kind, func(t *testing.T) {
			h, path := localFile(t)
			_, kill := holder(t, "hold", kind, path, "0")
			waiting, waits := make(chan error, 1), make(chan struct{})
			waiter, once := *h, sync.Once{}
			waiter.Sleep = func(ctx context.Context, d time.Duration) error {
				once.Do(func() { close(waits) })
				return h.Sleep(ctx, d)
			}
			go func() {
				_, release, err := lock(t.Context(), &waiter, path, locking.FileOptions{})
				if err == nil {
					// Who has the lock now must shut out others by name.
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
					defer cancel()
					if _, _, err := lock(ctx, h, path, locking.FileOptions{Shared: true}); !errors.Is(err, locking.ErrHeld) {
						t.Errorf("the name is not locked: %v", err)
					}
					err = release()
				}
				waiting <- err
			}()
			<-waits
			if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
			kill()
			if err := <-waiting; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestFileLockKinds: one caller may take one kind of lock after the other on
// one file, as mail programs do.
func TestFileLockKinds(t *testing.T) {
	h, path := localFile(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var give []func() error
	for _, lock := range []lockFunc{locking.Fcntl, locking.Flock} {
		_, release, err := lock(ctx, h, path, locking.FileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		give = append(give, release)
	}
	for _, release := range give {
		if err := release(); err != nil {
			t.Error(err)
		}
	}
}
