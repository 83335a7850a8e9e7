package netfs_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// TestEach: every call is made once, never more than Parallel of them at a time,
// and in order where that is one.
func TestEach(t *testing.T) {
	for _, parallel := range []int{0, 1, 3, 100} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			var mu sync.Mutex
			var order []int
			now, most := 0, 0
			together := make(chan struct{}, max(parallel, 1))
			(&netfs.Host{Parallel: parallel}).Each(50, func(i int) {
				mu.Lock()
				now++
				most = max(most, now)
				order = append(order, i)
				mu.Unlock()
				together <- struct{}{} // blocks if there are more than may be
				<-together
				mu.Lock()
				now--
				mu.Unlock()
			})
			if most > max(parallel, 1) {
				t.Errorf("%d at a time", most)
			}
			sorted := slices.Sorted(slices.Values(order))
			if parallel <= 1 && !slices.Equal(order, sorted) {
				t.Errorf("order %v", order)
			}
			for i, n := range sorted {
				if i != n || len(sorted) != 50 {
					t.Fatalf("calls %v", sorted)
				}
			}
		})
	}
}
