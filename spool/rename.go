package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// giveNewName makes another message of a file whose bytes are not those that
// its name stands for. The file never leaves cur: whoever finds it under the
// new name before the record is there takes it for new mail. So a crash in
// between costs its keywords; the other order could cost the message.
func (m *Mailbox) giveNewName(ctx context.Context, where string) error {
	i, err := m.box.fs.Stat(ctx, where)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // moved on, and found again by the next check
	}
	if err != nil {
		return err
	}
	base, letters, _ := splitName(path.Base(where))
	fresh, err := newBase(m.box.spool.Host)
	if err != nil {
		return err
	}
	if when, ok := timeInName(base); ok {
		_, rest, _ := strings.Cut(fresh, ".")
		fresh = fmt.Sprintf("%d.%s", when.Unix(), rest)
	}
	fresh = fmt.Sprintf("%s,S=%d", fresh, i.Size)
	if err := netfs.Move(ctx, m.box.spool.Host, m.box.fs, where, m.curName(fresh, letters)); err != nil {
		return err
	}
	return m.replaceMessage(ctx, base, fresh, i.Size)
}

// replaceMessage gives the message called fresh a UID and what the message
// called base has. That one ends when complete scans have not found its file.
func (m *Mailbox) replaceMessage(ctx context.Context, base, fresh string, size int64) error {
	return m.commit(ctx, func(s *state) (ops []string) {
		old := s.named(base)
		if old == nil {
			return nil
		}
		now := s.named(fresh)
		if now == nil {
			n := *old
			n.Name, n.Size, n.UID = fresh, size, m.draft.uidNext
			m.draft.uidNext++
			m.draft.names[fresh] = true
			ops = append(ops, assignOp(&n))
			now = &n
		}
		if len(old.Keywords) > 0 {
			ops = append(ops, flagOps(SetOf(now.UID), FlagChange{AddKeywords: old.Keywords})...)
		}
		return ops
	})
}
