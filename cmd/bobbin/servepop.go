package main

import (
	"context"

	"github.com/bobbinmail/bobbin/readers/login"
	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// popBackend shows the mail of a spool.
type popBackend struct {
	users  *login.Spool
	delays login.Delays
	pool   *pool.Pool
}

func newPOPBackend(s *spool.Spool) *popBackend {
	return &popBackend{users: login.NewSpool(s), pool: &pool.Pool{Spool: s}}
}

// Login checks a password.
func (b *popBackend) Login(ctx context.Context, c *server.Conn, name string, password []byte) (string, error) {
	return b.delays.Password(ctx, b.users, c.Address(), name, password)
}

// Inbox opens a user's INBOX.
func (b *popBackend) Inbox(ctx context.Context, user string) (*pool.Use, error) {
	return b.pool.Open(ctx, user, spool.Inbox)
}
