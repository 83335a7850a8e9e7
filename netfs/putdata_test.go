package netfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// Whatever a slot is put with is what is got, in each way; a byte of NUL, which
// no link can hold, is in no record.
func TestPutRoundTrip(t *testing.T) {
	h, _ := newHost(t)
	r := rand.New(rand.NewPCG(1, 1))
	for n := range 120 {
		way := []netfs.Way{netfs.ViaSymlink, netfs.ViaLink, netfs.ViaDir}[n%3]
		longest := 1000 // some disks take no longer links (H126)
		if way != netfs.ViaSymlink && n < 12 {
			longest = way.Max(h.Profile)
		}
		data := make([]byte, 1+r.IntN(longest))
		if n < 3 {
			data = make([]byte, longest)
		}
		for i := range data {
			data[i] = byte(1 + r.IntN(255))
		}
		name := fmt.Sprint(n + 1)
		if _, err := way.Put(t.Context(), h, h.Share, name, string(data)); err != nil {
			t.Fatalf("%v, %d bytes: %v", way, len(data), err)
		}
		for _, get := range []func() (string, error){
			func() (string, error) { return way.Get(t.Context(), h.Share, name) },
			func() (string, error) { return way.Fresh(t.Context(), h.Share, name) },
		} {
			if got, err := get(); got != string(data) || err != nil {
				t.Errorf("%v: %d bytes came back as %d, %v", way, len(data), len(got), err)
			}
		}
		if got, err := way.Put(t.Context(), h, h.Share, name, "another"); got != string(data) || !errors.Is(err, fs.ErrExist) {
			t.Errorf("%v: put again: %d bytes, %v", way, len(got), err)
		}
	}
}
