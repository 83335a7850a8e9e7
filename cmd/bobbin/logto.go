package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
)

// The places that a log may go to.
const (
	logToStderr  = "stderr"
	logToSyslog  = "syslog"
	logToJournal = "journal"
)

// logger writes a log as the settings say.
func (a *app) logger(c *cli.Context) (*slog.Logger, error) {
	return a.env.logger(c.String("log-to"), c.String("log"))
}

func (e environment) logger(to, format string) (*slog.Logger, error) {
	out := &logOut{stderr: e.Stderr}
	switch to {
	case logToStderr, "":
	case logToSyslog:
		out.socket, out.datagram = &logSocket{path: e.Syslog}, syslogLine
	case logToJournal:
		out.socket, out.datagram = &logSocket{path: e.Journal}, journalEntry
	default:
		return nil, fmt.Errorf("%w: log-to %q: it is stderr, syslog or journal", errConfig, to)
	}
	options := &slog.HandlerOptions{}
	if out.socket != nil {
		options.ReplaceAttr = withoutTime
	}
	switch format {
	case "text", "":
		return slog.New(&lineHandler{slog.NewTextHandler(&out.line, options), out}), nil
	case "json":
		return slog.New(&lineHandler{slog.NewJSONHandler(&out.line, options), out}), nil
	default:
		return nil, fmt.Errorf("%w: log %q: it is text or json", errConfig, format)
	}
}

// withoutTime leaves out what the system's log adds by itself.
func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return a
}

// lineHandler writes one line for each record, in which nothing can command a
// terminal or begin another line.
type lineHandler struct {
	slog.Handler
	out *logOut
}

// logOut is where lines go; it is shared by the handlers of a log.
type logOut struct {
	stderr   io.Writer
	socket   *logSocket // nil for standard error
	datagram func(slog.Record, string) []byte

	mu   sync.Mutex
	line bytes.Buffer // what the inner handler writes
}

// WithAttrs is that of the inner handler.
func (h *lineHandler) WithAttrs(list []slog.Attr) slog.Handler {
	return &lineHandler{h.Handler.WithAttrs(list), h.out}
}

// WithGroup is that of the inner handler.
func (h *lineHandler) WithGroup(name string) slog.Handler {
	return &lineHandler{h.Handler.WithGroup(name), h.out}
}

// Handle writes a record. What the system's log does not take goes to standard
// error.
func (h *lineHandler) Handle(ctx context.Context, r slog.Record) error {
	o := h.out
	o.mu.Lock()
	defer o.mu.Unlock()
	o.line.Reset()
	if err := h.Handler.Handle(ctx, r); err != nil {
		return err
	}
	line := escaped(strings.TrimSuffix(o.line.String(), "\n"))
	if o.socket != nil {
		err := o.socket.write(o.datagram(r, line))
		if err == nil {
			return nil
		}
		line = printable(err.Error()) + ": " + line
	}
	_, err := io.WriteString(o.stderr, line+"\n")
	return err
}

// maxLogLine is the longest line for the system's log, in bytes: what is longer
// would be refused.
const maxLogLine = 8 << 10

func short(line string) string {
	if len(line) > maxLogLine {
		line = strings.ToValidUTF8(line[:maxLogLine], "")
	}
	return line
}

// severity is that of RFC 5424 §6.2.1.
func severity(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

// mailFacility is that of RFC 5424 §6.2.1.
const mailFacility = 2

// syslogLine is what a program of the host sends to its syslog (RFC 3164 §4.1,
// without the host's name).
func syslogLine(r slog.Record, line string) []byte {
	return fmt.Appendf(nil, "<%d>%s bobbin[%d]: %s", mailFacility*8+severity(r.Level), r.Time.Format(time.Stamp), os.Getpid(), short(line))
}

// journalEntry is an entry in the journal's native protocol: the line as its
// message, and each value in a field of its own.
func journalEntry(r slog.Record, line string) []byte {
	b := fmt.Appendf(nil, "PRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=bobbin\n", severity(r.Level), mailFacility)
	b = journalField(b, "MESSAGE", short(line))
	r.Attrs(func(a slog.Attr) bool {
		b = journalField(b, "BOBBIN_"+strings.ToUpper(a.Key), short(printable(a.Value.Resolve().String())))
		return true
	})
	return b
}

// journalField appends a field. Names have capital letters, digits and _ alone.
func journalField(b []byte, name, value string) []byte {
	name = strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '_'
	}, name)
	b = append(append(b, name...), '\n')
	b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	return append(append(b, value...), '\n')
}

// logPatience is how long the system's log may keep mail waiting, and logPause
// how long it is left alone after it did.
const (
	logPatience = time.Second
	logPause    = 10 * time.Second
)

// logSocket sends datagrams. log/syslog of the standard library would wait for
// ever for a daemon that reads nothing, and mail with it.
type logSocket struct {
	path  string
	conn  net.Conn
	pause time.Time // nothing is sent until then
}

var errLogPause = errors.New("the system's log takes nothing")

// write sends one, if it must to a daemon that was started anew.
func (s *logSocket) write(b []byte) (err error) {
	if time.Now().Before(s.pause) {
		return errLogPause
	}
	for range 2 {
		if s.conn == nil {
			c, err := net.Dial("unixgram", s.path)
			if err != nil {
				return err
			}
			s.conn = c
		}
		_ = s.conn.SetWriteDeadline(time.Now().Add(logPatience))
		if _, err = s.conn.Write(b); err == nil {
			return nil
		}
		_ = s.conn.Close()
		s.conn = nil
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.pause = time.Now().Add(logPause)
			return err
		}
	}
	return err
}
