package main

import (
	"context"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/spool"
)

// imapBackend shows the mail of a spool.
type imapBackend struct{ pool *pool.Pool }

// Spool has the folders.
func (b *imapBackend) Spool() *spool.Spool { return b.pool.Spool }

// Open opens a user's folder.
func (b *imapBackend) Open(ctx context.Context, user, folder string) (*pool.Use, error) {
	return b.pool.Open(ctx, user, folder)
}
