package netfs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSortNames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, prefix := range []string{"", "17", "same beginning "} {
		for _, n := range []int{0, 1, 999, 1000, 5000} {
			names := make([]string, n)
			for i := range names {
				names[i] = prefix + fmt.Sprintf("%d\x00%c", r.IntN(3*n), rune(r.IntN(0x300)))[:r.IntN(3)]
			}
			want := slices.Sorted(slices.Values(names))
			if sortNames(names); !slices.Equal(names, want) {
				t.Errorf("%d names that begin with %q are not in order", n, prefix)
			}
		}
	}
}
