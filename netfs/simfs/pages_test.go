package simfs_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
)

// What is written stays with the client until Sync or Close.
func TestPageCache(t *testing.T) {
	simfs.Run(t, simfs.Options{}, func(t *testing.T, s *simfs.Sim) {
		ctx := context.Background()
		a, b := s.Host("a"), s.Host("b")
		w, err := a.Share.Create(ctx, "f", 0o600)
		if err != nil {
			t.Fatal(err)
		}
		expect := func(when, content string, size int64) {
			t.Helper()
			got, err := netfs.ReadFile(ctx, b.Share, "f", 100)
			if i, _ := b.Share.Stat(ctx, "f"); err != nil || string(got) != content || i.Size != int64(len(content)) {
				t.Errorf("%s: another host sees %q, size %d (%v)", when, got, i.Size, err)
			}
			if n, err := w.Size(); size >= 0 && (n != size || err != nil) {
				t.Errorf("%s: size %d to the writer (%v)", when, n, err)
			}
		}
		put := func(text string, flush func() error) {
			t.Helper()
			_, err := io.WriteString(w, text)
			if err = errors.Join(err, flush()); err != nil {
				t.Error(err)
			}
		}
		expect("created", "", 0)
		put("one ", func() error { return nil })
		expect("written", "", 4)
		put("two ", w.Sync)
		expect("synced", "one two ", 8)
		put("three", func() error { return nil })
		expect("written again", "one two ", 13)
		put("", w.Close)
		expect("closed", "one two three", -1)
	})
}

// A failed Sync drops the data; the next one is silent about it, and what is
// written then comes after a hole. Close fails in the same way, and ends the
// handle all the same.
func TestWriteErr(t *testing.T) {
	for _, applied := range []bool{false, true} {
		o := simfs.Options{FailAt: &simfs.At{Host: "a", Op: 2, Applied: applied, Err: syscall.ENOSPC}}
		run(t, o, func(t *testing.T, ctx context.Context, f netfs.FS) {
			w, _ := f.Create(ctx, "f", 0o600)
			_, _ = io.WriteString(w, "lost")
			if err := w.Sync(); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("the failed sync: %v", err)
			}
			if n, err := w.Size(); err != nil || n != 4 { // the kernel does not know better
				t.Errorf("applied %v: the size afterwards is %d (%v)", applied, n, err)
			}
			if err := w.Sync(); err != nil {
				t.Errorf("the next sync: %v", err)
			}
			_, _ = io.WriteString(w, "kept")
			if err := w.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		}, func(t *testing.T, s *simfs.Sim) {
			got, err := s.Server().ReadFile("f")
			if want := tern(applied, "lostkept", "\x00\x00\x00\x00kept"); string(got) != want || err != nil {
				t.Errorf("applied %v: %q, %v", applied, got, err)
			}
		})
	}
	run(t, simfs.Options{Faults: simfs.Faults{WriteErr: 1}},
		func(t *testing.T, ctx context.Context, f netfs.FS) {
			w, _ := f.Create(ctx, "f", 0o600)
			if err := w.Sync(); err != nil {
				t.Errorf("a sync with nothing to send: %v", err)
			}
			_, _ = io.WriteString(w, "lost")
			if err := w.Close(); err == nil {
				t.Error("a close with a write error succeeded")
			}
			if _, err := w.Size(); err == nil {
				t.Error("the handle is still open")
			}
		},
		func(t *testing.T, s *simfs.Sim) {
			if got, err := s.Server().ReadFile("f"); len(got) > 0 || err != nil {
				t.Errorf("the file has %q (%v)", got, err)
			}
		})
}

// A late flush arrives with the data of its own time.
func TestLateFlush(t *testing.T) {
	o := simfs.Options{FailAt: &simfs.At{Host: "a", Op: 2, Late: true}}
	run(t, o, func(t *testing.T, ctx context.Context, f netfs.FS) {
		w, _ := f.Create(ctx, "f", 0o600)
		_, _ = io.WriteString(w, "late")
		if err := w.Sync(); !errors.Is(err, syscall.EIO) {
			t.Errorf("sync: %v", err)
		}
		if n, _ := w.Size(); n != 4 {
			t.Errorf("the kernel says %d bytes", n)
		}
		_, _ = io.WriteString(w, "kept")
		_ = w.Close()
	}, func(t *testing.T, s *simfs.Sim) {
		if got, err := s.Server().ReadFile("f"); string(got) != "latekept" {
			t.Errorf("%q, %v", got, err)
		}
	})
}

// A write that fails may have taken a part.
func TestShortWrite(t *testing.T) {
	const text = "abcdefgh"
	lengths := map[int]bool{}
	for seed := range uint64(40) {
		o := simfs.Options{Seed: seed, FailAt: &simfs.At{Host: "a", Op: 1, Err: syscall.ENOSPC}}
		n := 0
		run(t, o, func(t *testing.T, ctx context.Context, f netfs.FS) {
			w, _ := f.Create(ctx, "f", 0o600)
			var err error
			if n, err = io.WriteString(w, text); !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("write: %v", err)
			}
			_ = w.Close()
		}, func(t *testing.T, s *simfs.Sim) {
			if got, _ := s.Server().ReadFile("f"); string(got) != text[:n] {
				t.Errorf("%d bytes were taken, the file has %q", n, got)
			}
		})
		lengths[n] = true
	}
	if len(lengths) < 5 {
		t.Errorf("lengths taken: %v", lengths)
	}
}

// Unsynced data dies with its process; with WriteBack a part may survive.
func TestCrashLosesPages(t *testing.T) {
	for _, back := range []float64{0, 0.5} {
		lengths := map[int]bool{}
		for seed := range uint64(40) {
			o := simfs.Options{Seed: seed, CrashAt: &simfs.At{Host: "a", Op: 4}}
			o.Faults.WriteBack = back
			run(t, o, func(t *testing.T, ctx context.Context, f netfs.FS) {
				w, _ := f.Create(ctx, "f", 0o600)
				_, _ = io.WriteString(w, "safe ")
				_ = w.Sync()
				_, _ = io.WriteString(w, "unsafe")
				if _, err := f.Stat(ctx, "."); err != simfs.ErrDead {
					t.Errorf("stat: %v", err)
				}
				if err := w.Sync(); err != simfs.ErrDead {
					t.Errorf("sync: %v", err)
				}
			}, func(t *testing.T, s *simfs.Sim) {
				got, err := s.Server().ReadFile("f")
				if err != nil || len(got) < 5 || !strings.HasPrefix("safe unsafe", string(got)) {
					t.Errorf("%q, %v", got, err)
				}
				lengths[len(got)] = true
			})
		}
		if back == 0 && (len(lengths) != 1 || !lengths[5]) || back > 0 && len(lengths) < 4 {
			t.Errorf("write-back %v: lengths %v", back, lengths)
		}
	}
}
