package pop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// boardPrefix begins the name of a shared folder, which RFC 1082 calls a
// discussion group or bulletin board; archiveName ends that of its archive.
const (
	boardPrefix = "public/"
	archiveName = "/Archive"
)

// A Letter is a message that a user sends. It takes the text, with lines that
// end in CRLF.
type Letter interface {
	io.Writer
	// Send sends it. The error wraps [ErrRefused] if trying again is useless.
	Send(ctx context.Context) error
	// Close forgets it.
	Close() error
}

// ErrRefused means that a letter will never be sent as it is.
var ErrRefused = errors.New("the letter is refused")

// xtnd is RFC 1082, and qpopper's XMIT.
func (x *session) xtnd(ctx context.Context, args []string) {
	name := ""
	if len(args) == 2 {
		name = args[1]
	}
	switch what := strings.ToUpper(args[0]); {
	case what == "BBOARDS" && name == "":
		x.boards(ctx)
	case what == "BBOARDS":
		x.board(ctx, name, "")
	case what == "ARCHIVE" && name != "":
		x.board(ctx, name, archiveName)
	case what == "X-BBOARDS" && name != "":
		x.aboutBoard(ctx, name)
	case what == "XMIT" && name == "" && x.server.Post != nil:
		x.xmit(ctx)
	default:
		x.misused("no such XTND")
	}
}

// maxima is the highest UID that was given in a folder: it never decreases, and
// each message has its own (RFC 1082).
func maxima(m interface{ UIDNext() uint32 }) uint32 { return m.UIDNext() - 1 }

// boards lists the shared folders whose names old clients can say.
func (x *session) boards(ctx context.Context) {
	names, err := x.server.backend.Shared(ctx, x.user)
	var lines []string
	for _, folder := range names {
		name, ok := boardName(folder)
		if err != nil || !ok {
			continue
		}
		m, oerr := x.server.backend.Open(ctx, x.user, folder)
		if errors.Is(oerr, spool.ErrNoFolder) { // deleted meanwhile
			continue
		}
		if err = oerr; err == nil {
			lines = append(lines, fmt.Sprintf("%s %d", name, maxima(m)))
			_ = m.Close(ctx) // nothing was changed
		}
	}
	if err != nil {
		x.boardTrouble(err)
		return
	}
	x.multi("XTND", lines...)
}

// boardName is what clients call a shared folder.
func boardName(folder string) (name string, ok bool) {
	name, ok = strings.CutPrefix(folder, boardPrefix)
	return name, ok && fits(name) && !strings.HasSuffix(strings.ToLower(name), strings.ToLower(archiveName))
}

// findBoard finds the folder of a board, whatever capitals the name has. It
// answers if there is none.
func (x *session) findBoard(ctx context.Context, name, suffix string) (folder string, ok bool) {
	folders, err := x.server.backend.Shared(ctx, x.user)
	if err != nil {
		x.boardTrouble(err)
		return "", false
	}
	for _, folder := range folders {
		if strings.EqualFold(folder, boardPrefix+name+suffix) && fits(folder) {
			return folder, true
		}
	}
	x.fail("no such bboard")
	return "", false
}

func (x *session) boardTrouble(err error) {
	if errors.Is(err, spool.ErrNoFolder) {
		x.fail("no such bboard")
		return
	}
	x.log.Error("shared folder", "user", x.user, "error", err)
	x.fail("[SYS/TEMP] the bboard cannot be read now")
}

// board goes on with a shared folder. What the client deleted in INBOX goes then;
// if it cannot, or there is no such board, the session stays where it is.
func (x *session) board(ctx context.Context, name, suffix string) {
	folder, ok := x.findBoard(ctx, name, suffix)
	if !ok {
		return
	}
	m, err := x.server.backend.Open(ctx, x.user, folder)
	if err != nil {
		x.boardTrouble(err)
		return
	}
	d := &drop{mailbox: m, board: strings.TrimPrefix(folder, boardPrefix)}
	if err := d.fill(ctx); err != nil {
		x.boardTrouble(errors.Join(err, d.close(ctx)))
		return
	}
	if x.update(ctx) != nil {
		x.fail(notRemoved)
		_ = d.close(ctx) // nothing was changed
		return
	}
	x.closeDrop(ctx)
	x.drop = d
	x.multi("XTND", fmt.Sprintf("%s %d", strings.TrimSuffix(d.board, suffix), maxima(m)))
}

// aboutBoard tells what is known of a board, a line each.
func (x *session) aboutBoard(ctx context.Context, name string) {
	folder, ok := x.findBoard(ctx, name, "")
	if !ok {
		return
	}
	m, err := x.server.backend.Open(ctx, x.user, folder)
	if err != nil {
		x.boardTrouble(err)
		return
	}
	lines := make([]string, 14)
	lines[0], lines[12] = strings.TrimPrefix(folder, boardPrefix), fmt.Sprintf("0 %d", maxima(m))
	if msgs := m.Messages(); len(msgs) > 0 {
		lines[13] = msgs[len(msgs)-1].Date.UTC().Format("Mon, 2 Jan 06 15:04:05 -0700")
	}
	_ = m.Close(ctx) // nothing was changed
	x.multi("XTND", lines...)
}

// letterWriter writes a letter as far as it may go on, and takes the rest.
type letterWriter struct {
	Letter
	left int64
	err  error
}

var errLong = errors.New("the message is too long")

// Write never fails before the client is far beyond what it may send.
func (w *letterWriter) Write(p []byte) (int, error) {
	w.left -= int64(len(p))
	if w.err == nil && w.left < 0 {
		w.err = errLong
	}
	if w.err == nil {
		_, w.err = w.Letter.Write(p)
	}
	if w.left < -endless {
		return 0, errLong
	}
	return len(p), nil
}

// endless is how many bytes too many end the session.
const endless = 64 << 20

// xmit takes a message and sends it.
func (x *session) xmit(ctx context.Context) {
	letter, err := x.server.Post(ctx, x.user)
	if err != nil {
		x.log.Error("message to be sent", "user", x.user, "error", err)
		x.fail("[SYS/TEMP] no message can be taken now")
		return
	}
	defer letter.Close()
	x.ok("send the message, and a dot on a line")
	w := &letterWriter{Letter: letter, left: x.server.MaxSize}
	in := server.NewDotReader(x.conn.Reader)
	err = x.conn.Data(func() error {
		_, err := in.WriteTo(w)
		return err
	})
	switch {
	case err != nil:
		x.bye(err)
		return
	case w.err == nil && in.Smuggling:
		w.err = fmt.Errorf("%w: a dot between line ends that are not CRLF", ErrRefused)
	case w.err == nil:
		w.err = letter.Send(ctx)
	}
	switch {
	case w.err == nil:
		x.log.Info("message sent", "user", x.user, "size", x.server.MaxSize-w.left)
		x.ok("message sent")
		return
	case errors.Is(w.err, errLong):
		x.fail("[SYS/PERM] the message has more than %d bytes", x.server.MaxSize)
	case errors.Is(w.err, ErrRefused):
		x.fail("[SYS/PERM] the message is refused")
	default:
		x.fail("[SYS/TEMP] the message is not sent, try again later")
	}
	x.log.Error("message not sent", "user", x.user, "error", w.err)
}
