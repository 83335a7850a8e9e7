package main

import (
	"context"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/spool"
)

// popBackend shows the mail of a spool.
type popBackend struct{ pool *pool.Pool }

// Inbox opens a user's INBOX.
func (b *popBackend) Inbox(ctx context.Context, user string) (*pool.Use, error) {
	return b.pool.Open(ctx, user, spool.Inbox)
}
