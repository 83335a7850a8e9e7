package main

import (
	"context"
	"syscall"
	"testing"
	"time"
)

// TestUntilSignal ends a context by signals, whether somebody waits for it or looks.
func TestUntilSignal(t *testing.T) {
	for _, way := range []string{"wait", "look"} {
		u := newUntilSignal()
		if err := u.Err(); err != nil {
			t.Fatalf("%s: ended by %v", way, err)
		}
		done := make(<-chan struct{})
		if way == "wait" {
			done = u.Done()
		}
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		look := time.NewTicker(time.Millisecond)
		defer look.Stop()
		for ended := false; !ended; {
			select {
			case <-done:
				ended = true
			case <-look.C:
				ended = way == "look" && u.Err() != nil
			case <-t.Context().Done():
				t.Fatalf("%s: the signal ended nothing", way)
			}
		}
		if u.Err() != context.Canceled {
			t.Errorf("%s: %v", way, u.Err())
		}
		if _, open := <-u.Done(); open {
			t.Errorf("%s: Done is not closed", way)
		}
	}
}
