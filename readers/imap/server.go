package imap

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/bobbinmail/bobbin/readers/login"
	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// Backend has the mail. It is used by many goroutines at once.
type Backend interface {
	// Spool has the folders.
	Spool() *spool.Spool
	// Open opens a user's folder and looks for new mail.
	Open(ctx context.Context, user, folder string) (*pool.Use, error)
}

// Options are settings of a [Server]; the zero value works.
type Options struct {
	// Name is what the server calls itself; "localhost".
	Name string
	// Version is what ID tells (RFC 2971).
	Version string
	// TLS offers STARTTLS; nil does not.
	TLS *tls.Config
	// MaxSize is the largest message of APPEND in bytes; 128 MiB.
	MaxSize int64
	// Log gets a line for each session; nil means slog.Default.
	Log *slog.Logger
}

// Server serves IMAP. It is made by [New] and used by many goroutines.
type Server struct {
	backend Backend
	logins  *login.Service
	Options
}

// New returns a server of the mail that b has, to those whom logins lets in.
func New(b Backend, logins *login.Service, o Options) *Server {
	o.Name = cmp.Or(o.Name, "localhost")
	o.MaxSize = cmp.Or(o.MaxSize, 128<<20)
	o.Log = cmp.Or(o.Log, slog.Default())
	return &Server{b, logins, o}
}

// idleAfter is how long a client that is logged in may say nothing: the least of
// RFC 9051 §5.4.
const idleAfter = 30 * time.Minute

// Protocol is how the server is put on a listener.
func (s *Server) Protocol() server.Protocol {
	return server.Protocol{
		Name:  "imap",
		Busy:  "* BYE [UNAVAILABLE] too many connections, try again later\r\n",
		Idle:  2 * time.Minute, // until login
		Serve: s.serve,
	}
}

func (s *Server) serve(ctx context.Context, c *server.Conn) {
	x := &session{server: s, conn: c, p: parser{conn: c}, log: s.Log.With("protocol", "imap", "client", c.Remote, "connection", c.ID)}
	defer x.leave(ctx)
	x.untagged("OK [CAPABILITY %s] %s Bobbin", x.capabilities(ctx), s.Name)
	for !x.ended {
		x.command(ctx)
	}
	_ = c.Writer.Flush()
}
