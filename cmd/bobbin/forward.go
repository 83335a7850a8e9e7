package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/delivery/forward"
	"github.com/bobbinmail/bobbin/delivery/outgoing"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/message"
)

// forwardLimit is how long one command or lock of a .forward may take.
const forwardLimit = 10 * time.Minute

// forwarding delivers to users of the system who may have a .forward.
type forwarding struct {
	app  *app
	cli  *cli.Context
	send *outgoing.Way
}

// forwarding is nil where no .forward counts. What it reads may be root's alone.
func (a *app) forwarding(c *cli.Context) (*forwarding, error) {
	if on, err := isOn(c, "forward"); !on {
		return nil, err
	}
	send, err := a.outgoing(c)
	if err != nil || !strings.HasPrefix(a.location(c), homeTemplate) {
		return nil, err
	}
	return &forwarding{a, c, send}, nil
}

// outgoing is how mail is sent to other addresses.
func (a *app) outgoing(c *cli.Context) (*outgoing.Way, error) {
	way, err := outgoing.Parse(cmp.Or(c.String("outgoing"), "/usr/sbin/sendmail"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errConfig, err)
	}
	name := c.String("outgoing-login")
	if name == "" {
		return way, nil
	}
	line, err := secretLine(name)
	if err != nil {
		return nil, fmt.Errorf("%w: outgoing-login: %w", errConfig, err)
	}
	user, password, ok := strings.Cut(line, " ")
	if !ok || user == "" || password == "" {
		return nil, fmt.Errorf("%w: outgoing-login: %s: the first line has a user, a space and a password", errConfig, name)
	}
	way.User, way.Password = user, password
	return way, nil
}

// deliver finds the user, becomes him, and does what his .forward says.
func (f *forwarding) deliver(ctx context.Context, to delivery.Mailboxes, e delivery.Envelope) error {
	b, err := e.Rules.Find(ctx, to, e.Users[0], e.Folder)
	if err != nil {
		return err
	}
	defer b.Close()
	owner, err := f.app.env.Account(ctx, b.User)
	if err != nil {
		return err
	}
	var targets []forward.Target
	if f.app.env.Getenv(forward.Running) != b.User {
		targets, err = f.app.readForward(owner)
		if err != nil {
			return fmt.Errorf("user %s: %w", b.User, err)
		}
	}
	if len(targets) == 0 {
		return delivery.Deliver(ctx, to, e, f.app.env.Stdin)
	}
	held, err := f.app.holdMessage(f.cli)
	if err != nil {
		return err
	}
	defer held.Close()
	h, err := netfs.OpenHost(owner.home)
	if err != nil {
		return err
	}
	defer h.Share.Close()
	t := &forwardRun{forwarding: f, to: to, envelope: e, box: b, held: held, message: forward.Message{
		Host: h, User: b.User, Home: owner.home, Limit: forwardLimit,
	}}
	if err := t.begin(); err != nil {
		return err
	}
	return t.run(ctx, targets)
}

// forwardRun is one message on its way to the targets of a .forward.
type forwardRun struct {
	*forwarding
	to       delivery.Mailboxes
	envelope delivery.Envelope
	box      *spool.Box
	held     *os.File
	start    int64 // where the message begins in held
	crlf     bool  // its lines end so
	message  forward.Message
	digest   [sha256.Size]byte
}

// loopHead is how much of a message is looked at for signs of a loop, in bytes.
const loopHead = 1 << 20

func (r *forwardRun) begin() error {
	head, err := io.ReadAll(io.NewSectionReader(r.held, 0, loopHead))
	if err != nil {
		return err
	}
	line, rest := delivery.SplitFrom(head)
	r.start = int64(len(head) - len(rest))
	if line != "" && r.envelope.SenderUnknown {
		r.envelope.Sender = delivery.SenderOf(line)
	}
	r.envelope.SenderUnknown = false
	if strings.EqualFold(r.envelope.Sender, "MAILER-DAEMON") {
		r.envelope.Sender = ""
	}
	if err := delivery.CheckSender(r.envelope.Sender); err != nil {
		return err
	}
	first, _, _ := bytes.Cut(rest, []byte("\n"))
	r.crlf = bytes.HasSuffix(first, []byte("\r"))
	r.message.Sender, r.message.Body = r.envelope.Sender, r.body
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(r.held, 0, 1<<62)); err != nil {
		return err
	}
	sum.Sum(r.digest[:0])
	return delivery.CheckLoop(message.Header(rest), r.box.User)
}

func (r *forwardRun) body() (io.Reader, error) {
	in := io.NewSectionReader(r.held, r.start, 1<<62-r.start)
	if r.crlf {
		return &lineEnds{r: in}, nil
	}
	return in, nil
}

// run does all that can be done. The mailbox comes first: if it cannot take the
// message, nothing else has happened when the mail system tries again.
func (r *forwardRun) run(ctx context.Context, targets []forward.Target) error {
	var mailbox bool
	var steps []step
	var addresses []string
	for _, t := range targets {
		switch {
		case r.own(t):
			mailbox = true
		case t.Kind == forward.Command:
			steps = append(steps, step{"|" + t.Value, func() error { return r.message.Command(ctx, t.Value) }})
		case t.Kind == forward.Mbox:
			steps = append(steps, step{t.Value, func() error { return r.message.Mbox(ctx, t.Value) }})
		case t.Kind == forward.Maildir:
			steps = append(steps, step{t.Value + "/", func() error { return r.message.Maildir(ctx, t.Value) }})
		default:
			addresses = append(addresses, t.Value)
		}
	}
	if os.Geteuid() == 0 && len(steps) > 0 {
		return exitWith(exitTempFail, fmt.Errorf("user %s: .forward: %s: nothing is run or written as root", r.box.User, steps[0].name))
	}
	if len(addresses) > 0 {
		steps = append(steps, step{"@" + strings.Join(addresses, " "), func() error { return r.forward(ctx, addresses) }})
	}
	if mailbox {
		e := r.envelope
		e.OneOfSeveral = e.OneOfSeveral || len(steps) > 0
		if err := delivery.Deliver(ctx, r.to, e, io.NewSectionReader(r.held, 0, 1<<62)); err != nil {
			return err
		}
	}
	return r.steps(ctx, steps)
}

// step is something to do besides the user's own mailbox.
type step struct {
	name string
	do   func() error
}

// steps does each step. If one is to be tried again, what was done is noted, so that
// a retry with the same queue id does not do it twice.
func (r *forwardRun) steps(ctx context.Context, steps []step) error {
	var refused, failed error
	var done []string
	todo, err := r.todo(ctx, steps)
	if err != nil {
		return err
	}
	for _, s := range todo {
		err := s.do()
		switch {
		case err == nil:
			done = append(done, r.key(s.name))
		case errors.Is(err, delivery.ErrRefused):
			refused = cmp.Or(refused, err) // it is asked again by the retry, which then says so
		default:
			failed = cmp.Or(failed, err)
		}
	}
	if failed == nil {
		return refused
	}
	for _, key := range done {
		if key == "" {
			continue
		}
		if err := r.box.Note(ctx, key); err != nil {
			f := fmt.Errorf("a retry will do again what was done: %w", err)
			r.app.warn(f)
		}
	}
	return exitWith(exitTempFail, fmt.Errorf("user %s: .forward: %w", r.box.User, failed))
}

// todo leaves out the steps that an earlier try has noted. All are asked for before
// the first is done, so an error leaves nothing that a retry does again.
func (r *forwardRun) todo(ctx context.Context, steps []step) (todo []step, err error) {
	for _, s := range steps {
		noted := false
		if key := r.key(s.name); key != "" && len(steps) > 1 {
			if noted, err = r.box.Noted(ctx, key); err != nil {
				return nil, err
			}
		}
		if !noted {
			todo = append(todo, s)
		}
	}
	return todo, nil
}

// key names a step for this message; "" without a queue id.
func (r *forwardRun) key(name string) string {
	if r.envelope.QueueID == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("forward\x00" + r.envelope.QueueID + "\x00" + r.box.User + "\x00" + name + "\x00" + string(r.digest[:])))
	return netfs.Encode32(sum[:16])
}

// own tells whether a target is the user's own mailbox.
func (r *forwardRun) own(t forward.Target) bool {
	if t.Kind != forward.Address && t.Kind != forward.Mailbox {
		return false
	}
	return r.envelope.Rules.Names(t.Value, r.box.User)
}

func (r *forwardRun) forward(ctx context.Context, addresses []string) error {
	body, err := r.message.Copy()
	if err != nil {
		return err
	}
	return r.send.Send(ctx, outgoing.Mail{From: r.envelope.Sender, To: addresses, Body: body})
}

// lineEnds reads lines that end in CRLF as lines that end in LF.
type lineEnds struct {
	r  io.Reader
	cr bool // held back
}

func (l *lineEnds) Read(p []byte) (int, error) {
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	n, err := l.r.Read(p[1:])
	in, out := p[1:1+n], p[:0]
	for _, c := range in {
		if l.cr && c != '\n' {
			out = append(out, '\r')
		}
		if l.cr = c == '\r'; !l.cr {
			out = append(out, c)
		}
	}
	if l.cr && errors.Is(err, io.EOF) {
		l.cr, out = false, append(out, '\r')
	}
	return len(out), err
}

// readForward reads a user's .forward and what it includes. A file that others could have
// written is passed over with a warning; nothing is there without a file.
func (a *app) readForward(owner account) ([]forward.Target, error) {
	name := filepath.Join(owner.home, ".forward")
	text, err := readTrusted(name, owner.uid)
	switch {
	case errors.Is(err, errUntrusted):
		a.warn(err)
		return nil, nil
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return expandForward(name, text, owner.uid, maxIncludes)
}

// maxIncludes is how deep files may include others.
const maxIncludes = 5

func expandForward(name, text string, uid, depth int) ([]forward.Target, error) {
	list, err := forward.Parse(text)
	if err != nil {
		return nil, exitWith(exitTempFail, fmt.Errorf("%s: %w", name, err))
	}
	var all []forward.Target
	for _, t := range list {
		if t.Kind != forward.Include {
			all = append(all, t)
			continue
		}
		if depth == 0 {
			return nil, exitWith(exitTempFail, fmt.Errorf("%s: line %d: files include each other too deep", name, t.Line))
		}
		text, err := readTrusted(t.Value, uid)
		if err != nil {
			return nil, exitWith(exitTempFail, fmt.Errorf("%s: line %d: %w", name, t.Line, err))
		}
		more, err := expandForward(t.Value, text, uid, depth-1)
		if err != nil {
			return nil, err
		}
		if all = append(all, more...); len(all) > forward.MaxTargets {
			return nil, exitWith(exitTempFail, fmt.Errorf("%s: more than %d targets", name, forward.MaxTargets))
		}
	}
	return all, nil
}
