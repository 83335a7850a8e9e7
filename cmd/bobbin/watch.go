package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/readers"
	"github.com/bobbinmail/bobbin/spool"
)

func (a *app) watchCommand() *cli.Command {
	return a.with(notes{
		Exits: []int{exitNoUser},
		Examples: []example{
			{"Tell of what happens in the mailbox until Ctrl-C.", "bobbin watch --user alice"},
			{"Wait for the next message.", `bobbin watch --json --events new --count 1`},
		},
		SeeAlso: []string{"bobbin-list(1)"},
	}, &cli.Command{
		Name:  "watch",
		Usage: "tell of what happens in a mailbox",
		Description: "Prints a line for each message that comes, whose flags or keywords change, or that is expunged, on whatever host that happens, until it is " +
			"interrupted, --count lines were printed, or --timeout is over. It asks the server every --interval, which costs three operations while " +
			"nothing changes. With --json each line is an object with event (new, flags, expunge), uid, flags and keywords, and for new ones subject, from, date and message_id.",
		Flags: []cli.Flag{
			spoolFlag(), userFlag(), folderFlag(), jsonFlag(),
			&cli.StringFlag{Name: "events", Usage: "tell only of `LIST`, some of new,flags,expunge", DefaultText: "all"},
			&cli.IntFlag{Name: "count", Usage: "end after `N` lines", DefaultText: "no end"},
			&cli.DurationFlag{Name: "timeout", Usage: "end after `TIME`, such as 90s or 5m", DefaultText: "no end"},
			&cli.DurationFlag{Name: "interval", Usage: "ask every `TIME`", Value: 10 * time.Second},
		},
		Action: a.watch,
	})
}

// The kinds of events.
const (
	eventNew     = "new"
	eventFlags   = "flags"
	eventExpunge = "expunge"
)

// event is one line of watch.
type event struct {
	Event    string   `json:"event"`
	UID      uint32   `json:"uid"`
	Flags    []string `json:"flags"`
	Keywords []string `json:"keywords"`
	*eventHead
}

// eventHead is what the line of a new message has besides.
type eventHead struct {
	Subject   string `json:"subject"`
	From      string `json:"from"`
	Date      string `json:"date"`
	MessageID string `json:"message_id"`
}

func (a *app) watch(c *cli.Context) error {
	if err := wantArgs(c, 0, 0); err != nil {
		return err
	}
	w, err := newWatcher(a, c)
	if err != nil {
		return err
	}
	s, user, err := a.spoolAndUser(c)
	if err != nil {
		return err
	}
	b, err := s.Box(c.Context, user, c.String("folder"))
	if err != nil {
		return err
	}
	defer b.Close()
	m, err := b.Open(c.Context)
	if err != nil {
		return err
	}
	// After the interrupt nothing is asked of the share any more.
	defer m.Close(context.WithoutCancel(c.Context))
	w.before = m.Messages()
	host := s.Host
	end := host.Boot() + c.Duration("timeout")
	for {
		pause := c.Duration("interval")
		if c.IsSet("timeout") {
			pause = min(pause, end-host.Boot())
		}
		if pause <= 0 {
			return nil
		}
		if host.Sleep(c.Context, pause) != nil {
			return nil // to be interrupted is how it ends
		}
		if err := w.poll(m); errors.Is(err, errEnough) || err != nil && c.Context.Err() != nil {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// watcher compares what is there with what was.
type watcher struct {
	*app
	c      *cli.Context
	events []string
	left   int // lines; negative for no end
	before []*spool.Message
	down   bool // the last poll failed
}

var errEnough = errors.New("enough lines")

func newWatcher(a *app, c *cli.Context) (*watcher, error) {
	w := &watcher{app: a, c: c, events: []string{eventNew, eventFlags, eventExpunge}, left: -1}
	if c.IsSet("events") {
		kinds := strings.Split(c.String("events"), ",")
		for _, k := range kinds {
			if !slices.Contains(w.events, k) {
				return nil, usageErrorf("event %q: use new, flags or expunge", k)
			}
		}
		w.events = kinds
	}
	if c.IsSet("count") {
		if w.left = c.Int("count"); w.left < 1 {
			return nil, usageErrorf("flag --count needs a number above 0")
		}
	}
	if c.Duration("interval") <= 0 {
		return nil, usageErrorf("flag --interval needs a time above 0")
	}
	return w, nil
}

// poll tells of what changed since the last one. What may mend itself is
// waited for; other errors end the command.
func (w *watcher) poll(m *spool.Mailbox) error {
	err := m.Refresh(w.c.Context)
	if err != nil {
		if w.c.Context.Err() != nil || exitCode(err, false) != exitTempFail {
			return err
		}
		if !w.down {
			w.warn(fmt.Errorf("watching goes on: %w", err))
		}
		w.down = true
		return nil
	}
	w.down = false
	before := w.before
	w.before = m.Messages()
	old := make(map[uint32]*spool.Message, len(before))
	for _, msg := range before {
		old[msg.UID] = msg
	}
	for _, msg := range w.before {
		was := old[msg.UID]
		delete(old, msg.UID)
		switch {
		case was == nil:
			err = w.tell(m, eventNew, msg)
		case was.Flags != msg.Flags || !slices.Equal(was.Keywords, msg.Keywords):
			err = w.tell(m, eventFlags, msg)
		}
		if err != nil {
			return err
		}
	}
	for _, msg := range before {
		if old[msg.UID] == nil {
			continue
		}
		if err := w.tell(m, eventExpunge, msg); err != nil {
			return err
		}
	}
	return nil
}

// tell prints one event.
func (w *watcher) tell(m *spool.Mailbox, kind string, msg *spool.Message) error {
	if !slices.Contains(w.events, kind) {
		return nil
	}
	e := event{Event: kind, UID: msg.UID, Flags: msg.Flags.Words(), Keywords: msg.Keywords}
	if e.Keywords == nil {
		e.Keywords = []string{}
	}
	if kind == eventNew {
		e.eventHead = &eventHead{}
		for s, err := range m.Summaries(w.c.Context, spool.SetOf(msg.UID), spool.Columns) {
			if err != nil {
				w.warn(err)
			}
			e.eventHead = &eventHead{s.Subject, s.From, s.Sent, s.MessageID}
		}
	}
	err := w.print(e, msg)
	if err == nil && w.left > 0 {
		if w.left--; w.left == 0 {
			err = errEnough
		}
	}
	return err
}

func (w *watcher) print(e event, msg *spool.Message) error {
	if w.c.Bool("json") {
		return writeJSON(w.out, e)
	}
	line := fmt.Sprintf("%-7s %6d  %-6s", e.Event, e.UID, msg.Flags.Letters())
	if e.eventHead != nil {
		line += "  " + column(readers.SafeLine(e.From), 28) + "  " + cut(readers.SafeLine(e.Subject), 200)
	}
	for _, k := range e.Keywords {
		line += " " + printable(k)
	}
	_, err := fmt.Fprintln(w.out, line)
	return err
}
