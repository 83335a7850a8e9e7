package twofuse

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// NewPair mounts a new directory twice and returns the mounts and where they
// are. The test is skipped where the machine cannot do that; the mounts end
// with it.
func NewPair(t testing.TB, o Options) (mounts [2]*Mount, dirs [2]string) {
	t.Helper()
	top := t.TempDir()
	backing := filepath.Join(top, "backing")
	dirs = [2]string{filepath.Join(top, "a"), filepath.Join(top, "b")}
	for _, dir := range []string{backing, dirs[0], dirs[1]} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, dir := range dirs {
		m, err := New(backing, dir, o)
		if errors.Is(err, ErrUnavailable) || err != nil && os.Getenv("BOBBIN_TEST_FULL") == "" {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unmount(t, m) })
		mounts[i] = m
	}
	return mounts, dirs
}

// unmount waits for processes that were killed to let go.
func unmount(t testing.TB, m *Mount) {
	err := m.Unmount()
	for try := 0; err != nil && try < 50; try++ {
		time.Sleep(100 * time.Millisecond)
		err = m.Unmount()
	}
	if err != nil {
		t.Error(err)
	}
}
