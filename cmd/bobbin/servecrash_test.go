package main

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/readers/lmtp"
	"github.com/bobbinmail/bobbin/readers/server"
	"github.com/bobbinmail/bobbin/spool"
)

// handover is a backend that hands a message out while its client waits.
type handover struct {
	message chan *lmtp.Message
	done    chan struct{}
}

func (h *handover) Recipient(context.Context, string, int64) (lmtp.Recipient, error) {
	return lmtp.Recipient{User: "alice"}, nil
}

func (h *handover) Deliver(_ context.Context, m *lmtp.Message, _ lmtp.Recipient) (lmtp.Delivery, error) {
	h.message <- m
	<-h.done
	return lmtp.Delivery{}, nil
}

// lmtpMessage is a message as the server has it from a client, good until the test
// ends.
func lmtpMessage(t *testing.T, id, text string) *lmtp.Message {
	t.Helper()
	h := &handover{make(chan *lmtp.Message), make(chan struct{})}
	socket := filepath.Join(t.TempDir(), "lmtp")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() {
		ended <- new(server.Server).Run(ctx, server.Listener{Listener: l, Protocol: lmtp.New(h, lmtp.Options{}).Protocol()})
	}()
	c, err := dialLMTP(socket)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.conn.SetDeadline(time.Time{})
	go func() {
		_, err := c.deliver(id, text, "alice")
		ended <- err
	}()
	t.Cleanup(func() {
		close(h.done)
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		_ = c.conn.Close()
	})
	return <-h.message
}

// TestServeBreakOff crashes the server at each operation of a delivery, and makes
// each fail, as TestBreakOff does with commands: the mail system tries again, and
// with duplicates = "drop" the message is there once.
func TestServeBreakOff(t *testing.T) {
	m := lmtpMessage(t, "4F1", "Subject: x\r\n\r\nhello\r\n")
	for _, tt := range []struct {
		name  string
		once  bool
		quota bool
	}{{"plain", false, false}, {"once", true, false}, {"quota", true, true}} {
		t.Run(tt.name, func(t *testing.T) {
			breakOffEverywhere(t, crashTest{
				name: tt.name, setup: makeSpool, again: []int{0},
				act: func(ctx context.Context, h *netfs.Host) int {
					s, err := spool.Open(ctx, h)
					if err != nil {
						return exitTempFail
					}
					b := &spoolBackend{spool: s, once: tt.once, turn: make(chan struct{}, 1)}
					if tt.quota {
						q := delivery.Quota{Rules: []delivery.QuotaRule{{User: "*", Folders: "*", Messages: delivery.QuotaLimit{Hard: 3}}}, Keep: &delivery.QuotaStates{Spool: s}}
						b.quota = &liveQuota{files: watchFiles(), current: q}
					}
					to, err := b.Recipient(ctx, "alice", m.Size)
					if err == nil {
						_, err = b.Deliver(ctx, m, to)
					}
					return exitCode(err, true)
				},
				verify: func(t *testing.T, h *netfs.Host, _ outcome) {
					if n := mailCount(t, h, "alice"); n != 1 && (tt.once || n != 2) {
						t.Errorf("alice has %d messages", n)
					}
				},
			})
		})
	}
}
