package spool_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// A view of a mailbox whose log was removed and made anew stops, however far
// the new log has come: nothing but its UIDVALIDITY tells.
func TestLogMadeAnew(t *testing.T) {
	simfs.Run(t, simfs.Case{Share: "smb"}.Options(), func(t *testing.T, sim *simfs.Sim) {
		h := sim.Host("h")
		makeAlice(t, h, "")
		opened := func(h *netfs.Host) *spool.Mailbox {
			s, err := spool.Open(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			s.Tuning = commitlog.Tuning{Slots: 4, KeepFor: 1}
			return open(t, inbox(t, s))
		}
		mustPut(t, inboxAt(t, h), "Subject: x\n\n")
		old := opened(h)
		flagSome(t, old, 10)
		if err := sim.Server().RemoveAll("users/alice/bobbin"); err != nil {
			t.Fatal(err)
		}
		anew := opened(sim.Host("other"))
		if anew.UIDValidity() == old.UIDValidity() {
			t.Fatalf("UIDVALIDITY is %d again", anew.UIDValidity())
		}
		flagSome(t, anew, 30)
		wantErr(t, "refresh", old.Refresh(t.Context()), commitlog.ErrWentBack)
	})
}

// flagSome commits n changes of the first message.
func flagSome(t *testing.T, m *spool.Mailbox, n int) {
	t.Helper()
	for i := range n {
		change := spool.FlagChange{Add: spool.Flagged}
		if i%2 == 1 {
			change = spool.FlagChange{Remove: spool.Flagged}
		}
		if _, err := m.SetFlags(t.Context(), spool.SetOf(1), change); err != nil {
			t.Fatal(err)
		}
	}
}

// A folder whose UIDVALIDITY is higher than what the user's log has given, as a
// host with a fast clock made it in a spool of level 1, does not leave it to the
// next folder of its name.
func TestNumberOfTheDeleted(t *testing.T) {
	dir := t.TempDir()
	h := openHost(t, dir)
	lowered(t, h, spool.InitOptions{})
	fast := openHost(t, dir)
	fast.Wall = func() time.Time { return h.Wall().Add(time.Hour) }
	old, err := spool.Open(t.Context(), fast)
	if err != nil {
		t.Fatal(err)
	}
	addAlice(t, old)
	if err := os.MkdirAll(filepath.Join(dir, "users/alice/.A/cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	was := open(t, folderBox(t, old, "A")).UIDValidity()
	s, err := spool.Open(t.Context(), h)
	if err == nil {
		err = s.Upgrade(t.Context(), 2)
	}
	if err == nil {
		err = s.DeleteFolder(t.Context(), "alice", "A")
	}
	if err != nil {
		t.Fatal(err)
	}
	mustCreate(t, s, "A")
	if n := open(t, folderBox(t, s, "A")).UIDValidity(); n <= was {
		t.Errorf("UIDVALIDITY %d after %d", n, was)
	}
}

// Another program of the host listed the folder in the tick in which mail came,
// and NFSv3 believes that listing. Who deletes the folder saves the mail all the
// same.
func TestDeletedFolderIsListedAnew(t *testing.T) {
	simfs.Run(t, simfs.Case{Share: "nfs3"}.Options(), func(t *testing.T, sim *simfs.Sim) {
		h := sim.Host("deletes")
		makeAlice(t, h, "")
		s, err := spool.Open(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		mustCreate(t, s, "A")
		deliver := func(name string) error {
			return sim.Server().WriteFile("users/alice/.A/new/"+name, []byte("Subject: x\n\n"))
		}
		done := false
		late := hook(t, s, func(op, name string) error {
			if op != "rename" || name != ".A" {
				return nil
			}
			done = true
			err := deliver("1700000001.first.x")
			if err == nil {
				_, err = h.Share.ReadDir(t.Context(), "users/alice/.A/new")
			}
			if err == nil {
				err = deliver("1700000002.last.x")
			}
			return errors.Join(err, h.Sleep(t.Context(), time.Second))
		})
		if err := late.DeleteFolder(t.Context(), "alice", "A"); err != nil || !done {
			t.Fatalf("deleted with a rename: %v, %v", done, err)
		}
		names, err := sim.Server().List("users/alice/new")
		if err != nil || len(names) != 2 {
			t.Errorf("INBOX has %q, %v", names, err)
		}
	})
}

// A LINK that the network repeats when its copy is long in place makes no second
// file of the message.
func TestLateLink(t *testing.T) {
	plain, dir := newSpool(t, spool.InitOptions{})
	var made string
	s := hook(t, plain, func(op, name string) error {
		if op == "link" {
			made = filepath.Join(dir, name)
		}
		return nil
	})
	m, target := twoMessages(t, s), open(t, archive(t, s))
	if _, err := m.Copy(t.Context(), spool.SetOf(1), target); err != nil || made == "" {
		t.Fatalf("linked to %q, %v", made, err)
	}
	project(t, target)
	names, err := filepath.Glob(filepath.Join(dir, "users/alice/.Archive/cur/*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	if err := os.Link(names[0], made); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(names[0]); err != nil { // another program
		t.Fatal(err)
	}
	other := open(t, archive(t, s))
	if n := len(other.Messages()); n != 0 {
		t.Errorf("%d messages, and their file was removed", n)
	}
}

// lateLink is a share whose LINK fails and is carried out when the next file
// is made.
type lateLink struct {
	netfs.FS
	dir  string
	late *func()
}

func (l lateLink) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := l.FS.Sub(ctx, name)
	l.FS = sub
	return l, err
}

func (l lateLink) Link(_ context.Context, oldname, newname string) error {
	*l.late = func() { _ = os.Link(filepath.Join(l.dir, oldname), filepath.Join(l.dir, newname)) }
	return syscall.EIO
}

func (l lateLink) Create(ctx context.Context, name string, perm fs.FileMode) (netfs.File, error) {
	(*l.late)()
	return l.FS.Create(ctx, name, perm)
}

// A copy whose link seems to have failed is a file of its own, also when that
// link is made while the copy is.
func TestCopyBesideLateLink(t *testing.T) {
	plain, dir := newSpool(t, spool.InitOptions{})
	late := func() {}
	h := *plain.Host
	h.Share = lateLink{h.Share, dir, &late}
	s, err := spool.Open(t.Context(), &h)
	if err != nil {
		t.Fatal(err)
	}
	m, target := twoMessages(t, s), open(t, archive(t, s))
	if _, err := m.Copy(t.Context(), spool.SetOf(1), target); err != nil {
		t.Fatal(err)
	}
	project(t, m)
	project(t, target)
	var files []fs.FileInfo
	for _, b := range []struct{ folder, name string }{{"", m.Messages()[0].Name}, {".Archive/", target.Messages()[0].Name}} {
		names, err := filepath.Glob(filepath.Join(dir, "users/alice", b.folder, "[cn]*", b.name+"*"))
		if err != nil || len(names) != 1 {
			t.Fatalf("%q, %v", names, err)
		}
		i, err := os.Stat(names[0])
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, i)
	}
	wantFiles(t, dir, ".Archive/tmp", 1) // the late link
	if os.SameFile(files[0], files[1]) {
		t.Error("the copy is the message's own file")
	}
}

// An optional operation that is not known does not keep anybody from reading,
// and everybody from writing.
func TestUnknownOperation(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	m := numbered(t, inbox(t, s), 1)
	if err := m.CommitAsIs(t.Context(), "hint@3?:x"); err != nil {
		t.Fatal(err)
	}
	m = open(t, inbox(t, s))
	wantUIDs(t, m, 1)
	before := m.ModSeq()
	if _, err := m.SetFlags(t.Context(), spool.SetOf(1), flagIt); !errors.Is(err, commitlog.ErrNewer) || m.ModSeq() != before {
		t.Errorf("flags: %v, record %d after %d", err, m.ModSeq(), before)
	}
}

// A message that is copied to a mailbox of other rights has those, and is
// no second name of the first.
func TestCopyToOtherRights(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	archive(t, s)
	if err := os.Chmod(filepath.Join(dir, "users/alice/.Archive"), 0o750); err != nil {
		t.Fatal(err)
	}
	m, target := twoMessages(t, s), open(t, archive(t, s))
	if _, err := m.Copy(t.Context(), spool.SetOf(1), target); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "users/alice/.Archive/bobbin/hold/*"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}
	if i, err := os.Stat(names[0]); err != nil || i.Mode() != 0o640 {
		t.Errorf("the copy has the mode %v, %v", i.Mode(), err)
	}
}

// unsyncedNew is a share on which new cannot be synced.
type unsyncedNew struct{ netfs.FS }

func (u unsyncedNew) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := u.FS.Sub(ctx, name)
	return unsyncedNew{sub}, err
}

func (u unsyncedNew) SyncDir(ctx context.Context, name string) error {
	if name == "new" {
		return syscall.EIO
	}
	return u.FS.SyncDir(ctx, name)
}

// A retry that finds the message of a try which did not come to its end
// acknowledges it, so it must outlast a power failure.
func TestRetryIsDurable(t *testing.T) {
	const key = "abcdefghijklmnopqrstuvwxyz"
	for seed := range uint64(12) {
		simfs.Run(t, simfs.Case{Seed: seed, Share: "local"}.Options(), func(t *testing.T, s *simfs.Sim) {
			a, b := s.Host("a"), s.Host("b")
			makeAlice(t, a, "")
			a.Share = unsyncedNew{a.Share}
			first, second := receive(t, inboxAt(t, a), "Subject: x\n\n"), receive(t, inboxAt(t, b), "Subject: x\n\n")
			s.Go(a, func(ctx context.Context, _ *netfs.Host) {
				s.SetFaults(simfs.Faults{Forget: 1e-9}) // the past is kept from here on
				if err := first.PublishOnce(ctx, key); !errors.Is(err, netfs.ErrUncertain) {
					t.Errorf("the first try: %v", err)
				}
			})
			err := s.Run()
			s.Go(b, func(ctx context.Context, h *netfs.Host) {
				if err := second.PublishOnce(ctx, key); err != nil {
					t.Errorf("the second try: %v", err)
				}
				s.SetFaultsKeepingPast(simfs.Faults{PowerLoss: 1})
				_, _ = h.Share.Stat(ctx, ".")
			})
			if err = errors.Join(err, s.Run()); err != nil || s.Disasters() != 1 {
				t.Fatalf("%d disasters, %v", s.Disasters(), err)
			}
			s.SetFaults(simfs.Faults{})
			if got := len(open(t, inboxAt(t, s.Host("audit"))).Messages()); got != 1 {
				t.Errorf("%d messages are left, want 1", got)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
