package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// RepairMarker makes the marker file of a spool anew that lost it: from the
// text that was first where links cannot tell, else from what the spool's
// slots and files look like. A damaged one is kept beside it. With dry nothing
// is changed. A share that does not look like a spool is refused with
// [ErrNotSpool]: it may not be mounted.
func RepairMarker(ctx context.Context, h *netfs.Host, dry bool) (Marker, error) {
	m, _, err := readMarker(ctx, h.Share, spoolMarker)
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, commitlog.ErrNewer), !errors.Is(err, ErrNotSpool) && !errors.Is(err, commitlog.ErrCorrupt):
		return m, err
	}
	damaged := errors.Is(err, commitlog.ErrCorrupt)
	slot := accountsDir + "/g.0/1"
	i, err := h.Share.Stat(ctx, slot)
	if errors.Is(err, fs.ErrNotExist) {
		return m, fmt.Errorf("%w: there is neither %s nor %s", ErrNotSpool, markerName, slot)
	}
	if err != nil {
		return m, err
	}
	text, m, err := markerFrom(ctx, h, wayOf(i.Mode))
	if err != nil || dry {
		return m, err
	}
	if damaged {
		token, err := h.Token()
		if err == nil {
			err = netfs.Move(ctx, h, h.Share, markerName, "."+markerName+".damaged."+token)
		}
		if err != nil {
			return m, err
		}
	}
	_, err = netfs.ViaLink.Put(ctx, h, h.Share, markerName, text)
	if netfs.Unsupported(err) {
		err = (&publisher{h: h, dir: spoolMarker}).write(ctx, text)
	}
	if errors.Is(err, fs.ErrExist) {
		m, _, err = readMarker(ctx, h.Share, spoolMarker) // another repair was first
	}
	return m, err
}

// markerFrom finds out what the marker said.
func markerFrom(ctx context.Context, h *netfs.Host, slots string) (text string, m Marker, err error) {
	way, err := netfs.ParseWay(slots)
	if err != nil {
		return "", m, err
	}
	if text, err := way.Get(ctx, h.Share, firstName); err == nil {
		if m, _, err := parseMarker([]byte(text)); err == nil {
			return text, m, nil
		}
	}
	// The lowest level is right for every host; "bobbin upgrade" raises it.
	m = Marker{Level: 1, Slots: slots, RecordMax: min(1000, way.Max(h.Profile))}
	if m.Share, err = h.Token(); err != nil {
		return "", m, err
	}
	if m.Separator, err = separatorInUse(ctx, h); err != nil {
		return "", m, err
	}
	b, err := m.encode()
	return string(b), m, err
}

// separatorInUse looks at how files are named in cur.
func separatorInUse(ctx context.Context, h *netfs.Host) (string, error) {
	users, err := h.Share.ReadDir(ctx, usersDir)
	if err != nil {
		return "", err
	}
	found := ""
	for _, u := range users {
		names, err := h.Share.ReadDir(ctx, usersDir+"/"+u+"/cur")
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		for _, n := range names {
			if i := strings.LastIndex(n, "2,"); i > 0 && strings.ContainsRune(":;", rune(n[i-1])) {
				found = n[i-1 : i]
			}
		}
	}
	return cmp.Or(found, ";"), nil // what every file system takes
}
