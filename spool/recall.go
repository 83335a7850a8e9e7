package spool

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// memorized is what a host remembers of a log: that it read this record of it.
type memorized struct {
	id    string // which log it is: one that was begun anew under its name is another
	seq   uint64
	token string
}

func (z memorized) String() string { return fmt.Sprintf("%s %d %s", z.id, z.seq, z.token) }

// memorized returns what the host remembers under a name; the zero value if
// that is nothing.
func (s *Spool) memorized(name string) (z memorized) {
	if s.Host.Memory == nil {
		return z
	}
	text := s.Host.Memory.Recall(name)
	_, err := fmt.Sscanf(text, "%s %d %s", &z.id, &z.seq, &z.token)
	if err != nil || z.String() != text || !netfs.IsToken(z.token) {
		return memorized{}
	}
	return z
}

// remember leaves the newest record that a view has read to later processes of
// the host.
func (s *Spool) remember(ctx context.Context, l *commitlog.Log, name, id string) {
	seq, token, ok := l.Newest(ctx)
	if s.Host.Memory == nil || !ok || id == "" {
		return
	}
	if was := s.memorized(name); was.id == id && was.seq >= seq {
		return // another process of this host is ahead
	}
	s.Host.Memory.Remember(name, memorized{id, seq, token}.String())
}

// memoryName is the name under which hosts remember the mailbox.
func (b *Box) memoryName() string { return b.spool.Marker.Share + " " + b.dir }

// memoryID changes when the mailbox's log is begun anew.
func (m *Mailbox) memoryID() string { return strconv.FormatUint(uint64(m.UIDValidity()), 10) }

// recall makes sure that the log has what an earlier process on this host read
// of it (spool-format.md §5.7, "A share that went back").
func (m *Mailbox) recall(ctx context.Context) error {
	z := m.box.spool.memorized(m.box.memoryName())
	if z.id == "" || z.id != m.memoryID() {
		return nil
	}
	return m.log.Remains(ctx, z.seq, z.token)
}

// remember leaves the newest record that m has read to later processes.
func (m *Mailbox) remember(ctx context.Context) {
	m.box.spool.remember(ctx, m.log, m.box.memoryName(), m.memoryID())
}

// memoryName is the name under which hosts remember the user's log.
func (h home) memoryName() string { return h.spool.Marker.Share + " " + h.dir + "/" + userLogDir }

// recall is that of a mailbox. A user's log has no UIDVALIDITY; if it is
// another one than the host remembers, its first record tells.
func (u *UserState) recall(ctx context.Context) error {
	z := u.home.spool.memorized(u.home.memoryName())
	if z.id == "" || u.missing {
		return nil
	}
	err := u.log.Remains(ctx, z.seq, z.token)
	if !errors.Is(err, commitlog.ErrWentBack) {
		u.id = z.id
		return u.wrap(err)
	}
	first, ferr := u.home.spool.firstToken(ctx, u.fs, userLogDir)
	if ferr != nil || first == z.id {
		return u.wrap(err)
	}
	u.id = first
	u.log = u.home.spool.log(u.fs, userLogDir, u.machine())
	return u.Refresh(ctx)
}

// remember leaves the newest record that u has read to later processes.
func (u *UserState) remember(ctx context.Context) {
	if u.id == "" && u.home.spool.Host.Memory != nil {
		u.id, _ = u.home.spool.firstToken(ctx, u.fs, userLogDir)
	}
	u.home.spool.remember(ctx, u.log, u.home.memoryName(), u.id)
}
