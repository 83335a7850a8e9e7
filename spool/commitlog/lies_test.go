package commitlog_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// behindFS lists a directory as it was, and calls read before a record is read.
type behindFS struct {
	netfs.FS
	hidden string // a name that its listings lack
	read   func(name string)
}

func (f *behindFS) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := f.FS.ReadDir(ctx, name)
	return slices.DeleteFunc(names, func(n string) bool { return n == f.hidden }), err
}

func (f *behindFS) Readlink(ctx context.Context, name string) (string, error) {
	if f.read != nil {
		f.read(name)
	}
	return f.FS.Readlink(ctx, name)
}

// A reader whose listing lacks the newest generation finds it all the same:
// the one before is kept whole.
func TestListingLacksTheNewest(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	f.tuning = commitlog.Tuning{Slots: 8, KeepFor: time.Nanosecond}
	l, _ := f.log()
	f.commit(t, l, 100)
	gens := f.list("g.*")
	if len(gens) < 3 {
		t.Fatalf("generations %q", gens)
	}
	slices.SortFunc(gens, func(a, b string) int {
		return len(a) - len(b) + 2*slices.Compare([]byte(a), []byte(b))
	})
	h := *f.h
	h.Share = &behindFS{FS: f.h.Share, hidden: path.Base(gens[len(gens)-1])}
	f.h = &h
	other, c := f.log()
	if _, err := other.Refresh(t.Context()); err != nil || c.sum != 100 {
		t.Errorf("sum %d, %v; want 100", c.sum, err)
	}
}

// A share that goes back between the look at one record and at the next shows
// parts of two histories. The view does not add them up.
func TestRollBackWhileReading(t *testing.T) {
	f := newFixture(t, netfs.ViaSymlink)
	l, _ := f.log()
	f.commit(t, l, 1)
	h := *f.h
	share := &behindFS{FS: f.h.Share}
	h.Share = share
	r := fixture{dir: f.dir, h: &h, way: f.way}
	reader, c := r.log()
	if _, err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.commit(t, l, 2)
	share.read = func(name string) {
		if path.Base(name) != "3" {
			return
		}
		share.read = nil
		if err := errors.Join(os.Remove(f.slot(2)), os.Remove(f.slot(3))); err != nil {
			t.Error(err)
		}
		other, _ := f.log()
		for range 2 {
			if err := other.Commit(t.Context(), add(5)); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := reader.Refresh(t.Context()); !errors.Is(err, commitlog.ErrCorrupt) || c.sum > 2 {
		t.Errorf("sum %d of two histories, %v; want ErrCorrupt", c.sum, err)
	}
}

// A late CREATE brings an empty file of a base's name back after the base was
// removed. It is no witness.
func TestEmptyBase(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		tuning := commitlog.Tuning{Slots: 3, KeepFor: -1, Inline: 60}
		commit := func(m *member, n int) {
			t.Helper()
			if m.commit(t.Context(), n); m.err != nil || len(m.refused) > 0 {
				t.Fatalf("%v, refused %q", m.err, m.refused)
			}
		}
		active := newMember(s, "active", tuning)
		commit(active, 3)
		behind := newMember(s, "behind", tuning) // it stands where the second generation begins
		if _, err := behind.log.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		gens, _ := s.Server().List("log")
		bases, _ := s.Server().List("log/s")
		commit(active, 9)
		i := slices.IndexFunc(gens, func(n string) bool { return n != "g.0" && n[:2] == "g." })
		if i < 0 || s.Server().MkdirAll("log/"+gens[i]) != nil || s.Server().WriteFile("log/s/"+bases[0], nil) != nil {
			t.Fatal("what late requests brought back could not be made")
		}
		commit(behind, 1)
		if err := judgeLog(s, []*member{active, behind}); err != nil {
			t.Error(err)
		}
	})
}

// notYet is a client that remembers for some time that a directory was absent.
type notYet struct {
	netfs.FS
	h     *netfs.Host
	dir   string
	until time.Duration
}

func (f *notYet) absent(name string) error {
	if (name == f.dir || path.Dir(name) == f.dir) && f.h.Boot() < f.until {
		return &fs.PathError{Op: "lookup", Path: name, Err: fs.ErrNotExist}
	}
	return nil
}

func (f *notYet) Stat(ctx context.Context, name string) (netfs.Info, error) {
	if err := f.absent(name); err != nil {
		return netfs.Info{}, err
	}
	return f.FS.Stat(ctx, name)
}

func (f *notYet) Symlink(ctx context.Context, target, name string) error {
	if err := f.absent(name); err != nil {
		return err
	}
	return f.FS.Symlink(ctx, target, name)
}

// A writer whose client does not find, for a second, the directory that a
// listing showed, does not take the share for one that went back (SMB, H34).
func TestDirectoryNotYetThere(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		if err := makeLog(s); err != nil {
			t.Fatal(err)
		}
		tuning := commitlog.Tuning{Slots: 4, KeepFor: time.Hour}
		active := newMember(s, "active", tuning)
		if active.commit(t.Context(), 4); active.err != nil {
			t.Fatal(active.err)
		}
		h := s.Host("client")
		share := &notYet{FS: h.Share, h: h}
		h.Share = share
		l, state := idsLog(h, tuning)
		if _, err := l.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		gens, _ := s.Server().List("log")
		i := slices.IndexFunc(gens, func(n string) bool { return n != "g.0" && n[:2] == "g." })
		if i < 0 {
			t.Fatalf("no second generation in %q", gens)
		}
		share.dir, share.until = "log/"+gens[i], h.Boot()+time.Second
		if err := l.Commit(t.Context(), func() ([]string, error) { return []string{"id:client.1"}, nil }); err != nil {
			t.Errorf("commit: %v", err)
		}
		if !slices.Contains(state.list, "client.1") {
			t.Errorf("the state is %v", state.list)
		}
	})
}
