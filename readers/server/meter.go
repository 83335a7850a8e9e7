package server

import (
	"slices"
	"sync/atomic"
	"time"
)

// Meter counts the clients of a protocol, on whatever listener. The zero value
// is ready.
type Meter struct {
	Connections atomic.Int64 // all that came
	Refused     atomic.Int64 // of these, those that were one too many
	Open        atomic.Int64 // that are served now
	LoggedIn    atomic.Int64 // of these, those that are a user's
}

// Client is a connection that is open.
type Client struct {
	Protocol, Remote string
	User             string // who is logged in; "" is nobody
	Since            time.Time
}

// Clients lists the connections that are open, the oldest first.
func (s *Server) Clients() (list []Client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		list = append(list, Client{c.Protocol, c.Remote, c.User(), c.since})
	}
	slices.SortFunc(list, func(a, b Client) int { return a.Since.Compare(b.Since) })
	return list
}

// LogIn tells whose the client is from now on, which is counted.
func (c *Conn) LogIn(user string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.user == "" {
		c.meter.LoggedIn.Add(1)
	}
	c.user = user
}

// User is who is logged in; "" is nobody.
func (c *Conn) User() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.user
}
