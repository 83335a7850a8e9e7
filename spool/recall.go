package spool

import (
	"context"
	"fmt"

	"github.com/bobbinmail/bobbin/netfs"
)

// memorized is what a host remembers of a mailbox: that it read this record of
// its log.
type memorized struct {
	validity uint32 // whoever begins the log anew raises it
	seq      uint64
	token    string
}

func (z memorized) String() string { return fmt.Sprintf("%d %d %s", z.validity, z.seq, z.token) }

// parseMemorized is the inverse of String; for anything else it returns what
// no mailbox fits.
func parseMemorized(text string) (z memorized) {
	_, err := fmt.Sscanf(text, "%d %d %s", &z.validity, &z.seq, &z.token)
	if err != nil || z.String() != text || !netfs.IsToken(z.token) {
		return memorized{}
	}
	return z
}

// memoryName is the name under which hosts remember the mailbox.
func (b *Box) memoryName() string { return b.spool.Marker.Share + " " + b.dir }

// recall makes sure that the log has what an earlier process on this host read
// of it (spool-format.md §5.7, "A share that went back").
func (m *Mailbox) recall(ctx context.Context) error {
	memory := m.box.spool.Host.Memory
	if memory == nil {
		return nil
	}
	z := parseMemorized(memory.Recall(m.box.memoryName()))
	if z.validity == 0 || z.validity != m.UIDValidity() {
		return nil
	}
	return m.log.Remains(ctx, z.seq, z.token)
}

// remember leaves the newest record that m has read to later processes.
func (m *Mailbox) remember(ctx context.Context) {
	memory := m.box.spool.Host.Memory
	if memory == nil {
		return
	}
	seq, token, ok := m.log.Newest(ctx)
	if !ok {
		return
	}
	now := memorized{m.UIDValidity(), seq, token}
	was := parseMemorized(memory.Recall(m.box.memoryName()))
	if was.validity == now.validity && was.seq >= now.seq {
		return // another process of this host is ahead
	}
	memory.Remember(m.box.memoryName(), now.String())
}
