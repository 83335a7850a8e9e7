package spool_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/spool"
)

// A rename of folders that is broken off between two of them is completed when
// it is given again.
func TestRenameGivenAgain(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A", "A/x", "A/y")
	broken := hook(t, s, func(op, name string) error {
		if op == "rename" && name == ".A.x" {
			return syscall.EROFS
		}
		return nil
	})
	wantErr(t, "rename", broken.RenameFolder(t.Context(), "alice", "A", "B"), syscall.EROFS)
	if err := s.RenameFolder(t.Context(), "alice", "A", "B"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"B", "B/x", "B/y"} {
		open(t, folderBox(t, s, name))
	}
	checkUser(t, s)
}

// A folder that somebody put into the trash by hand is not purged.
func TestPurgeSparesTheLiving(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A", "B")
	mustPut(t, folderBox(t, s, "A"), "Subject: x\n\n")
	open(t, folderBox(t, s, "A"))
	home := filepath.Join(dir, "users/alice")
	nest := filepath.Join(home, "bobbin-trash", "aaaaaaaaaaaaaaaaaaaaaaaaaa")
	if err := os.MkdirAll(nest, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(home, ".A"), filepath.Join(nest, "folder")); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(nest, old, old); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteFolder(t.Context(), "alice", "B"); err != nil { // and sweeps the trash
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(nest, "folder"), filepath.Join(home, ".A")); err != nil {
		t.Fatal(err)
	}
	if n := len(open(t, folderBox(t, s, "A")).Messages()); n != 1 {
		t.Errorf("%d messages are left, want 1", n)
	}
}

// A folder that takes the name of a deleted one, which was renamed while it was
// on its way to the trash, is brought back from there.
func TestTakenForAnother(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A")
	home := filepath.Join(dir, "users/alice")
	done := false
	late := hook(t, s, func(op, name string) error {
		if op != "rename" || name != ".A" || done {
			return nil
		}
		done = true
		if err := os.Rename(filepath.Join(home, ".A"), filepath.Join(home, ".B")); err != nil {
			t.Error(err)
		}
		mustCreate(t, s, "A")
		mustPut(t, folderBox(t, s, "A"), "Subject: x\n\n")
		return nil
	})
	_ = late.DeleteFolder(t.Context(), "alice", "A")
	if !done {
		t.Fatal("no rename")
	}
	if n := len(open(t, folderBox(t, s, "A")).Messages()); n != 1 {
		t.Errorf("%d messages in the new folder", n)
	}
}

// Whoever has a deleted folder open, which has been purged since, leaves the
// one alone that has its name now.
func TestNameOfThePurged(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A")
	renamed := false
	old := open(t, folderBox(t, hook(t, s, func(op, name string) error {
		renamed = renamed || op == "rename" && name == ".A"
		return nil
	}), "A"))
	if err := s.DeleteFolder(t.Context(), "alice", "A"); err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, "A")
	trash, err := filepath.Glob(filepath.Join(dir, "users/alice/bobbin-trash/*"))
	if err != nil || len(trash) != 1 {
		t.Fatalf("trash: %q, %v", trash, err)
	}
	if err := os.Rename(filepath.Join(trash[0], "folder"), filepath.Join(dir, "kept")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "refresh", old.Refresh(t.Context()), spool.ErrNoFolder)
	if renamed {
		t.Error("the new folder was moved")
	}
}

// A purge that comes to its bound leaves the log for last: without it what is
// left would be mail that nobody knows.
func TestPurgeInParts(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A", "B", "C", "D")
	home := filepath.Join(dir, "users/alice")
	for i := range 600 {
		name := filepath.Join(home, ".A/cur", fmt.Sprintf("%d.x.y:2,", i+1))
		if err := os.WriteFile(name, []byte("Subject: x\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(open(t, folderBox(t, s, "A")).Messages()); n != 600 {
		t.Fatalf("%d messages", n)
	}
	old := time.Now().Add(-8 * 24 * time.Hour)
	for _, name := range []string{"A", "B", "C", "D"} {
		if err := s.DeleteFolder(t.Context(), "alice", name); err != nil { // and sweeps the trash
			t.Fatal(err)
		}
		trash, err := filepath.Glob(filepath.Join(home, "bobbin-trash/*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, nest := range trash {
			if err := os.Chtimes(nest, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := len(open(t, inbox(t, s)).Messages()); n != 0 {
		t.Errorf("%d messages of a purged folder are in INBOX", n)
	}
	if left, err := filepath.Glob(filepath.Join(home, "bobbin-trash/*")); err != nil || len(left) > 1 {
		t.Errorf("trash: %q, %v; want what came last alone", left, err)
	}
}
