package netfs

import (
	"context"
	"encoding/base32"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Host is the one object through which a process touches the outside world:
// the share, the clocks, randomness and sleeping. Its fields are set before
// first use and not changed afterwards; its methods may be called from
// several goroutines.
type Host struct {
	// Share is the root of the shared tree.
	Share FS
	// Profile says how the share behaves.
	Profile Profile
	// Tag names the host in delivery names and records: 1–8 characters of
	// [0-9a-z]. It helps a person to read the log; nothing depends on it.
	Tag string
	// Rand yields random bytes that no other process yields.
	Rand io.Reader
	// Wall is the wall clock. It names deliveries and dates; it never decides
	// correctness.
	Wall func() time.Time
	// Boot is the time since boot, suspend included (H95).
	Boot func() time.Duration
	// Sleep waits for d or until ctx ends, whose error it returns.
	Sleep func(ctx context.Context, d time.Duration) error
	// Ops counts what this host asked of the server.
	Ops *Ops
	// Parallel is how many operations one piece of work may have under way at a
	// time, see [Host.Each]; 0 is 1, as in a simulation, where the order of
	// operations decides what happens.
	Parallel int
	// Memory is what this host's processes leave to later ones; nil for none.
	Memory Memory
}

// Each calls f for 0 to n-1, in order and at most Parallel at a time, and
// returns when all calls have. On a share most of the time of each is waiting.
func (h *Host) Each(n int, f func(i int)) {
	workers := min(h.Parallel, n)
	if workers <= 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	all.Wait()
}

// Memory keeps short texts on a disk of the host's own, beside the share. It
// promises nothing: a text may be gone, or an earlier one come back, and
// nothing but a warning may depend on it. It may be used by several goroutines
// and processes at once.
type Memory interface {
	// Recall returns what was remembered under a name, "" if nothing is known.
	Recall(name string) string
	// Remember replaces what is remembered under a name, if that is possible.
	Remember(name, text string)
}

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// TokenLen is the length of a token in characters.
const TokenLen = 26

// Token returns 128 random bits as 26 characters of [a-z2-7].
func (h *Host) Token() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(h.Rand, b[:]); err != nil {
		return "", fmt.Errorf("random token: %w", err)
	}
	return Encode32(b[:]), nil
}

// IsToken tells whether s has the form of a token.
func IsToken(s string) bool {
	if len(s) != TokenLen {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= '2' && c <= '7') {
			return false
		}
	}
	return true
}

// Encode32 writes b in lower-case base32 without padding: the alphabet of
// every name Bobbin makes (H59).
func Encode32(b []byte) string { return lower32.EncodeToString(b) }

// retryPause is the wait before the try after next, growing from 10 ms to 1 s.
func (h *Host) retryPause(ctx context.Context, try int) error {
	return h.Sleep(ctx, min(time.Second, 10*time.Millisecond<<min(try, 7)))
}
