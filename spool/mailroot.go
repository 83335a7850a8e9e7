package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/bobbinmail/bobbin/netfs"
)

// OpenMailRoot opens one user's mail root that is outside any spool, such as
// ~/Maildir: h's share is the Maildir of his INBOX. It is a share of its own,
// with its own marker in bobbin/, which other Maildir programs pass over. One
// that has no marker yet gets one, whatever mail is in it; several hosts may do
// that at once.
//
// A log without a marker is refused: the marker is what all its records follow.
func OpenMailRoot(ctx context.Context, h *netfs.Host, user string) (*Spool, error) {
	user, err := CleanUser(user)
	if err != nil {
		return nil, err
	}
	for first := true; ; first = false {
		s, err := open(ctx, h, logDir, user)
		if !first || !errors.Is(err, ErrNotSpool) {
			return s, err
		}
		if err := markMailRoot(ctx, h); err != nil && !errors.Is(err, ErrExists) {
			return nil, err
		}
	}
}

// markMailRoot makes the marker of a mail root.
func markMailRoot(ctx context.Context, h *netfs.Host) error {
	if h.Profile.Risk != "" {
		return fmt.Errorf("this mount cannot be shared: %s", h.Profile.Risk)
	}
	if err := netfs.MkdirAll(ctx, h, h.Share, logDir); err != nil {
		return err
	}
	slots, err := h.Share.ReadDir(ctx, logDir+"/g.0")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Whoever writes a slot has seen a marker.
	if _, err := netfs.Fresh(ctx, h.Share, logDir); err != nil {
		return err
	}
	if _, _, err := readMarker(ctx, h.Share, logDir); !errors.Is(err, ErrNotSpool) {
		return err
	}
	if len(slots) > 0 {
		return fmt.Errorf("%w: %s is missing beside a log that was written by it; restore that file, or copy the %s of the spool that the mail came from",
			ErrNotSpool, logDir+"/"+markerName, markerName)
	}
	p := &publisher{h: h, dir: logDir}
	m, err := p.choose(ctx, InitOptions{})
	if err != nil {
		return err
	}
	return p.publish(ctx, m)
}
