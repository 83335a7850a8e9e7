package spool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// Files that another program renames all the time are missed by listings and
// are never where they are looked for; still no message may be expunged.
func TestRenamesAreNoRemovals(t *testing.T) {
	seeds := uint64(150)
	if full() {
		seeds = 2000
	}
	for seed := range seeds {
		simfs.Run(t, simfs.Options{Seed: seed, Faults: simfs.Faults{SplitList: 0.9}}, func(t *testing.T, s *simfs.Sim) {
			h := s.Host("init")
			makeAlice(t, h, "")
			sp, err := spool.Open(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			const messages = 4
			b := inbox(t, sp)
			for range messages {
				mustPut(t, b, "Subject: x\n\n")
			}
			ended := false
			mutt := s.Host("mutt")
			s.Go(mutt, func(ctx context.Context, h *netfs.Host) {
				defer func() { ended = true }()
				renameAll(ctx, h, rand.New(rand.NewPCG(seed, 1)))
			})
			for i := range 2 {
				s.Go(s.Host(fmt.Sprintf("h%d", i)), func(ctx context.Context, h *netfs.Host) {
					follow(ctx, t, h, &ended, messages)
				})
			}
			if err := s.Run(); err != nil {
				t.Fatal(err)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// renameAll is a program that changes flags in bursts, at such intervals that
// a scan which waits for the directories to rest is caught in the middle.
func renameAll(ctx context.Context, h *netfs.Host, rng *rand.Rand) {
	const home = "users/alice/"
	for range 60 {
		_ = h.Sleep(ctx, time.Duration(95+rng.IntN(30))*time.Millisecond)
		for _, dir := range []string{"new", "cur"} {
			names, _ := h.Share.ReadDir(ctx, home+dir)
			for range 1 + rng.IntN(3) {
				if len(names) == 0 {
					break
				}
				name := names[rng.IntN(len(names))]
				base, _, _ := strings.Cut(name, ":2,")
				_ = h.Share.Rename(ctx, home+dir+"/"+name, home+"cur/"+base+":2,"+spool.Flags(rng.IntN(64)).Letters())
			}
		}
	}
}

// follow reads the mailbox until the other program has ended.
func follow(ctx context.Context, t *testing.T, h *netfs.Host, ended *bool, messages int) {
	s, err := spool.Open(ctx, h)
	if err != nil {
		t.Error(err)
		return
	}
	b, err := s.Box(ctx, "alice", spool.Inbox)
	if err != nil {
		t.Error(err)
		return
	}
	m, err := b.Open(ctx)
	for err == nil && !*ended {
		if n := len(m.Messages()); n != messages {
			t.Errorf("%s: %d messages, want %d", h.Tag, n, messages)
			return
		}
		_ = h.Sleep(ctx, 5*time.Millisecond)
		err = m.Refresh(ctx)
	}
	if err != nil {
		t.Error(err)
	}
}

// unseenFS is a share whose files in new cannot be looked at for a while.
type unseenFS struct {
	netfs.FS
	fails *bool
}

func (f unseenFS) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := f.FS.Sub(ctx, name)
	return unseenFS{sub, f.fails}, err
}

func (f unseenFS) Stat(ctx context.Context, name string) (netfs.Info, error) {
	if *f.fails && path.Dir(name) == "new" {
		return netfs.Info{}, syscall.ETIMEDOUT
	}
	return f.FS.Stat(ctx, name)
}

// A scan that ends with an error has not taken over what it saw. The name that
// another program gave a file stays until one has.
func TestProjectLeavesWhatIsNotTakenOver(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	fails := false
	s.Host.Share = unseenFS{s.Host.Share, &fails}
	b := inbox(t, s)
	mustPut(t, b, "Subject: x\n\n")
	m := open(t, b)
	change := func(c spool.FlagChange) {
		t.Helper()
		if _, err := m.SetFlags(t.Context(), spool.SetOf(1), c); err != nil {
			t.Fatal(err)
		}
	}
	change(spool.FlagChange{Add: spool.Seen})
	if err := m.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "users/alice/cur", m.Messages()[0].Name)
	if err := os.Rename(name+":2,S", name+":2,FS"); err != nil {
		t.Fatal(err)
	}
	mustPut(t, b, "Subject: y\n\n")
	change(spool.FlagChange{Add: spool.Draft})
	fails = true
	if err := m.Refresh(t.Context()); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("refresh: %v", err)
	}
	_ = m.Project(t.Context())
	fails = false
	if err := errors.Join(m.Refresh(t.Context()), m.Project(t.Context())); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name + ":2,DFS"); err != nil {
		t.Error(err)
	}
}

// What another Maildir program does to files is taken over.
func TestForeignChanges(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	for range 2 {
		mustPut(t, b, "Subject: x\n\n")
	}
	m := open(t, b)
	msgs := m.Messages()
	home := filepath.Join(dir, "users/alice")
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(home, from), filepath.Join(home, to)); err != nil {
			t.Fatal(err)
		}
	}
	flag := func(change string, uid uint32) {
		t.Helper()
		c, err := spool.ParseFlagChange(change)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.SetFlags(t.Context(), spool.SetOf(uid), c); err != nil {
			t.Fatal(err)
		}
	}
	want := func(uid uint32, flags spool.Flags) {
		t.Helper()
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		msg, err := m.Message(uid)
		if err != nil || msg.Flags != flags {
			t.Errorf("UID %d: %v, %v; want %v", uid, msg, err, flags.Words())
		}
	}
	one, two := msgs[0].Name, msgs[1].Name

	rename("new/"+one, "cur/"+one+":2,S") // read with mutt
	want(1, spool.Seen)
	flag("+flagged", 1) // and flagged with Bobbin, before the name shows it
	rename("cur/"+one+":2,S", "cur/"+one+":2,RS")
	want(1, spool.Seen|spool.Flagged|spool.Answered) // both count
	if err := m.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(home, "cur", one+":2,FRS")); err != nil {
		t.Error(err)
	}
	rename("cur/"+one+":2,FRS", "cur/"+one+":2,FR") // marked as new with mutt
	want(1, spool.Answered|spool.Flagged)

	rename("new/"+two, "cur/"+two+":2,Sab") // letters of another program stay
	want(2, spool.Seen)
	flag("+deleted", 2)
	if err := m.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(home, "cur", two+":2,STab")); err != nil {
		t.Errorf("foreign letters: %v", err)
	}

	checkClean(t, b)
}

// mutt leaves mail that is flagged and not read in new, with flags at the end
// of its name.
func TestForeignFlagsInNew(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	name := filepath.Join(dir, "users/alice/new", mustPut(t, b, "Subject: x\n\n"))
	m := open(t, b)
	for _, step := range []struct {
		from, to string
		want     spool.Flags
	}{{name, name + ":2,F", spool.Flagged}, {name + ":2,F", name + ":2,", 0}} {
		if err := os.Rename(step.from, step.to); err != nil {
			t.Fatal(err)
		}
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if msg, err := m.Message(1); err != nil || msg.Flags != step.want {
			t.Errorf("%s: %+v, %v; want %v", step.to, msg, err, step.want.Words())
		}
	}
}

// Of two files of one message, as a restored backup may leave them, neither
// tells its flags by itself: they would be taken over in turn, for ever. What
// both tell is united by one record, and the file that is left shows it.
func TestTwoNames(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []string // by the log, which no file shows
		files   []string
		want    string
		records uint64
	}{
		{"one clears what another shows", []string{"+answered,+deleted,+seen"}, []string{"FRT", "RST"}, "FRST", 1},
		{"both are new", nil, []string{"F", "S"}, "FS", 1},
		{"three", nil, []string{"F", "S", "R"}, "FRS", 1},
		{"one has all", nil, []string{"F", "FS"}, "FS", 1},
		{"one is behind", nil, []string{"", "F"}, "F", 1},
		{"both are behind", []string{"+flagged", "-flagged,+seen"}, []string{"", "F"}, "S", 0},
		{"what the log cleared stays cleared", []string{"+seen", "-seen"}, []string{"S", "F"}, "F", 1},
		{"what the log set stays", []string{"+deleted"}, []string{"F", "S"}, "FST", 1},
		{"together they show a value that is past", []string{"+answered,+flagged,+seen", "-answered,-flagged,-seen"}, []string{"FS", "R"}, "R", 1},
		{"a file shows what another lacks", []string{"+seen"}, []string{"S", "FR"}, "FRS", 1},
	} {
		t.Run(c.name, func(t *testing.T) { twoNames(t, c.changes, c.files, c.want, c.records) })
	}
}

func twoNames(t *testing.T, changes, files []string, want string, records uint64) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	base := mustPut(t, b, "Subject: x\n\n")
	m := open(t, b)
	for _, words := range changes {
		c, err := spool.ParseFlagChange(words)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.SetFlags(t.Context(), spool.SetOf(1), c); err != nil {
			t.Fatal(err)
		}
	}
	before := m.ModSeq()
	from, cur := filepath.Join(dir, "users/alice/new", base), filepath.Join(dir, "users/alice/cur")
	for _, letters := range files {
		if err := os.Link(from, filepath.Join(cur, base+":2,"+letters)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(from); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := open(t, b).Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if msg, err := m.Message(1); err != nil || msg.Flags.Letters() != want || m.ModSeq() != before+records {
		t.Errorf("%+v, %v; %d records; want the flags %q by %d", msg, err, m.ModSeq()-before, want, records)
	}
	if err := m.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(cur)
	if err != nil || len(left) != 1 || left[0].Name() != base+":2,"+want {
		t.Errorf("left is %v, %v", left, err)
	}
	checkClean(t, b)
	// Another host may have kept another name: it is no news.
	at := filepath.Join(cur, base+":2,"+want)
	for _, letters := range files {
		other := filepath.Join(cur, base+":2,"+letters)
		if err := os.Rename(at, other); err != nil {
			t.Fatal(err)
		}
		at = other
		for range 3 {
			if err := m.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if msg, err := m.Message(1); err != nil || msg.Flags.Letters() != want || m.ModSeq() != before+records {
			t.Errorf("under the name %q: %+v, %v; %d records", letters, msg, err, m.ModSeq()-before)
		}
	}
}

// unlisted hides a file from listings, as some file systems do (H55).
type unlisted struct {
	netfs.FS
	name string
}

func (u *unlisted) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := u.FS.Sub(ctx, name)
	return &unlisted{sub, u.name}, err
}

func (u *unlisted) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := u.FS.ReadDir(ctx, name)
	return slices.DeleteFunc(names, func(n string) bool { return n == u.name }), err
}

// A message whose file is not listed, however often, is asked for by name
// before it counts as removed, wherever it may be.
func TestUnlisted(t *testing.T) {
	s, _ := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	mustPut(t, b, "Subject: x\n\n")
	m := open(t, b)
	if _, err := m.Append(t.Context(), spool.NewMessage{In: receive(t, b, "Subject: y\n\n")}); err != nil {
		t.Fatal(err) // and it stays in hold
	}
	for _, msg := range m.Messages() {
		h := *s.Host
		h.Share = &unlisted{h.Share, msg.Name}
		b, err := spoolBox(t.Context(), &h)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(open(t, b).Messages()); n != 2 {
			t.Errorf("%s is not listed: %d messages are left", msg.Name, n)
		}
	}
}

func TestForeignRemoval(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	kept, gone := mustPut(t, b, "Subject: x\n\n"), mustPut(t, b, "Subject: y\n\n")
	m := open(t, b)
	if err := os.Remove(filepath.Join(dir, "users/alice/new", gone)); err != nil {
		t.Fatal(err)
	}
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if msgs := m.Messages(); len(msgs) != 1 || msgs[0].Name != kept {
		t.Errorf("after the removal: %+v", msgs)
	}
	checkClean(t, b)
}

// Expunged files are unlinked an hour later, by the server's time.
func TestSweep(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	b := inbox(t, s)
	gone := filepath.Join(dir, "users/alice/bobbin/x")
	for range 2 {
		mustPut(t, b, "Subject: x\n\n")
	}
	m := open(t, b)
	for uid := range uint32(2) {
		if _, err := m.Expunge(t.Context(), spool.SetOf(uid+1)); err != nil {
			t.Fatal(err)
		}
		if err := m.Project(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := os.ReadDir(gone); err != nil || len(left) != 2 {
		t.Fatalf("%d files in bobbin/x, %v; want 2", len(left), err)
	}
	// Seen from a directory whose time is two hours on, they are old.
	late := time.Now().Add(2 * time.Hour)
	if err := os.Chtimes(gone, late, late); err != nil {
		t.Fatal(err)
	}
	h := *s.Host
	h.Share = &frozenDir{h.Share, late}
	s2, err := spool.Open(t.Context(), &h)
	if err != nil {
		t.Fatal(err)
	}
	b2, err := s2.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, b2, "Subject: y\n\n")
	m2 := open(t, b2)
	if _, err := m2.Expunge(t.Context(), spool.SetOf(3)); err != nil {
		t.Fatal(err)
	}
	if err := m2.Project(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(gone); err != nil || len(left) != 0 {
		t.Errorf("%d files left in bobbin/x, %v; want none", len(left), err)
	}
}

// frozenDir shows directories with a later time than they have.
type frozenDir struct {
	netfs.FS
	when time.Time
}

func (f *frozenDir) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := f.FS.Sub(ctx, name)
	return &frozenDir{sub, f.when}, err
}

func (f *frozenDir) Stat(ctx context.Context, name string) (netfs.Info, error) {
	i, err := f.FS.Stat(ctx, name)
	if i.Mode.IsDir() {
		i.Mtime = f.when
	}
	return i, err
}

// Where listings are weak, a removal counts after a second look, which comes
// although nothing changes any more (the simulator's case: seed 168).
func TestRemovalWhereListingsAreWeak(t *testing.T) {
	s, root := newSpool(t, spool.InitOptions{})
	s.Host.Profile.WeakLists = true
	var later time.Duration
	boot := s.Host.Boot
	s.Host.Boot = func() time.Duration { return boot() + later }
	mustPut(t, inbox(t, s), "Subject: x\n\n")
	m := open(t, inbox(t, s))
	if err := os.Remove(filepath.Join(root, "users/alice/new", m.Messages()[0].Name)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{1, 1, 0} {
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := len(m.Messages()); got != want {
			t.Errorf("after %v: %d messages, want %d", later, got, want)
		}
		later += 40 * time.Second
	}
}
