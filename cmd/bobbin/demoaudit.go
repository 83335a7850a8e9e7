package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool"
)

// demoResult is what the audit found.
type demoResult struct {
	there, lost, doubled, altered int
	unknown                       int // delivered, and its host died before it could say so
	wrong                         int // findings of check
	elapsed                       time.Duration
}

// audit reads every mailbox as one more host and compares it with what the
// hosts had acknowledged.
func (d *demo) audit(ctx context.Context) (demoResult, error) {
	r := demoResult{elapsed: time.Since(d.started)}
	h, err := d.app.env.Host(ctx, d.dir)
	if err != nil {
		return r, err
	}
	defer h.Share.Close()
	s, err := spool.Open(ctx, h)
	if err != nil {
		return r, err
	}
	seen := map[string]int{}
	for _, user := range demoUsers {
		if err := d.auditUser(ctx, s, user, seen, &r); err != nil {
			return r, err
		}
	}
	for sum := range d.acked {
		if seen[sum] == 0 && !d.expunging[sum] {
			r.lost++
		}
	}
	// Host B had at most one delivery under way when it died.
	if r.unknown > 1 {
		r.altered += r.unknown - 1
	}
	return r, nil
}

func (d *demo) auditUser(ctx context.Context, s *spool.Spool, user string, seen map[string]int, r *demoResult) error {
	b, err := s.Box(ctx, user, spool.Inbox)
	if err != nil {
		return err
	}
	defer b.Close()
	m, err := b.Open(ctx)
	if err != nil {
		return err
	}
	for _, msg := range m.Messages() {
		f, _, err := m.OpenMessage(ctx, msg.UID)
		if err != nil {
			return err
		}
		text, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		sum := demoSum(text)
		if seen[sum]++; seen[sum] > 1 {
			r.doubled++
		}
		switch owner, ok := d.acked[sum]; {
		case !ok:
			r.unknown++
		case owner != user:
			r.altered++
		default:
			r.there++
		}
	}
	found, err := b.Check(ctx)
	for _, f := range found {
		if f.Wrong {
			r.wrong++
			d.app.warn(errors.New(f.String()))
		}
	}
	return err
}

// table prints the outcome.
func (d *demo) table(r demoResult) {
	n := len(d.acked)
	rows := []struct {
		what  string
		value any
	}{
		{"deliveries acknowledged", n},
		{"  by host A, B (killed), C", fmt.Sprintf("%d, %d, %d", d.delivered["a"], d.delivered["b"], d.delivered["c"])},
		{"  per second", fmt.Sprintf("%.0f", float64(n)/r.elapsed.Seconds())},
		{"operations per delivery", fmt.Sprintf("%.1f", float64(d.ops)/float64(max(1, n)))},
		{"messages listed", d.listed},
		{"messages flagged", d.flagged},
		{"messages expunged", len(d.expunging)},
		{"conflicts resolved", d.conflicts},
		{"found again, byte for byte", r.there},
		{"delivered, not acknowledged", r.unknown},
		{"lost", r.lost},
		{"doubled", r.doubled},
		{"altered", r.altered},
		{"findings of check", r.wrong},
		{"seconds", fmt.Sprintf("%.1f", r.elapsed.Seconds())},
	}
	width := 0
	for _, row := range rows {
		width = max(width, len(row.what))
	}
	fmt.Fprintln(d.app.out)
	for _, row := range rows {
		fmt.Fprintf(d.app.out, "%s%s  %v\n", row.what, strings.Repeat(" ", width-len(row.what)), row.value)
	}
}
