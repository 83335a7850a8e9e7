package spool

import "context"

// KeepAll writes down every fresh summary, however few they are.
func (m *Mailbox) KeepAll(ctx context.Context) { m.keepSummaries(ctx, 1) }
