package main

import (
	"cmp"
	"log/slog"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
)

// deliveryReport tells the log, or the server that runs this process, what became
// of a message.
type deliveryReport struct {
	app   *app
	log   *slog.Logger // nil tells none
	tell  bool         // print a line of JSON for each mailbox
	begun time.Time
	ops   *netfs.Ops
	to    []string
	queue string
	from  string
	done  []delivery.Delivered
}

// told is a line that --tell prints.
type told struct {
	User       string `json:"user"`
	Folder     string `json:"folder"`
	Operations int64  `json:"operations"`
}

// deliveryReport makes a delivery tell what it does. On standard error mail systems
// expect an error or nothing, so no log goes there.
func (a *app) deliveryReport(c *cli.Context, e *delivery.Envelope) (*deliveryReport, error) {
	r := &deliveryReport{app: a, tell: c.Bool("tell"), begun: time.Now(), to: e.Users, queue: e.QueueID, from: e.Sender}
	if to := c.String("log-to"); to != "" && to != logToStderr {
		var err error
		if r.log, err = a.logger(c); err != nil {
			return nil, err
		}
	}
	if r.log == nil && !r.tell {
		return r, nil
	}
	r.ops = new(netfs.Ops)
	c.Context = netfs.WithOps(c.Context, r.ops)
	e.Delivered = func(d delivery.Delivered) { r.done = append(r.done, d) }
	return r, nil
}

// end reports a delivery that ended with err, and returns that. Several users
// share the operations.
func (r *deliveryReport) end(err error) error {
	if r.log != nil {
		r.write(err)
	}
	if !r.tell {
		return err
	}
	for _, d := range r.done {
		err = cmp.Or(err, writeJSON(r.app.out, told{d.User, d.Folder, r.ops.Read().Total()}))
	}
	return err
}

func (r *deliveryReport) write(err error) {
	rest := []any{"queue", r.queue, "sender", r.from, "took", time.Since(r.begun), "operations", r.ops.Read().Total()}
	for _, d := range r.done {
		line := append([]any{"user", d.User, "folder", d.Folder, "size", d.Size}, rest...)
		if d.Again {
			line = append(line, "again", true)
		}
		if len(r.done) > 1 {
			line = append(line, "users", len(r.done))
		}
		r.log.Info("delivered", line...)
	}
	if err != nil {
		line := append([]any{"user", strings.Join(r.to, " ")}, rest...)
		r.log.Error("not delivered", append(line, "status", statusCode(err, exitCode(err, true)), "error", err)...)
	}
}
