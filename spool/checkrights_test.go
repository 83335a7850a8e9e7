package spool_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/spool"
)

// has tells whether there is a finding of that code about a name that ends so.
func has(found []spool.Finding, code, where string, wrong bool) bool {
	return slices.ContainsFunc(found, func(f spool.Finding) bool {
		return f.Code == code && f.Wrong == wrong && strings.HasSuffix(f.Where, where)
	})
}

func glob(t *testing.T, parts ...string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(parts...))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q is %q, %v; want one name", parts, names, err)
	}
	return names[0]
}

// Check compares group and mode with what the mailbox's directory gives, and
// finds nothing where Bobbin made everything.
func TestCheckRights(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	home := filepath.Join(dir, "users/alice")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func() []spool.Finding {
		t.Helper()
		fresh, err := spool.Open(t.Context(), openHost(t, dir))
		must(err)
		found, _, err := fresh.CheckUser(t.Context(), "alice")
		must(err)
		all, err := fresh.CheckAccounts(t.Context())
		must(err)
		return append(found, all...)
	}
	mustPut(t, inbox(t, s), "Subject: x\n\n")
	open(t, inbox(t, s))
	if found := check(); len(found) > 0 {
		t.Fatalf("at first: %v", found)
	}
	message := glob(t, home, "new/*")
	must(os.Chmod(message, 0o644)) // nobody gets there
	if found := check(); len(found) > 0 {
		t.Errorf("a message in a private mailbox: %v", found)
	}
	must(os.Chmod(message, 0o600))
	must(os.Chmod(home, 0o755)) // all may pass, and everything in it is private
	if found := check(); len(found) > 0 {
		t.Errorf("a private message behind an open root: %v", found)
	}
	must(os.Chmod(message, 0o666))
	if found := check(); !has(found, "rights", filepath.Base(message), false) {
		t.Errorf("a message that all may change: %v", found)
	}
	must(os.Chmod(message, 0o600))
	must(os.Chmod(home, 0o770)) // a group that works in it
	found := check()
	for _, where := range []string{filepath.Base(message), "cur", "bobbin/hold"} {
		if !has(found, "rights", where, false) {
			t.Errorf("%s keeps the group out: %v", where, found)
		}
	}
	if os.Geteuid() == 0 {
		must(os.Chmod(message, 0o660))
		must(os.Chown(message, -1, 4242))
		if found := check(); !has(found, "rights", filepath.Base(message), false) {
			t.Errorf("a message of another group: %v", found)
		}
	}
	must(os.Chmod(home, 0o700))
	for _, d := range []string{"accounts", "users", "trash"} {
		must(os.Chmod(filepath.Join(dir, d), 0o755))
		if found := check(); !has(found, "rights", d, true) {
			t.Errorf("%s lets in others: %v", d, found)
		}
		must(os.Chmod(filepath.Join(dir, d), 0o700))
	}
}

// A folder that somebody moved to the trash by hand is reported.
func TestCheckFolderInTrash(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	home := filepath.Join(dir, "users/alice")
	for _, name := range []string{"A", "B"} {
		if err := s.CreateFolder(t.Context(), "alice", name); err != nil {
			t.Fatal(err)
		}
		b := folderBox(t, s, name)
		mustPut(t, b, "Subject: x\n\n")
		open(t, b)
	}
	if err := s.DeleteFolder(t.Context(), "alice", "B"); err != nil {
		t.Fatal(err)
	}
	checkUser(t, s)
	nest := filepath.Join(home, "bobbin-trash", strings.Repeat("a", 26))
	if err := os.Mkdir(nest, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(home, ".A"), filepath.Join(nest, "folder")); err != nil {
		t.Fatal(err)
	}
	found, _, err := s.CheckUser(t.Context(), "alice")
	if err != nil || len(found) != 1 || !has(found, "folder-in-trash", strings.Repeat("a", 26)+"/folder", true) {
		t.Errorf("check: %v, %v", found, err)
	}
}
