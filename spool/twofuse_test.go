package spool_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/twofuse"
	"github.com/bobbinmail/bobbin/spool"
)

// sameAs are the requests of FUSE that netfs counts, all but GETATTR. Beside
// them FUSE has those that NFSv4 does not: a LOOKUP before a name is created,
// linked or renamed to, an OPENDIR before a listing, and an FSYNC after the
// write, which NFS has in one.
var sameAs = map[twofuse.Op]netfs.Kind{
	twofuse.Readlink: netfs.OpReadlink, twofuse.Symlink: netfs.OpSymlink, twofuse.Link: netfs.OpLink,
	twofuse.Mkdir: netfs.OpMkdir, twofuse.Unlink: netfs.OpRemove, twofuse.Rename: netfs.OpRename,
	twofuse.Create: netfs.OpOpen, twofuse.Write: netfs.OpWrite, twofuse.Flush: netfs.OpClose,
	twofuse.Readdir: netfs.OpReaddir, twofuse.Fsyncdir: netfs.OpSync,
}

// TestRequests compares what netfs counts with what a kernel asks for past its
// caches.
func TestRequests(t *testing.T) {
	mounts, dirs := twofuse.NewPair(t, twofuse.Options{Attributes: time.Hour, Names: time.Hour})
	h := openHost(t, dirs[0])
	h.Profile.Grain = 5 * time.Millisecond
	calm(h)
	b := inbox(t, initSpool(t, h, spool.InitOptions{}))
	for range 20 {
		mustPut(t, b, "Subject: x\n\n")
	}
	m := open(t, b)
	rest := func() {
		t.Helper()
		for range 2 {
			if err := h.Sleep(t.Context(), 2*h.Profile.Grain); err != nil {
				t.Fatal(err)
			}
			if err := m.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	rest()
	for _, tt := range []struct {
		name string
		call func() error
		want string
	}{
		{"delivery", func() error { _, err := put(t.Context(), b, "Subject: y\n\n"); return err }, "open 1 write 1 close 1 rename 1 sync 1"},
		{"poll", func() error { return m.Refresh(t.Context()) }, "getattr 3"},
		{"flags", func() error {
			_, err := m.SetFlags(t.Context(), spool.UIDSet{{First: 1, Last: 20}}, spool.FlagChange{Add: spool.Seen})
			return err
		}, "getattr 1 symlink 1 sync 1"},
		{"expunge", func() error { _, err := m.Expunge(t.Context(), spool.SetOf(1)); return err }, "getattr 1 symlink 1 sync 1"},
	} {
		asked, counted := mounts[0].Counts(), h.Ops.Read()
		if err := tt.call(); err != nil {
			t.Fatal(err)
		}
		requests, ops := mounts[0].Counts().Sub(asked), h.Ops.Read().Sub(counted)
		if ops.String() != tt.want {
			t.Errorf("%s: netfs counts %s, want %s", tt.name, ops, tt.want)
		}
		for op, kind := range sameAs {
			if int64(requests[op]) != ops[kind] {
				t.Errorf("%s: netfs counts %s, FUSE %s: %s differs", tt.name, ops, requests, op)
			}
		}
		// Permissions are looked at again in each directory that changed, and
		// the size after a write.
		changed := ops[netfs.OpSymlink] + ops[netfs.OpOpen] + ops[netfs.OpWrite] + ops[netfs.OpRename]
		if n := int64(requests[twofuse.Getattr]); n < ops[netfs.OpGetattr] || n > ops[netfs.OpGetattr]+changed {
			t.Errorf("%s: netfs counts %s, FUSE %s", tt.name, ops, requests)
		}
		t.Logf("%s: netfs %s; FUSE %s", tt.name, ops, requests)
		rest()
	}
}

// calm gives h a clock that only its own sleeping moves: what takes long on a
// busy machine takes no time, and cur is listed whenever it changed.
func calm(h *netfs.Host) {
	var now atomic.Int64
	sleep := h.Sleep
	h.Sleep = func(ctx context.Context, d time.Duration) error {
		now.Add(int64(d))
		return sleep(ctx, d)
	}
	h.Boot = func() time.Duration { return time.Duration(now.Load()) }
}
