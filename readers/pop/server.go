package pop

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"github.com/bobbinmail/bobbin/readers/login"
	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/readers/sasl"
	"github.com/bobbinmail/bobbin/readers/server"
)

// Backend has users' mail. It is used by many goroutines at once.
type Backend interface {
	// Open opens a user's folder, or a shared one, and looks for new mail. The
	// error is that of [pool.Pool.Open].
	Open(ctx context.Context, user, folder string) (*pool.Use, error)
	// Shared lists the shared folders that a user may read, by the names that
	// Open takes, in any order.
	Shared(ctx context.Context, user string) ([]string, error)
}

// Options are settings of a [Server]; the zero value works.
type Options struct {
	// Name is what the server calls itself; "localhost".
	Name string
	// TLS offers STLS (RFC 2595); nil does not.
	TLS *tls.Config
	// Expire is after how many days the administrator has mail removed that
	// clients leave; 0 if he never does. Clients are told (RFC 2449 §6.7).
	Expire int
	// LoginDelay is how long after a login a user must wait before the next; in
	// whole seconds (RFC 2449 §6.5). Other servers of the spool do not know of it.
	LoginDelay time.Duration
	// Lock lets a user have one session at a time, on all hosts; others are told
	// [IN-USE] (RFC 2449 §8.1.1).
	Lock bool
	// Post begins a letter that a user sends by XTND XMIT; nil does not offer it.
	// It has at most MaxSize bytes.
	Post    func(ctx context.Context, user string) (Letter, error)
	MaxSize int64
	// UIDL is what UIDL says of messages.
	UIDL UIDL
	// Log gets a line for each session; nil means slog.Default.
	Log *slog.Logger
}

// Server serves POP3. It is made by [New] and used by many goroutines.
type Server struct {
	logins  *login.Service
	backend Backend
	Options
	delays  delays
	watches watches
}

// New returns a server of the mail that b has for those whom logins lets in.
func New(logins *login.Service, b Backend, o Options) *Server {
	o.Name = cmp.Or(o.Name, "localhost")
	o.Log = cmp.Or(o.Log, slog.Default())
	return &Server{logins: logins, backend: b, Options: o}
}

// announced is what clients are told of the options.
func (s *Server) announced() []string {
	list := []string{"EXPIRE NEVER"}
	if s.Expire > 0 {
		list[0] = fmt.Sprintf("EXPIRE %d", s.Expire)
	}
	if s.LoginDelay > 0 {
		list = append(list, fmt.Sprintf("LOGIN-DELAY %d", s.LoginDelay/time.Second))
	}
	xtnd := "XTND BBOARDS ARCHIVE X-BBOARDS"
	if s.Post != nil {
		xtnd += " XMIT"
	}
	return append(list, xtnd)
}

// Protocol is how the server is put on a listener.
func (s *Server) Protocol() server.Protocol {
	return server.Protocol{
		Name:  "pop3",
		Busy:  "-ERR [SYS/TEMP] too many connections, try again later\r\n",
		Idle:  10 * time.Minute, // the least of RFC 1939 §3
		Serve: s.serve,
	}
}

func (s *Server) serve(ctx context.Context, c *server.Conn) {
	x := s.newSession(c, "pop3")
	defer x.leave(ctx)
	greeting := s.Name + " POP3 Bobbin"
	if s.logins.SASL.Offers(sasl.APOP) {
		x.stamp = s.logins.SASL.Stamp()
		greeting += " " + x.stamp
	}
	x.ok("%s", greeting)
	for !x.ended {
		x.command(ctx)
	}
	_ = c.Writer.Flush()
}
