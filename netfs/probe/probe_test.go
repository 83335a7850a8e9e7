package probe_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// host returns a real host on dir that takes it for an NFS mount.
func host(t *testing.T, dir string) *netfs.Host {
	t.Helper()
	h, err := netfs.OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Share.Close() })
	h.Profile = simfs.NFS4()
	return h
}

func leavesNothing(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range left {
		t.Errorf("left: %s", l.Name())
	}
}

func find(r *probe.Report, check string) (probe.Finding, bool) {
	i := slices.IndexFunc(r.Findings, func(f probe.Finding) bool { return f.Check == check })
	if i < 0 {
		return probe.Finding{}, false
	}
	return r.Findings[i], true
}

// always are the checks that every report of one host has.
var always = []string{
	"file system", "slots by symlink", "slots by link", "slots by directory", "hard links",
	"rename between directories", "rename onto a full directory", "names with ':'", "names with ';'",
	"names in Unicode", "long names", "upper and lower case", "fsync of a directory", "grain of time stamps",
	"server's clock", "listing", "removing an open file",
	"delivery of 2 KB", "commit of a change", "poll of a directory",
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	h := host(t, dir)
	r, err := probe.Run(t.Context(), h, probe.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range append(always, "exclusive creation", "space") {
		f, ok := find(r, check)
		if !ok {
			t.Errorf("%q is missing", check)
		} else if f.Grade > probe.Note {
			t.Errorf("%+v", f)
		}
	}
	if want := (probe.Choice{Slots: "symlink", RecordMax: 4000, Separator: ":"}); r.Choice == nil || *r.Choice != want {
		t.Errorf("choice %+v, want %+v", r.Choice, want)
	}
	leavesNothing(t, dir)
}

func TestRunWhereNothingCanBeWritten(t *testing.T) {
	h := host(t, t.TempDir())
	h.Share = denied{h.Share}
	r, err := probe.Run(t.Context(), h, probe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := find(r, "write"); f.Grade != probe.Unfit || r.Grade() != probe.Unfit {
		t.Errorf("%+v", r)
	}
}

// The file systems that follow have one defect each.

type denied struct{ netfs.FS }

func (denied) Mkdir(context.Context, string, fs.FileMode) error { return syscall.EACCES }

type noSymlinks struct{ netfs.FS }

func (noSymlinks) Symlink(context.Context, string, string) error { return syscall.EPERM }

// shared hands the defect down to sub-trees.
type noLinks struct{ netfs.FS }

func (noLinks) Link(context.Context, string, string) error    { return syscall.EOPNOTSUPP }
func (noLinks) Symlink(context.Context, string, string) error { return syscall.EPERM }
func (n noLinks) Sub(ctx context.Context, name string) (netfs.FS, error) {
	f, err := n.FS.Sub(ctx, name)
	return noLinks{f}, err
}

type linksWithin struct{ netfs.FS }

func (l linksWithin) Link(ctx context.Context, a, b string) error {
	if filepath.Dir(a) != filepath.Dir(b) {
		return syscall.EXDEV
	}
	return l.FS.Link(ctx, a, b)
}

type oneDirectory struct{ netfs.FS }

func (o oneDirectory) Rename(ctx context.Context, a, b string) error {
	if filepath.Dir(a) != filepath.Dir(b) {
		return syscall.EXDEV
	}
	return o.FS.Rename(ctx, a, b)
}

// replacing replaces directories with all that is in them.
type replacing struct{ netfs.FS }

func (r replacing) Rename(ctx context.Context, a, b string) error {
	err := r.FS.Rename(ctx, a, b)
	if errors.Is(err, syscall.ENOTEMPTY) {
		names, _ := r.ReadDir(ctx, b)
		for _, n := range names {
			_ = r.Remove(ctx, b+"/"+n)
		}
		err = r.FS.Rename(ctx, a, b)
	}
	return err
}

type noColons struct{ netfs.FS }

func (n noColons) Create(ctx context.Context, name string, perm fs.FileMode) (netfs.File, error) {
	return n.FS.Create(ctx, strings.ReplaceAll(name, ":", "\uf022"), perm)
}

type caseless struct{ netfs.FS }

func (c caseless) Stat(ctx context.Context, name string) (netfs.Info, error) {
	return c.FS.Stat(ctx, strings.Replace(name, "cASE", "Case", 1))
}

type shortNames struct{ netfs.FS }

func (s shortNames) Create(ctx context.Context, name string, perm fs.FileMode) (netfs.File, error) {
	if len(filepath.Base(name)) > 143 {
		return nil, syscall.ENAMETOOLONG
	}
	return s.FS.Create(ctx, name, perm)
}

type coarse struct{ netfs.FS }

func (c coarse) Stat(ctx context.Context, name string) (netfs.Info, error) {
	i, err := c.FS.Stat(ctx, name)
	i.Mtime = i.Mtime.Truncate(500 * time.Millisecond)
	return i, err
}

type fat struct{ netfs.FS }

func (f fat) Stat(ctx context.Context, name string) (netfs.Info, error) {
	i, err := f.FS.Stat(ctx, name)
	i.Mtime, i.Ctime = i.Mtime.Truncate(2*time.Second), i.Ctime.Truncate(2*time.Second)
	return i, err
}

type frozen struct{ netfs.FS }

func (f frozen) Stat(ctx context.Context, name string) (netfs.Info, error) {
	i, err := f.FS.Stat(ctx, name)
	i.Mtime = time.Unix(1, 0)
	return i, err
}

type losing struct{ netfs.FS }

func (l losing) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := l.FS.ReadDir(ctx, name)
	if len(names) > 100 {
		names = names[1:]
	}
	return names, err
}

var defects = []struct {
	what   string
	broken func(netfs.FS) netfs.FS
	check  string
	grade  probe.Grade
	choice probe.Choice
}{
	{"no symlinks", func(f netfs.FS) netfs.FS { return noSymlinks{f} }, "slots by symlink", probe.Note, probe.Choice{"link", 65536, ":"}},
	{"no links", func(f netfs.FS) netfs.FS { return noLinks{f} }, "slots by link", probe.Note, probe.Choice{"directory", 65536, ":"}},
	{"no links, copies", func(f netfs.FS) netfs.FS { return noLinks{f} }, "hard links", probe.Note, probe.Choice{"directory", 65536, ":"}},
	{"links within a directory", func(f netfs.FS) netfs.FS { return linksWithin{f} }, "hard links", probe.Note, probe.Choice{"symlink", 4000, ":"}},
	{"directories apart", func(f netfs.FS) netfs.FS { return oneDirectory{f} }, "rename between directories", probe.Unfit, probe.Choice{"symlink", 4000, ":"}},
	{"replaces directories", func(f netfs.FS) netfs.FS { return replacing{f} }, "rename onto a full directory", probe.Unfit, probe.Choice{"symlink", 4000, ":"}},
	{"no colons", func(f netfs.FS) netfs.FS { return noColons{f} }, "names with ':'", probe.Note, probe.Choice{"symlink", 4000, ";"}},
	{"no case", func(f netfs.FS) netfs.FS { return caseless{f} }, "upper and lower case", probe.Note, probe.Choice{"symlink", 4000, ":"}},
	{"short names", func(f netfs.FS) netfs.FS { return shortNames{f} }, "long names", probe.Unfit, probe.Choice{"symlink", 4000, ":"}},
	{"coarse stamps", func(f netfs.FS) netfs.FS { return coarse{f} }, "grain of time stamps", probe.OneHost, probe.Choice{"symlink", 4000, ":"}},
	{"stamps of FAT", func(f netfs.FS) netfs.FS { return fat{f} }, "grain of time stamps", probe.Note, probe.Choice{"symlink", 4000, ":"}},
	{"no stamps", func(f netfs.FS) netfs.FS { return frozen{f} }, "grain of time stamps", probe.OneHost, probe.Choice{"symlink", 4000, ":"}},
	{"listing with gaps", func(f netfs.FS) netfs.FS { return losing{f} }, "listing", probe.OneHost, probe.Choice{"symlink", 4000, ":"}},
}

// simulated calls fn with hosts on a simulated share, whose clock does not
// depend on how busy the machine is.
func simulated(t *testing.T, o simfs.Options, fns ...func(ctx context.Context, h *netfs.Host)) {
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		for i, fn := range fns {
			s.Go(s.Host("h"+string(rune('1'+i))), fn)
		}
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		left, err := s.Server().List(".")
		if err != nil || len(left) > 0 {
			t.Errorf("left: %q, %v", left, err)
		}
	})
}

func TestDefects(t *testing.T) {
	for _, d := range defects {
		t.Run(d.what, func(t *testing.T) {
			simulated(t, simfs.Options{Seed: 1}, func(ctx context.Context, h *netfs.Host) {
				h.Share = d.broken(h.Share)
				r, err := probe.Run(ctx, h, probe.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				if f, ok := find(r, d.check); !ok || f.Grade != d.grade || f.Hazard == "" {
					t.Errorf("%+v, want %v", f, d.grade)
				}
				if r.Grade() != d.grade {
					t.Errorf("the whole is %v, want %v: %+v", r.Grade(), d.grade, r.Findings)
				}
				if r.Choice == nil || *r.Choice != d.choice {
					t.Errorf("choice %+v, want %+v", r.Choice, d.choice)
				}
			})
		})
	}
}

func TestChoose(t *testing.T) {
	ctx := t.Context()
	h := host(t, t.TempDir())
	h.Profile = netfs.ProfileFor("smb", nil)
	c, err := probe.Choose(ctx, h, ".", probe.Choice{})
	if err != nil || c.Slots != "link" {
		t.Errorf("on SMB: %+v, %v", c, err)
	}
	for _, bad := range []probe.Choice{{Slots: "symlink"}, {Slots: "none"}, {Separator: "!"}} {
		if c, err := probe.Choose(ctx, h, ".", bad); err == nil {
			t.Errorf("%+v became %+v", bad, c)
		}
	}
}

// together runs two probes that look for each other.
func together(t *testing.T, a, b *netfs.Host, oa, ob probe.Options) (ra, rb *probe.Report) {
	t.Helper()
	var wg sync.WaitGroup
	for _, one := range []struct {
		h *netfs.Host
		o probe.Options
		r **probe.Report
	}{{a, oa, &ra}, {b, ob, &rb}} {
		wg.Go(func() {
			r := &probe.Report{Kind: one.h.Profile.Kind}
			if err := probe.Peer(t.Context(), one.h, one.o, r); err != nil {
				t.Error(err)
			}
			*one.r = r
		})
	}
	wg.Wait()
	return ra, rb
}
