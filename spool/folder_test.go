package spool_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// folderBox is a folder of alice's.
func folderBox(t testing.TB, s *spool.Spool, name string) *spool.Box {
	t.Helper()
	b, err := s.Box(t.Context(), "alice", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func mustCreate(t testing.TB, s *spool.Spool, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := s.CreateFolder(t.Context(), "alice", name); err != nil {
			t.Fatal(err)
		}
	}
}

// folderNames lists alice's folders; names in parentheses are missing.
func folderNames(t testing.TB, s *spool.Spool) (names []string) {
	t.Helper()
	list, err := s.Folders(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		n := f.Name
		if f.Missing {
			n = "(" + n + ")"
		}
		for _, u := range f.Uses {
			n += " " + u.Attribute()
		}
		if f.Subscribed {
			n += " +"
		}
		names = append(names, n)
	}
	return names
}

func wantFolders(t testing.TB, s *spool.Spool, want ...string) {
	t.Helper()
	if got := folderNames(t, s); !slices.Equal(got, want) {
		t.Errorf("folders %q, want %q", got, want)
	}
}

func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func checkUser(t testing.TB, s *spool.Spool) {
	t.Helper()
	found, _, err := s.CheckUser(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Errorf("check: %s", f)
	}
}

func TestFolders(t *testing.T) {
	for _, slots := range []string{"symlink", "link", "directory"} {
		t.Run(slots, func(t *testing.T) {
			s, dir := newSpool(t, spool.InitOptions{Slots: slots})
			mustCreate(t, s, "Work", "Work/2026", "Entwürfe", "a.b", "INBOX/sub")
			wantFolders(t, s, "INBOX", "Entwürfe", "INBOX/sub", "Work", "Work/2026", "a.b")
			for _, d := range []string{".Work", ".Work.2026", ".Entw&APw-rfe", ".a&AC4-b", ".INBOX.sub"} {
				if _, err := os.Stat(filepath.Join(dir, "users/alice", d, "maildirfolder")); err != nil {
					t.Error(err)
				}
			}
			for _, name := range []string{"work", "INBOX", "inbox/SUB", "Entwu\u0308rfe", "WORK/2026"} {
				wantErr(t, name, s.CreateFolder(t.Context(), "alice", name), spool.ErrExists)
			}
			mustPut(t, folderBox(t, s, "Entwürfe"), "Subject: x\n\n")
			if n := len(open(t, folderBox(t, s, "Entwu\u0308rfe")).Messages()); n != 1 {
				t.Errorf("%d messages under the other normal form, want 1", n)
			}
			if err := s.RenameFolder(t.Context(), "alice", "Work", "Büro/alt"); err != nil {
				t.Fatal(err)
			}
			wantFolders(t, s, "INBOX", "Büro/alt", "Büro/alt/2026", "Entwürfe", "INBOX/sub", "a.b")
			wantErr(t, "rename again", s.RenameFolder(t.Context(), "alice", "Work", "Büro/alt"), spool.ErrNoFolder)
			wantErr(t, "onto another", s.RenameFolder(t.Context(), "alice", "Büro", "Entwürfe"), spool.ErrExists)
			wantErr(t, "below itself", s.RenameFolder(t.Context(), "alice", "a.b", "a.b/c"), spool.ErrBadName)
			wantErr(t, "INBOX", s.RenameFolder(t.Context(), "alice", "INBOX", "x"), spool.ErrBadName)
			if err := s.RenameFolder(t.Context(), "alice", "a.b", "A.B"); err != nil {
				t.Errorf("other capitals: %v", err)
			}
			wantErr(t, "INBOX", s.DeleteFolder(t.Context(), "alice", "inbox"), spool.ErrBadName)
			for _, name := range []string{"Büro/alt", "Entwürfe", "A.B", "INBOX/sub", "Büro/alt/2026"} {
				if err := s.DeleteFolder(t.Context(), "alice", name); err != nil {
					t.Errorf("delete %s: %v", name, err)
				}
			}
			wantErr(t, "delete again", s.DeleteFolder(t.Context(), "alice", "A.B"), spool.ErrNoFolder)
			wantFolders(t, s, "INBOX")
			checkUser(t, s)
		})
	}
}

// Folders that other programs made are there under the names that they gave
// them, and can be used.
func TestForeignFolders(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	for _, d := range []string{".Sent Items", ".Entw\xc3\xbcrfe", ".&bad", ".public.x", "nofolder", ".cache"} {
		for _, sub := range []string{"cur", "new", "tmp"} {
			if d == ".cache" {
				sub = "."
			}
			if err := os.MkdirAll(filepath.Join(dir, "users/alice", d, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantFolders(t, s, "INBOX", "Entwürfe", "Sent Items", `\26bad`, `\70ublic/x`)
	for _, name := range []string{"Entwürfe", "Sent Items", `\26bad`, `\70ublic/x`} {
		mustPut(t, folderBox(t, s, name), "Subject: x\n\n")
		if n := len(open(t, folderBox(t, s, name)).Messages()); n != 1 {
			t.Errorf("%s: %d messages, want 1", name, n)
		}
	}
	wantErr(t, "taken", s.CreateFolder(t.Context(), "alice", "ENTWÜRFE"), spool.ErrExists)
	wantErr(t, "taken", s.RenameFolder(t.Context(), "alice", "Sent Items", "Entwürfe"), spool.ErrExists)
	if err := s.RenameFolder(t.Context(), "alice", "Entwürfe", "Drafts"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteFolder(t.Context(), "alice", `\26bad`); err != nil {
		t.Fatal(err)
	}
	wantFolders(t, s, "INBOX", "Drafts", "Sent Items", `\70ublic/x`)
}

func TestUserState(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "Sent", "Sent/2026", "Archive")
	u, err := s.UserState(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(u.Subscribe(t.Context(), "Sent", true))
	do(u.Subscribe(t.Context(), "Sent/2026", true))
	do(u.Subscribe(t.Context(), "inbox", true))
	do(u.Subscribe(t.Context(), "Gone", true))
	do(u.SetUses(t.Context(), "Sent", spool.UseSent, spool.UseArchive))
	do(u.SetUses(t.Context(), "Archive", spool.UseArchive))
	do(u.SetValue(t.Context(), "test.key", "a b:c\n"))
	wantErr(t, "use", u.SetUses(t.Context(), "Sent", "inbox"), spool.ErrBadName)
	wantFolders(t, s, "INBOX +", `Archive \Archive`, "(Gone) +", `Sent \Sent +`, "Sent/2026 +")
	do(s.RenameFolder(t.Context(), "alice", "Sent", "Out"))
	do(u.Subscribe(t.Context(), "Gone", false))
	wantFolders(t, s, "INBOX +", `Archive \Archive`, `Out \Sent +`, "Out/2026 +")
	do(s.DeleteFolder(t.Context(), "alice", "Archive"))
	do(s.DeleteFolder(t.Context(), "alice", "Out/2026"))
	wantFolders(t, s, "INBOX +", `Out \Sent +`, "(Out/2026) +")
	do(u.Refresh(t.Context()))
	if got := u.Value("test.key"); got != "a b:c\n" {
		t.Errorf("value %q", got)
	}
	do(u.Close(t.Context()))
	checkUser(t, s)
}

// A mailbox that takes the name of a deleted one gets a higher UIDVALIDITY,
// however little time has gone by.
func TestUIDValidity(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	seen := map[uint32]bool{}
	last := open(t, inbox(t, s)).UIDValidity()
	for range 5 {
		mustCreate(t, s, "A")
		n := open(t, folderBox(t, s, "A")).UIDValidity()
		if n <= last || seen[n] {
			t.Errorf("UIDVALIDITY %d after %d", n, last)
		}
		last, seen[n] = n, true
		if err := s.DeleteFolder(t.Context(), "alice", "A"); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever has a folder open learns that it was deleted, and what he wants to
// change then is not done; one that was renamed goes on working.
func TestOpenWhileDeletedAndRenamed(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A", "B")
	other, err := spool.Open(t.Context(), openHost(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	a, b := folderBox(t, other, "A"), folderBox(t, other, "B")
	mustPut(t, a, "Subject: a\n\n")
	mustPut(t, b, "Subject: b\n\n")
	ma, mb := open(t, a), open(t, b)
	in, err := a.Receive(t.Context())
	if err == nil {
		err = in.Finish(0, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteFolder(t.Context(), "alice", "A"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "deliver", in.Publish(t.Context()), spool.ErrNoFolder)
	_, err = ma.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{Add: spool.Seen})
	wantErr(t, "flags", err, spool.ErrNoFolder)
	_, err = ma.Append(t.Context(), spool.NewMessage{In: receive(t, a, "Subject: c\n\n")})
	wantErr(t, "append", err, spool.ErrNoFolder)
	wantErr(t, "refresh", ma.Refresh(t.Context()), spool.ErrNoFolder)
	if got := read(t, ma, 1); got != "Subject: a\n\n" {
		t.Errorf("the deleted message is %q", got)
	}
	if err := s.RenameFolder(t.Context(), "alice", "B", "A"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, b, "Subject: d\n\n")
	if err := mb.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := mb.SetFlags(t.Context(), spool.SetOf(1, 2), spool.FlagChange{Add: spool.Seen}); err != nil {
		t.Error(err)
	}
	if m := open(t, folderBox(t, s, "A")); len(m.Messages()) != 2 || m.Messages()[1].Flags != spool.Seen || m.UIDValidity() != mb.UIDValidity() {
		t.Errorf("messages %+v", m.Messages())
	}
	if n := len(open(t, inbox(t, s)).Messages()); n != 0 {
		t.Errorf("%d messages in INBOX, want 0", n)
	}
	checkUser(t, s)
}

// What nobody knew of a deleted folder comes to INBOX: at once, or, if a
// program that knows nothing of the deletion delivers later, in the end.
func TestDeleteSavesUnknownMail(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A")
	mustPut(t, folderBox(t, s, "A"), "Subject: known\n\n")
	m := open(t, folderBox(t, s, "A"))
	if err := s.DeleteFolder(t.Context(), "alice", "A"); err != nil {
		t.Fatal(err)
	}
	trash, err := filepath.Glob(filepath.Join(dir, "users/alice/bobbin-trash/*/folder"))
	if err != nil || len(trash) != 1 {
		t.Fatalf("trash: %q, %v", trash, err)
	}
	for name, dir := range map[string]string{"1.late.host:2,F": "cur", "2.late.host": "new"} {
		if err := os.WriteFile(filepath.Join(trash[0], dir, name), []byte("Subject: late\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, "refresh", m.Refresh(t.Context()), spool.ErrNoFolder) // and moves what came
	in := open(t, inbox(t, s))
	if msgs := in.Messages(); len(msgs) != 2 || msgs[0].Flags != spool.Flagged {
		t.Errorf("INBOX has %+v, want the two late messages", msgs)
	}
	// A week later.
	if err := os.WriteFile(filepath.Join(trash[0], "new/3.later.host"), []byte("Subject: later\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-8 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Dir(trash[0]), old, old); err != nil {
		t.Fatal(err)
	}
	if err := in.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Expunge(t.Context(), spool.SetOf(1)); err != nil {
		t.Fatal(err)
	}
	project(t, in) // who expunges sweeps
	if left, err := filepath.Glob(filepath.Join(dir, "users/alice/bobbin-trash/*")); err != nil || len(left) != 0 {
		t.Errorf("trash: %q, %v; want nothing", left, err)
	}
	if err := in.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(in.Messages()); n != 2 {
		t.Errorf("INBOX has %d messages, want 2", n)
	}
	checkUser(t, s)
}

// To open a mailbox, to list it and to deliver takes nothing of the user's log.
func TestUserLogIsNotRead(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	mustCreate(t, s, "A")
	log := filepath.Join(dir, "users/alice/bobbin-user")
	if err := os.Rename(log, log+".away"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"INBOX", "A"} {
		mustPut(t, folderBox(t, s, name), "Subject: x\n\n")
		m := open(t, folderBox(t, s, name))
		if _, err := m.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{Add: spool.Seen}); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(log); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the user's log was made: %v", err)
	}
}

func TestPublicFolders(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	a, err := s.Accounts(t.Context())
	if err == nil {
		err = a.Add(t.Context(), "bob", nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, "public/News", "public/News/old")
	wantFolders(t, s, "INBOX", "public/News", "public/News/old")
	_, err = s.Box(t.Context(), "nobody", "public/News")
	wantErr(t, "unknown user", err, spool.ErrNoUser)
	for i := range 3 {
		mustPut(t, folderBox(t, s, "public/News"), fmt.Sprintf("Subject: %d\n\n", i))
	}
	alice := open(t, folderBox(t, s, "public/News"))
	bobs, err := s.Box(t.Context(), "bob", "public/News")
	if err != nil {
		t.Fatal(err)
	}
	bob := open(t, bobs)
	flag := func(m *spool.Mailbox, c spool.FlagChange, uids ...uint32) {
		t.Helper()
		if got, err := m.SetFlags(t.Context(), spool.SetOf(uids...), c); err != nil || got.String() != spool.SetOf(uids...).String() {
			t.Errorf("changed %s, %v", got, err)
		}
	}
	flag(alice, spool.FlagChange{Add: spool.Seen | spool.Flagged}, 1, 2)
	flag(bob, spool.FlagChange{Add: spool.Seen}, 2, 3)
	flag(bob, spool.FlagChange{Remove: spool.Seen}, 3)
	if a, b := seen(t, alice), seen(t, bob); a != "1FS 2FS 3 " || b != "1F 2FS 3 " {
		t.Errorf("alice sees %q and bob %q", a, b)
	}
	if err := bob.SetLastRead(t.Context(), 2); err != nil || bob.LastRead() != 2 || alice.LastRead() != 0 {
		t.Errorf("last read: %v, %d and %d", err, bob.LastRead(), alice.LastRead())
	}
	wantErr(t, "last read", bob.SetLastRead(t.Context(), 9), spool.ErrNoMessage)
	copiedAndBack(t, s, alice, bob)
	vanished(t, s, dir, alice, bob)
}

// seen lists the messages with their flags.
func seen(t *testing.T, m *spool.Mailbox) string {
	t.Helper()
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, msg := range m.Messages() {
		b.WriteString(fmt.Sprint(msg.UID, msg.Flags.Letters(), " "))
	}
	return b.String()
}

// copiedAndBack copies from a shared folder to one of one's own, and moves
// back.
func copiedAndBack(t *testing.T, s *spool.Spool, alice, bob *spool.Mailbox) {
	own := open(t, folderBox(t, s, "INBOX"))
	if _, err := alice.Copy(t.Context(), spool.SetOf(1, 3), own); err != nil || seen(t, own) != "1FS 2 " {
		t.Errorf("%v, %s", err, seen(t, own))
	}
	if _, err := own.Move(t.Context(), spool.SetOf(1), alice); err != nil || seen(t, alice) != "1FS 2FS 3 4FS " || seen(t, bob) != "1F 2FS 3 4F " {
		t.Errorf("%v, %q and %q", err, seen(t, alice), seen(t, bob))
	}
	project(t, own)
	project(t, alice)
}

// vanished renames and deletes the shared folders.
func vanished(t *testing.T, s *spool.Spool, dir string, alice, bob *spool.Mailbox) {
	if err := s.RenameFolder(t.Context(), "alice", "public/News", "public/Neues"); err != nil {
		t.Fatal(err)
	}
	if m := open(t, folderBox(t, s, "public/Neues")); seen(t, m) != "1FS 2FS 3 4FS " {
		t.Errorf("after the rename alice sees %q", seen(t, m))
	}
	bob.Close(t.Context())
	alice.Close(t.Context())
	for _, name := range []string{"public/Neues", "public/Neues/old"} {
		if err := s.DeleteFolder(t.Context(), "alice", name); err != nil {
			t.Fatal(err)
		}
	}
	wantFolders(t, s, "INBOX")
	for _, user := range []string{"alice", "bob"} {
		if _, err := s.Folders(t.Context(), user); err != nil {
			t.Fatal(err)
		}
		slots, err := filepath.Glob(filepath.Join(dir, "users", user, "bobbin-user/g.0/*"))
		last := ""
		for _, slot := range slots {
			text, _ := os.Readlink(slot)
			last += text
		}
		if err != nil || !strings.Contains(last, " forget:") {
			t.Errorf("%s's log keeps what vanished: %v", user, err)
		}
	}
	checkUser(t, s)
}

// A commit to the user's log costs what any commit does.
func TestUserCommitCost(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	u, err := s.UserState(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Subscribe(t.Context(), "A", true); err != nil {
		t.Fatal(err)
	}
	ops, _ := counted(t, s, func() error { return u.Subscribe(t.Context(), "B", true) })
	var want netfs.Counts
	want[netfs.OpSymlink], want[netfs.OpGetattr] = 1, 1
	if ops != want {
		t.Errorf("%v, want %v", ops, want)
	}
}
