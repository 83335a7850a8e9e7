package imap

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// TestParts: a message that is fetched in parts, in whatever order, is what it is
// as a whole.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var text strings.Builder
	for text.Len() < 5*chunk {
		text.WriteString(strings.Repeat("x", r.IntN(200)) + []string{"\n", "\r\n", "\r", "\n\n"}[r.IntN(4)])
	}
	stored := "before" + text.String() + "after"
	want := strings.ReplaceAll(strings.ReplaceAll(text.String(), "\r\n", "\n"), "\n", "\r\n")
	start := position{start: 6, end: int64(len(stored) - 5)}
	n, err := wireLength(strings.NewReader(stored), start.start, start.end)
	if err != nil || n != int64(len(want)) {
		t.Fatalf("%d bytes, %v, want %d", n, err, len(want))
	}
	at := start
	skip, step := 0, 0
	for i := range 2000 {
		if skip += step; i%50 == 49 || skip > len(want) {
			skip = r.IntN(len(want))
		}
		step = r.IntN(chunk)
		var got bytes.Buffer
		if err := at.send(&got, strings.NewReader(stored), int64(skip), int64(step)); err != nil {
			t.Fatal(err)
		}
		if part := want[skip:min(skip+step, len(want))]; got.String() != part {
			t.Fatalf("%d bytes from %d are another %d", len(part), skip, got.Len())
		}
	}
}
