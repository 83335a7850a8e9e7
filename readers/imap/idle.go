package imap

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/bobbinmail/bobbin/readers/server"
)

// idle tells of changes as they come, until the client says DONE (RFC 2177).
func (x *session) idle(ctx context.Context) {
	if !x.p.end() {
		return
	}
	_, _ = x.conn.Writer.WriteString("+ idling\r\n")
	var trouble atomic.Bool
	if x.view != nil {
		stop := x.view.Watch(func(err error) {
			if err != nil {
				trouble.Store(true)
			}
			x.conn.Wake()
		})
		defer stop()
		x.sync(true)
	}
	for !x.ended {
		err := x.conn.Wait()
		if errors.Is(err, server.ErrWoken) {
			if !trouble.Swap(false) {
				x.sync(true)
			} else if err := x.refresh(ctx); err != nil { // it may work again; who waits need not know
				x.log.Warn("idle", "user", x.user, "error", err)
			}
			continue
		}
		if err == nil {
			err = x.p.next()
		}
		switch {
		case err != nil:
			x.p.broken(err)
		case !strings.EqualFold(string(x.p.line), "DONE"):
			x.p.bad("DONE expected")
		default:
			x.reply("OK no longer idle")
		}
		return
	}
}

// changed is called after a command that changed the mailbox was answered.
func (x *session) changed() {
	if x.view != nil {
		x.view.Changed()
	}
}
