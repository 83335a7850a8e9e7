package forward

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/locking"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/message"
)

// Message is what goes to the targets.
type Message struct {
	Host   *netfs.Host // clock and randomness
	User   string
	Home   string // his home directory
	Sender string // the return path, without angle brackets
	// Limit is how long a command may take, and how long a lock is waited for.
	Limit time.Duration
	// Body returns the message from its beginning, lines ended by LF.
	Body func() (io.Reader, error)
}

// fields are what every copy has on top: with it a loop is noticed.
func (m *Message) fields() string { return "Delivered-To: " + m.User + "\n" }

// Copy returns the message with the field on top by which a loop is noticed: what
// is sent to other addresses.
func (m *Message) Copy() (io.Reader, error) {
	body, err := m.Body()
	if err != nil {
		return nil, err
	}
	return io.MultiReader(strings.NewReader(m.fields()), body), nil
}

// stored is a copy as mail programs find it in a mailbox.
func (m *Message) stored() (io.Reader, error) {
	c, err := m.Copy()
	if err != nil {
		return nil, err
	}
	return io.MultiReader(strings.NewReader("Return-Path: <"+m.Sender+">\n"), c), nil
}

// temporary is the exit code EX_TEMPFAIL of sysexits.h.
const temporary = 75

// Command runs a command line by sh(1), as whoever the process runs as, in his home
// and with no environment but what is said here; the message, with a "From " line, is
// its standard input. The error matches [delivery.ErrRefused] if it ended by itself
// with a code that is neither 0 nor 75, the one for "try again": that it could not be
// found or run, that it was killed or took too long, is temporary. What it wrote is part
// of the error.
func (m *Message) Command(ctx context.Context, line string) error {
	ctx, cancel := context.WithTimeout(ctx, m.Limit)
	defer cancel()
	body, err := m.stored()
	if err != nil {
		return err
	}
	// Files that it makes are its user's alone.
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", "umask 077\n"+line)
	cmd.Stdin = io.MultiReader(strings.NewReader(message.FromLine(m.Sender, m.Host.Wall())), body)
	said := &firstBytes{left: 1000}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Dir = m.Home
	cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "SHELL=/bin/sh", "LANG=C", "HOME=" + m.Home, "USER=" + m.User, "LOGNAME=" + m.User,
		"SENDER=" + m.Sender, Running + "=" + m.User,
	}
	// What it starts ends with it, and cannot keep us waiting by an open pipe.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	exit, exited := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay) && ctx.Err() == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("command %q: %w", line, ctx.Err())
	case exited && exit.Exited() && !mayMend(exit.ExitCode()):
		return fmt.Errorf("command %q: %w: exit code %d: %s", line, delivery.ErrRefused, exit.ExitCode(), said)
	}
	return fmt.Errorf("command %q: %w: %s", line, err, said)
}

// Running is the environment variable that tells a command for which user it runs,
// so that a delivery to him does not look at his .forward again.
const Running = "BOBBIN_FORWARDING"

// mayMend tells whether another try may have another end: EX_TEMPFAIL, and the shell's codes
// for a command that is not there or cannot be run.
func mayMend(code int) bool { return code == temporary || code == 126 || code == 127 }

// firstBytes keeps the beginning of what is written.
type firstBytes struct {
	bytes.Buffer
	left int
}

func (f *firstBytes) Write(p []byte) (int, error) {
	n := min(len(p), f.left)
	f.left -= n
	f.Buffer.Write(p[:n])
	return len(p), nil
}

// Mbox appends the message to a file under the locks of [locking.Mbox]. After an error the file
// is as it was. /dev/null takes everything.
func (m *Message) Mbox(ctx context.Context, name string) error {
	if name == "/dev/null" {
		return nil
	}
	body, err := m.stored()
	if err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, m.Limit)
	defer cancel()
	f, release, err := locking.Mbox(wait, m.Host, name)
	if err != nil {
		return err
	}
	before, err := f.Stat()
	if err != nil {
		return errors.Join(err, release())
	}
	w := bufio.NewWriterSize(f, 64<<10)
	err = message.WriteMbox(w, m.Sender, m.Host.Wall(), bufio.NewReader(body))
	if err == nil {
		err = errors.Join(ctx.Err(), w.Flush())
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		err = errors.Join(fmt.Errorf("append to %s: %w", name, err), f.Truncate(before.Size()))
	}
	return errors.Join(err, release())
}

// Maildir puts the message into the Maildir at dir, which is made if its parent is there. It must belong
// to whoever the process runs as.
func (m *Message) Maildir(ctx context.Context, dir string) error {
	h, err := netfs.OpenBelow(ctx, netfs.Below{Base: path.Dir(dir), Dir: path.Base(dir), Create: 1})
	if err != nil {
		return fmt.Errorf("maildir %s: %w", dir, err)
	}
	defer h.Share.Close()
	if err := m.intoMaildir(ctx, h); err != nil {
		return fmt.Errorf("maildir %s: %w", dir, err)
	}
	return nil
}

func (m *Message) intoMaildir(ctx context.Context, h *netfs.Host) error {
	body, err := m.stored()
	if err != nil {
		return err
	}
	for _, d := range []string{"tmp", "new", "cur"} {
		if err := netfs.MkdirAll(ctx, h, h.Share, d); err != nil {
			return err
		}
	}
	token, err := h.Token()
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%d.%s.%s", h.Wall().Unix(), token, h.Tag)
	f, err := netfs.CreateNew(ctx, h.Share, "tmp/"+name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, body)
	if err == nil {
		err = errors.Join(ctx.Err(), f.Commit())
	}
	if err != nil {
		f.Abort(ctx)
		return err
	}
	return netfs.Move(ctx, h, h.Share, "tmp/"+name, "new/"+name)
}
