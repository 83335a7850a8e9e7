package simfs_test

import (
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// A look that failed may have left names behind that its client takes for
// absent: the next one waits until they are forgotten. (A host on SMB listed a
// mailbox without a message that was appended before; found by TestHistories
// with seed 619.)
func TestLookAgain(t *testing.T) {
	for _, share := range simfs.Shares() {
		t.Run(share.Name, func(t *testing.T) {
			o := simfs.Options{Pace: time.Millisecond}
			share.Set(&o)
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				ctx, a, b := t.Context(), s.Host("a"), s.Host("b")
				var w netfs.Watch
				if _, err := w.Changed(ctx, b, b.Share, "."); err != nil {
					t.Fatal(err)
				}
				if _, err := b.Share.Stat(ctx, "name"); err == nil {
					t.Fatal("a name that was not made is there")
				}
				w.Again() // say, what came next could not be read
				if err := write(ctx, a.Share, "name", ""); err != nil {
					t.Fatal(err)
				}
				changed, err := w.Changed(ctx, b, b.Share, ".")
				if !changed || err != nil {
					t.Fatalf("changed is %v, %v", changed, err)
				}
				if _, err := b.Share.Stat(ctx, "name"); err != nil {
					t.Errorf("the name is not seen: %v", err)
				}
			})
		})
	}
}
