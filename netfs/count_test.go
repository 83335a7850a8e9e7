package netfs_test

import (
	"context"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// TestWithOps: what a piece of work asks for is counted for it, also by a file
// that it opened, and for the host.
func TestWithOps(t *testing.T) {
	h, err := netfs.OpenHost(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Share.Close()
	work := func(ctx context.Context, dir string) {
		t.Helper()
		if err := h.Share.Mkdir(ctx, dir, 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := h.Share.Sub(ctx, dir)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := netfs.WriteFile(ctx, f, "x", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	one, two := new(netfs.Ops), new(netfs.Ops)
	work(netfs.WithOps(t.Context(), one), "a")
	first := h.Ops.Read()
	work(netfs.WithOps(t.Context(), two), "b")
	work(t.Context(), "c")
	if got := one.Read(); got != first || got[netfs.OpWrite] != 1 || got[netfs.OpMkdir] != 1 || got[netfs.OpLookup] != 1 || got[netfs.OpClose] != 1 {
		t.Errorf("the first work: %s; the host until then: %s", got, first)
	}
	if got, all := two.Read(), h.Ops.Read(); got != first || all.Total() != 3*first.Total() {
		t.Errorf("the second work: %s; the host: %s", got, all)
	}
}
