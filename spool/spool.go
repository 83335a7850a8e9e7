package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync/atomic"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// Directories below the spool's root.
const (
	usersDir    = "users"
	accountsDir = "accounts"
	trashDir    = "trash"
	publicDir   = "public"
)

// Directories of a mailbox. logDir has the log's own below it.
const (
	logDir  = "bobbin"
	holdDir = logDir + "/hold"
	goneDir = logDir + "/x"
	onceDir = logDir + "/q"
)

// Spool is an open spool: the tree of many users, or the mail root of one that
// is a share of its own. Its methods may be called from several goroutines.
type Spool struct {
	Host   *netfs.Host
	Marker Marker
	// Tuning is for tests; it is set before use.
	Tuning commitlog.Tuning
	way    netfs.Way

	at      string // the marker's directory
	owner   string // whose mail root the share is; "" in the tree of many users
	level   atomic.Int64
	noLinks atomic.Bool // the share has shown that it takes no hard link between mailboxes
}

// Open reads the marker file of h's share. The error wraps [ErrNotSpool] or
// commitlog.ErrNewer.
func Open(ctx context.Context, h *netfs.Host) (*Spool, error) {
	return open(ctx, h, spoolMarker, "")
}

func open(ctx context.Context, h *netfs.Host, at, owner string) (*Spool, error) {
	m, way, err := readMarker(ctx, h.Share, at)
	if err != nil {
		return nil, err
	}
	if h.Profile.Risk != "" {
		return nil, fmt.Errorf("this mount cannot be shared: %s", h.Profile.Risk)
	}
	if err := probe.Suits(h.Profile, way); err != nil {
		return nil, fmt.Errorf("%s: %w", markerName, err)
	}
	if limit := way.Max(h.Profile); m.RecordMax > limit {
		return nil, fmt.Errorf("%s: record_max is %d and this host takes at most %d", markerName, m.RecordMax, limit)
	}
	s := &Spool{Host: h, Marker: m, way: way, at: at, owner: owner}
	if err := s.readLevel(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Reachable asks the server whether the share is there. It costs an operation,
// and on a mount that waits for its server it waits.
func (s *Spool) Reachable(ctx context.Context) error {
	_, err := s.Host.Share.Stat(ctx, path.Join(s.at, markerName))
	return err
}

// machine is what a log's records mean: see [commitlog.Config].
type machine struct {
	apply    func(*commitlog.Record) error
	snapshot func(since uint64) ([]byte, uint64)
	load     func(text []byte) error
	begin    func()
	named    func() []string
}

// log returns a view of the log in dir.
func (s *Spool) log(f netfs.FS, dir string, m machine) *commitlog.Log {
	return commitlog.New(commitlog.Config{
		Host: s.Host, FS: f, Dir: dir, Way: s.way, RecordMax: s.Marker.RecordMax,
		Apply: m.apply, Snapshot: m.snapshot, Load: m.load, Begin: m.begin, Named: m.named, Tuning: s.Tuning,
	})
}

// Box is where a mailbox is. It is closed by Close.
type Box struct {
	spool  *Spool
	fs     netfs.FS // the mailbox directory; no link leads out of it
	dir    string   // its name on the share
	home   home
	leaf   string // its name in the mail root
	User   string
	Folder string
}

// Box finds a user's folder, or a shared one, whose name begins with
// "public/". The error wraps [ErrNoUser], [ErrNoFolder] or [ErrBadName].
func (s *Spool) Box(ctx context.Context, user, folder string) (*Box, error) {
	h, rest, err := s.place(ctx, user, folder)
	if err != nil {
		return nil, err
	}
	return h.box(ctx, rest)
}

// sub opens a directory. Before it says that there is none, it makes sure
// that this is not the client's name cache speaking (H34).
func (s *Spool) sub(ctx context.Context, dir string) (netfs.FS, error) {
	f, err := s.Host.Share.Sub(ctx, dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if _, err := netfs.Fresh(ctx, s.Host.Share, path.Dir(dir)); err != nil {
		return nil, err
	}
	f, err = s.Host.Share.Sub(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, _, merr := readMarker(ctx, s.Host.Share, s.at); merr != nil {
			return nil, merr // the share went away under us
		}
	}
	return f, err
}

// Close releases the mailbox directory.
func (b *Box) Close() error { return b.fs.Close() }

// maildirs are the directories every Maildir program needs.
var maildirs = []string{"tmp", "new", "cur"}

// prepare makes the directories that are missing.
func (b *Box) prepare(ctx context.Context, dirs []string) error {
	for _, d := range dirs {
		if err := netfs.MkdirAll(ctx, b.spool.Host, b.fs, d); err != nil {
			return fmt.Errorf("mailbox of %s: %w", b.User, err)
		}
	}
	return nil
}

func mailboxDirs() []string {
	return slices.Concat(maildirs, commitlog.Dirs(logDir), []string{holdDir, goneDir})
}

// Users lists the users that have a mailbox directory, in order; in a mail
// root, its user.
func (s *Spool) Users(ctx context.Context) ([]string, error) {
	if s.owner != "" {
		return []string{s.owner}, nil
	}
	names, err := s.Host.Share.ReadDir(ctx, usersDir)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(names, func(n string) bool {
		clean, err := CleanUser(n)
		return err != nil || clean != n
	}), nil
}
