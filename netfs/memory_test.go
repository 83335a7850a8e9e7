package netfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

func TestMemory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	m, other := netfs.OpenMemory(dir, "/mnt/1"), netfs.OpenMemory(dir, "/mnt/2")
	if text := m.Recall("x"); text != "" {
		t.Errorf("a new memory says %q", text)
	}
	for _, text := range []string{"one", "two words", ""} {
		m.Remember("x", text)
		if got := netfs.OpenMemory(dir, "/mnt/1").Recall("x"); got != text {
			t.Errorf("remembered %q, recalled %q", text, got)
		}
	}
	m.Remember("x", "1 2 three")
	if m.Recall("y") != "" || other.Recall("x") != "" {
		t.Error("recalled what belongs to another name or share")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("%d files, %v", len(names), err)
	}
	file := filepath.Join(dir, names[0].Name())
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(good) {
		for _, bad := range [][]byte{good[:n], append(append(append([]byte{}, good[:n]...), good[n]^1), good[n+1:]...)} {
			if err := os.WriteFile(file, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			if text := m.Recall("x"); text != "" {
				t.Errorf("damaged at %d: recalled %q", n, text)
			}
		}
	}
	off := netfs.OpenMemory(filepath.Join(os.DevNull, "x"), "/mnt/1")
	if off.Remember("x", "one"); off.Recall("x") != "" {
		t.Error("remembered where nothing can be written")
	}
}

// TestMemoryIsBounded fills a directory.
func TestMemoryIsBounded(t *testing.T) {
	dir := t.TempDir()
	m := netfs.OpenMemory(dir, "/mnt")
	m.Remember("new", "kept")
	long := time.Unix(1e9, 0)
	for i := range 10_000 {
		name := filepath.Join(dir, fmt.Sprint("f", i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, long, long); err != nil {
			t.Fatal(err)
		}
	}
	m.Remember("newer", "kept, too")
	if m.Recall("new") != "kept" || m.Recall("newer") != "kept, too" {
		t.Error("the newest were dropped")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) < 8000 || len(names) > 10_000 {
		t.Errorf("%d files, %v", len(names), err)
	}
}
