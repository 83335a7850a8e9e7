package locking_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/locking"
)

// An mbox is locked in both ways; one who has either lock is waited for, and a
// dot-lock of long ago is nobody's.
func TestMbox(t *testing.T) {
	h, name := localFile(t)
	name = filepath.Join(filepath.Dir(name), "made")
	open := func(ctx context.Context) (func() error, error) {
		f, release, err := locking.Mbox(ctx, h, name)
		if err == nil {
			if _, werr := f.WriteString("x\n"); werr != nil {
				t.Error(werr)
			}
		}
		return release, err
	}
	held := func(what string) {
		t.Helper()
		if err := tryFor(t, 50*time.Millisecond, open); !errors.Is(err, locking.ErrHeld) {
			t.Errorf("%s: %v", what, err)
		}
	}
	release, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name + ".lock"); err != nil {
		t.Error("no dot-lock")
	}
	held("held by itself")
	if err := release(); err != nil {
		t.Fatal(err)
	}
	_, unlock, err := locking.Fcntl(t.Context(), h, name, locking.FileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	held("held by fcntl")
	if err := unlock(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".lock", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	held("held by a dot-lock")
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name+".lock", old, old); err != nil {
		t.Fatal(err)
	}
	if release, err = open(t.Context()); err != nil {
		t.Fatalf("an old dot-lock: %v", err)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(name); err != nil || string(text) != "x\nx\n" {
		t.Errorf("the file is %q, %v", text, err)
	}
	i, err := os.Stat(name)
	if err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("the file was made with %v, %v", i.Mode(), err)
	}
	if names, err := os.ReadDir(filepath.Dir(name)); err != nil || len(names) > 3 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	if err := os.Symlink("elsewhere", filepath.Join(filepath.Dir(name), "link")); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(filepath.Dir(name), "link")
	if _, err := open(t.Context()); err == nil {
		t.Error("a link was followed")
	}
}
