package lmtp

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net/netip"

	"github.com/bobbinmail/bobbin/readers/server"
)

// Backend has the mailboxes. It is used by many goroutines at once.
type Backend interface {
	// Recipient finds out whose an address is, and whether a message of size bytes
	// may come, as the client estimates; 0 if it does not (RFC 1870 §6). An error
	// that is a *[Reply] is told the client as it is.
	Recipient(ctx context.Context, address string, size int64) (Recipient, error)
	// Deliver brings a message to one recipient. After nil it is durable there;
	// after an error nothing of it is, or it is not certain. What it knows of the
	// delivery is for the log.
	Deliver(ctx context.Context, m *Message, to Recipient) (Delivery, error)
}

// Delivery tells of a delivery.
type Delivery struct {
	// Folder is where the message is, "" if that is not known.
	Folder string
	// Operations is what was asked of the share, negative if that is not known.
	Operations int64
}

// Recipient is a mailbox; equal ones get a message once.
type Recipient struct {
	User, Folder string
	// Address is for a backend that does not know the folder yet.
	Address string
}

// Options are settings of a [Server]; the zero value works.
type Options struct {
	// Name is what the server calls itself; "localhost".
	Name string
	// MaxSize is the largest message in bytes; 128 MiB.
	MaxSize int64
	// MaxRecipients of one message; 1000.
	MaxRecipients int
	// Trusted are the peers who may use XCLIENT and XFORWARD, beside the clients
	// of a unix socket.
	Trusted []netip.Prefix
	// TLS offers STARTTLS; nil does not.
	TLS *tls.Config
	// Scratch makes a file for a message that is longer than 64 KiB.
	Scratch func() (Scratch, error)
	// Log gets a line for each recipient; nil means slog.Default.
	Log *slog.Logger
}

// Server serves LMTP. It is made by [New] and used by many goroutines.
type Server struct {
	backend Backend
	Options
}

// New returns a server that delivers to b.
func New(b Backend, o Options) *Server {
	o.Name = cmp.Or(o.Name, "localhost")
	o.MaxSize = cmp.Or(o.MaxSize, 128<<20)
	o.MaxRecipients = cmp.Or(o.MaxRecipients, 1000)
	o.Log = cmp.Or(o.Log, slog.Default())
	return &Server{b, o}
}

// Protocol is how the server is put on a listener.
func (s *Server) Protocol() server.Protocol {
	return server.Protocol{
		Name:  "lmtp",
		Busy:  "421 4.3.2 " + s.Name + " too many connections, try again later\r\n",
		Serve: s.serve,
	}
}

func (s *Server) serve(ctx context.Context, c *server.Conn) {
	x := &session{server: s, conn: c, trusted: s.trusts(c.Remote), client: c.Remote}
	defer x.reset()
	x.greet()
	for !x.ended {
		x.command(ctx)
	}
	_ = c.Writer.Flush()
}

// trusts tells whether a peer may speak for others.
func (s *Server) trusts(remote string) bool {
	if remote == "unix" {
		return true
	}
	at, err := netip.ParseAddrPort(remote)
	for _, p := range s.Trusted {
		if err == nil && p.Contains(at.Addr().Unmap()) {
			return true
		}
	}
	return false
}
