//go:build linux

package netfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
)

// Below names a directory that belongs to one user.
type Below struct {
	// Base is a directory whose name can be trusted: links in it are followed.
	Base string
	// Dir is a name below it. Whoever owns a part of it may have planted a link,
	// so none is followed.
	Dir string
	// Create is how many of Dir's last components are made when they are
	// missing.
	Create int
}

// OpenBelow is [OpenHost] for a directory that must belong to the user that
// this process runs as. What it makes is that user's alone. The error wraps
// fs.ErrNotExist when something is missing that is not made, and
// fs.ErrPermission when the directory is somebody else's.
func OpenBelow(ctx context.Context, b Below) (*Host, error) {
	base, err := OpenHost(b.Base)
	if err != nil {
		return nil, err
	}
	defer base.Share.Close()
	if err := makeBelow(ctx, base, b.Dir, b.Create); err != nil {
		return nil, err
	}
	f, err := base.Share.Sub(ctx, b.Dir)
	if err != nil {
		return nil, err
	}
	i, _ := RootInfo(f)
	if int(i.UID) != os.Geteuid() {
		err := fmt.Errorf("%s: %w: it belongs to uid %d, not to %d", path.Join(b.Base, b.Dir), fs.ErrPermission, i.UID, os.Geteuid())
		return nil, errors.Join(err, f.Close())
	}
	h := *base
	h.Share = f
	// Another file system may be mounted there.
	if h.Profile, err = Detect(path.Join(b.Base, b.Dir)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &h, nil
}

func makeBelow(ctx context.Context, h *Host, dir string, create int) error {
	if create == 0 {
		return nil
	}
	_, err := h.Share.Stat(ctx, dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	above := dir
	for range create {
		above = path.Dir(above)
	}
	if _, err := Fresh(ctx, h.Share, above); err != nil {
		return err
	}
	return MkdirPrivate(ctx, h, h.Share, dir)
}
