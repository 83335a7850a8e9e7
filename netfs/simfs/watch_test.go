package simfs_test

import (
	"context"
	"fmt"
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

// What changes after Settled returned shows in the stamp, however coarse the
// server's clock is. (FAT behind Samba ticks every two seconds; a change was
// missed for good in the lab.)
func TestSettledIsOver(t *testing.T) {
	for _, share := range simfs.Shares() {
		t.Run(share.Name, func(t *testing.T) {
			o := simfs.Options{Pace: time.Millisecond}
			share.Set(&o)
			simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
				ctx, a, b := t.Context(), s.Host("a"), s.Host("b")
				for n := range 30 {
					if err := a.Sleep(ctx, time.Duration(n)*137*time.Millisecond); err != nil {
						t.Fatal(err)
					}
					if err := write(ctx, a.Share, fmt.Sprint("a", n), ""); err != nil {
						t.Fatal(err)
					}
					before, ok, err := netfs.Settled(ctx, b, b.Share, ".")
					if !ok || err != nil {
						t.Fatalf("a directory at rest: %v, %v", ok, err)
					}
					if err := write(ctx, a.Share, fmt.Sprint("b", n), ""); err != nil {
						t.Fatal(err)
					}
					if after, err := netfs.Fresh(ctx, b.Share, "."); after == before || err != nil {
						t.Errorf("round %d: the stamp is the same after a change (%v)", n, err)
					}
				}
			})
		})
	}
}

// A stamp that changed while it was to rest has not stood still: another change
// may come in the same tick, after the look.
func TestRestIsCompared(t *testing.T) {
	share, _ := simfs.ShareNamed("nfs3")
	var o simfs.Options
	share.Set(&o)
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		ctx, a, b := t.Context(), s.Host("a"), *s.Host("b")
		make := func(name string) {
			t.Helper()
			if err := write(ctx, a.Share, name, ""); err != nil {
				t.Fatal(err)
			}
		}
		sleep, asked := b.Sleep, 0
		b.Sleep = func(ctx context.Context, d time.Duration) error {
			err := sleep(ctx, d)
			if asked++; asked == 1 {
				make("x")
			}
			return err
		}
		var w netfs.Watch
		if changed, err := w.Changed(ctx, &b, b.Share, "."); !changed || err != nil {
			t.Fatal(changed, err)
		}
		make("y") // after the look
		if err := sleep(ctx, time.Second); err != nil {
			t.Fatal(err)
		}
		if changed, err := w.Changed(ctx, &b, b.Share, "."); !changed || err != nil {
			t.Errorf("changed is %v, %v after the look", changed, err)
		}
	})
}
