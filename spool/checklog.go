package spool

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// dirs looks for directories that are missing or something else, such as a
// link that somebody planted; nothing behind one is looked at.
func (c *checker) dirs(ctx context.Context) (whole bool, err error) {
	whole = true
	_, lerr := c.box.fs.Stat(ctx, commitlog.Dirs(logDir)[3])
	c.newLog = errors.Is(lerr, fs.ErrNotExist)
	for _, d := range mailboxDirs() {
		i, err := c.box.fs.Stat(ctx, d)
		switch {
		case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), err == nil && !i.Mode.IsDir():
			c.wrong("dir-irregular", d, "it is not a directory")
			whole = false
		case errors.Is(err, fs.ErrNotExist):
			if !c.newLog || slices.Contains(maildirs, d) {
				c.note("dir-missing", d, "the directory is missing; the next user makes it")
			}
		case err != nil:
			return false, err
		default:
			c.rights(d, i)
		}
	}
	return whole, nil
}

// log reads every slot, not only as many as the tails make necessary.
func (c *checker) log(ctx context.Context) error {
	names := segmentNames{}
	l := c.box.spool.log(c.box.fs, logDir, machine{
		apply: func(r *commitlog.Record) error {
			names.note(r)
			return c.state.apply(r)
		},
		snapshot: func(since uint64) ([]byte, uint64) { return c.state.snapshot(since), since },
		load: func(text []byte) error {
			names.list(c.state) // a base may name fewer than the one before it
			return loadInto(&c.state, text)
		},
		named: func() []string { return names.list(c.state) },
	})
	faults, err := l.Verify(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		c.newLog = true
		c.note("log-missing", logDir, "there is no log yet; the first reader makes it")
		return nil
	}
	if err != nil {
		return err
	}
	c.broken = c.faults(faults)
	c.segments(ctx, l)
	if !c.broken {
		if err := c.recall(ctx, l); err != nil {
			return err
		}
	}
	if c.state.deleted != "" {
		c.note("folder-deleted", ".", "the folder was deleted; who opens it next moves it to %s/%s", folderTrash, c.state.deleted)
	}
	return nil
}

// codeWentBack says that a log lacks what this host read of it.
const codeWentBack = "went-back"

// recall looks for what this host read of the log before (§5.7 of the format).
func (c *checker) recall(ctx context.Context, l *commitlog.Log) error {
	z := c.box.spool.memorized(c.box.memoryName())
	if z.id == "" || z.id != strconv.FormatUint(uint64(c.state.uidValidity), 10) {
		return nil
	}
	err := l.Remains(ctx, z.seq, z.token)
	if errors.Is(err, commitlog.ErrWentBack) {
		c.wrong(codeWentBack, logDir, "%v", err)
		return nil
	}
	return err
}

// logNames are what bobbin/ has besides generations.
var logNames = []string{"p", "s", "hold", "x", "q", "lk"}

// litter looks at what broken work left, and at what nobody of ours put there.
// Its clock is the server's, as the newest change in the mailbox shows it.
func (c *checker) litter(ctx context.Context) error {
	names, err := c.box.fs.ReadDir(ctx, logDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, n := range names {
		marks := n == markerName || strings.HasPrefix(n, raisedPrefix) // of a mail root that is a share of its own
		if !slices.Contains(logNames, n) && !marks && !(n[0] == '.' || strings.HasPrefix(n, "g.")) {
			c.note("stray", logDir+"/"+n, "no name that Bobbin gives; it is ignored")
		}
	}
	for _, d := range []string{"tmp", "new", "cur", holdDir, goneDir} {
		if i, err := c.box.fs.Stat(ctx, d); err == nil && i.Ctime.After(c.now) {
			c.now = i.Ctime
		}
	}
	for _, a := range []aged{
		{dir: "tmp", keep: keepLitter}, {dir: onceDir, keep: keepOnce}, {dir: goneDir, keep: keepGone},
	} {
		if err := c.old(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) old(ctx context.Context, a aged) error {
	names, err := c.box.fs.ReadDir(ctx, a.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, n := range names {
		where := a.dir + "/" + n
		i, err := c.box.fs.Stat(ctx, where)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case i.Mode.IsDir() && !(a.dir == onceDir && c.box.spool.Marker.Slots == "directory"):
			c.note("stray", where, "a directory that Bobbin did not make; it is ignored")
		case c.now.Sub(i.Ctime) >= a.keep:
			c.note("litter", where, "what broken or finished work left; it is cleared away with the next change")
		}
	}
	return nil
}
