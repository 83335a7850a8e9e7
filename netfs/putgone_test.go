package netfs_test

import (
	"context"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// swept is a share on which somebody clears a temporary directory away just
// before it is renamed, once.
type swept struct {
	netfs.FS
	h    *netfs.Host
	done bool
}

func (f *swept) Rename(ctx context.Context, oldname, newname string) error {
	if !f.done && strings.HasPrefix(oldname, ".t.") {
		f.done = true
		if err := netfs.ViaDir.Remove(ctx, f.h, f.FS, oldname); err != nil {
			return err
		}
	}
	return f.FS.Rename(ctx, oldname, newname)
}

// A directory that is gone when it is to become the slot is made again under
// another name.
func TestPutDirSwept(t *testing.T) {
	h, _ := newHost(t)
	f := &swept{FS: h.Share, h: h}
	if _, err := netfs.ViaDir.Put(t.Context(), h, f, "slot", "record"); err != nil {
		t.Fatal(err)
	}
	if got, err := netfs.ViaDir.Get(t.Context(), h.Share, "slot"); got != "record" || err != nil || !f.done {
		t.Errorf("%q, %v", got, err)
	}
}
