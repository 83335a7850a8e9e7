package netfs

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
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
			if names = sortNames(names); !slices.Equal(names, want) {
				t.Errorf("%d names that begin with %q are not in order", n, prefix)
			}
		}
	}
}

func BenchmarkSortNames(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	names := make([]string, 1_000_000)
	for i := range names {
		names[i] = fmt.Sprintf("%d.%026d.bench,S=2,W=3:2,S", 1_700_000_000+i, r.Uint64())
	}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for b.Loop() {
		sortNames(slices.Clone(names))
	}
}

// A directory is listed whole, however many pieces the kernel gives it in.
func TestListLargeDirectory(t *testing.T) {
	dir := t.TempDir()
	want := []string{"..data", ".hidden"}
	for i := range 5000 {
		want = append(want, fmt.Sprintf("%0*d", 100+i%100, i))
	}
	for _, name := range want {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h, err := OpenHost(dir)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	if got, err := h.Share.ReadDir(t.Context(), "."); err != nil || !slices.Equal(got, want) {
		t.Errorf("%d names, want %d; %v", len(got), len(want), err)
	}
}
