package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// serveRoots runs "bobbin serve" in this process, as if it could become nobody.
func serveRoots(t *testing.T, flags ...string) (log *syncBuffer, socket string, stop func() int) {
	log, socket = new(syncBuffer), filepath.Join(t.TempDir(), "lmtp")
	env := processEnvironment()
	env.Stdout, env.Stderr, env.Root = io.Discard, log, false
	env.Getenv = func(string) string { return "" }
	env.MailRoot = func(ctx context.Context, m mailRoot, _ account) (*netfs.Host, error) {
		return netfs.OpenBelow(ctx, m.Below)
	}
	env.Self = func(context.Context, ...string) (*exec.Cmd, error) {
		t.Error("a process was to be started")
		return nil, errors.ErrUnsupported
	}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"serve", "--log", "json", "--lmtp", "unix:" + socket}, flags...), env)
	}()
	c, err := dialLMTP(socket)
	for limit := time.Now().Add(time.Minute); err != nil && time.Now().Before(limit); c, err = dialLMTP(socket) {
		time.Sleep(time.Millisecond)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, log)
	}
	_ = c.conn.Close()
	return log, socket, func() int {
		end()
		return <-ended
	}
}

// A server that can become nobody delivers to mail roots without a process for each
// message.
func TestServeRoots(t *testing.T) {
	dir := t.TempDir()
	for _, user := range []string{"alice", "bob"} {
		if err := os.Mkdir(filepath.Join(dir, user), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	quota := filepath.Join(dir, "quota")
	if err := os.WriteFile(quota, []byte("* * - 9\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	log, socket, stop := serveRoots(t, "--location", filepath.Join(dir, "%n/Maildir"), "--quota", quota)
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			c, err := dialLMTP(socket)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.conn.Close()
			for range 3 {
				got, err := c.deliver("", "Subject: x\r\n\r\ntext\r\n", "alice@example.org", "bob", "carol")
				if err != nil || got[0] != "250 2.0.0 delivered to alice@example.org" || got[1] != "250 2.0.0 delivered to bob" || got[2][:4] != "451 " {
					t.Errorf("%q, %v", got, err)
				}
			}
		})
	}
	all.Wait()
	c, err := dialLMTP(socket)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.deliver("", "Subject: x\r\n\r\n", "alice")
	if err != nil || got[0] != "452 4.2.2 the mailbox is full" {
		t.Errorf("beyond the quota: %q, %v", got, err)
	}
	_ = c.conn.Close()
	if code := stop(); code != 0 {
		t.Errorf("exit code %d: %s", code, log)
	}
	for _, user := range []string{"alice", "bob"} {
		files, err := filepath.Glob(filepath.Join(dir, user, "Maildir/new/*"))
		if err != nil || len(files) != 9 {
			t.Errorf("%s has %d files, %v: %s", user, len(files), err, log)
		}
	}
	if n := strings.Count(log.String(), `"operations":-1`); n != 0 {
		t.Errorf("%d deliveries were not counted", n)
	}
}
