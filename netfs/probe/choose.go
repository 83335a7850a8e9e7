package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
)

// Choice is what all hosts of a spool agree on about its share. Fields that
// are set before [Choose] are kept if they work.
type Choice struct {
	// Slots is how slots are created: "symlink", "link" or "directory".
	Slots string `json:"slots"`
	// RecordMax is the longest record in bytes.
	RecordMax int `json:"record_max"`
	// Separator stands before the flags in file names: ":" or ";".
	Separator string `json:"separator"`
}

// RecordMin is the shortest limit on records that is of any use, in bytes.
const RecordMin = 500

// separators are tried in this order.
var separators = []string{":", ";"}

// Choose fills in what c leaves open by trying it in the directory dir of the
// share. The error says what of it does not work there.
func Choose(ctx context.Context, h *netfs.Host, dir string, c Choice) (Choice, error) {
	ways := waysFor(h.Profile)
	if c.Slots != "" {
		w, err := netfs.ParseWay(c.Slots)
		if err != nil {
			return c, err
		}
		if err := Suits(h.Profile, w); err != nil {
			return c, err
		}
		ways = []netfs.Way{w}
	}
	var errs []error
	for _, w := range ways {
		longest, err := longestRecord(ctx, h, dir, w)
		if err == nil {
			c.Slots, c.RecordMax = w.String(), longest
			break
		}
		errs = append(errs, fmt.Errorf("%s: %w", w, err))
	}
	if len(errs) == len(ways) {
		return c, fmt.Errorf("no way to create slots works here: %w", errors.Join(errs...))
	}
	err := fmt.Errorf("%q: %w", c.Separator, fs.ErrInvalid)
	for _, sep := range separators {
		if c.Separator != "" && sep != c.Separator {
			continue
		}
		if err = trySeparator(ctx, h, dir, sep); err == nil {
			c.Separator = sep
			return c, nil
		}
	}
	return c, fmt.Errorf("file names with flags: %w", err)
}

// waysFor lists the ways that may be used on a kind of share, best first.
//
// Problem: SMB has symbolic links only as POSIX extensions, whose names are
// cached for a second whatever is asked for, or as an emulation by files that
// is not atomic (H67). What we do: no links by symlink(2) there.
func waysFor(p netfs.Profile) []netfs.Way {
	if p.Kind == "smb" {
		return []netfs.Way{netfs.ViaLink, netfs.ViaDir}
	}
	return []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir}
}

// Suits says why slots must not be made in this way on a kind of share; nil if
// they may. It asks nothing of the server.
func Suits(p netfs.Profile, w netfs.Way) error {
	if slices.Contains(waysFor(p), w) {
		return nil
	}
	return fmt.Errorf("slots by %s are not safe on %s (H67): a spool for it is made with --slots link or directory", w, p.Kind)
}

// longestRecord finds out how long records may be: what the kind of share
// promises, or less (XFS and small ext4 blocks take 1,023 bytes, H126).
func longestRecord(ctx context.Context, h *netfs.Host, dir string, w netfs.Way) (int, error) {
	var err error
	for _, size := range []int{w.Max(h.Profile), 1000, RecordMin} {
		if size > w.Max(h.Profile) {
			continue
		}
		if err = tryWay(ctx, h, dir, w, size); !errors.Is(err, syscall.ENAMETOOLONG) {
			return size, err
		}
	}
	return 0, err
}

// tryWay makes sure that records of that size can be put on the share.
func tryWay(ctx context.Context, h *netfs.Host, dir string, w netfs.Way, size int) error {
	token, err := h.Token()
	if err != nil {
		return err
	}
	return w.Try(ctx, h, h.Share, path.Join(dir, tryPrefix+token), size)
}

// trySeparator makes sure that a name with flags is listed as it was made.
func trySeparator(ctx context.Context, h *netfs.Host, dir, sep string) error {
	token, err := h.Token()
	if err != nil {
		return err
	}
	return keepsName(ctx, h, dir, tryPrefix+token+sep+"2,S")
}

// keepsName makes sure that a name is listed as it was made (H58, H118, H119).
func keepsName(ctx context.Context, h *netfs.Host, dir, leaf string) error {
	name := path.Join(dir, leaf)
	defer func() { _ = netfs.Unlink(ctx, h, h.Share, name) }()
	if err := netfs.WriteFile(ctx, h.Share, name, []byte("x")); err != nil {
		return err
	}
	names, err := h.Share.ReadDir(ctx, dir)
	if err == nil && !slices.Contains(names, leaf) {
		err = fmt.Errorf("%q is listed under another name: %w", leaf, fs.ErrInvalid)
	}
	return err
}
