package spool

import "context"

// KeepAll writes down every fresh summary, however few they are.
func (m *Mailbox) KeepAll(ctx context.Context) { m.keepSummaries(ctx, 1) }

// CommitAsIs commits operations whatever they are.
func (m *Mailbox) CommitAsIs(ctx context.Context, ops ...string) error {
	return m.log.Commit(ctx, func() ([]string, error) { return ops, nil })
}
