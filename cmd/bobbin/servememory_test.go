package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// memoryLimit is what "bobbin serve" may take, in KiB, with memoryClients that hand in
// messages of 50 MB.
const (
	memoryLimit   = 60 << 10
	memoryClients = 200
)

// TestServeMemory holds the most memory that the server ever had to its limit: each
// of the clients has sent more of a message than is kept in memory when some of them
// send all of it and have it delivered at once.
func TestServeMemory(t *testing.T) {
	size, whole := 8<<20, 8
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		size, whole = 50_000_000, 16
	}
	program := buildAsDocumented(t, ".")
	socket := filepath.Join(t.TempDir(), "lmtp")
	cmd, _, err := serveProcess(program, "--spool", newProcessSpool(t, program), "--lmtp", "unix:"+socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	clients := make([]*lmtpClient, memoryClients)
	begin := bytes.Repeat([]byte(strings.Repeat("x", 76)+"\r\n"), 4<<10)
	var all sync.WaitGroup
	for i := range clients {
		c, err := dialLMTP(socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.conn.Close()
		clients[i] = c
		all.Go(func() {
			for _, command := range []string{"MAIL FROM:<joe@example.org> SIZE=50000000", "RCPT TO:<alice>", "DATA"} {
				if r, err := c.ask(command + "\r\n"); err != nil || r[0] > '3' {
					t.Errorf("%s: %s, %v", command, r, err)
					return
				}
			}
			if _, err := c.conn.Write(begin); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, c := range clients[:whole] {
		all.Go(func() {
			for sent := len(begin); sent < size; sent += len(begin) {
				if _, err := c.conn.Write(begin); err != nil {
					t.Error(err)
					return
				}
			}
			if r, err := c.ask(".\r\n"); err != nil || !strings.HasPrefix(r, "250 ") {
				t.Errorf("%s, %v", r, err)
			}
		})
	}
	all.Wait()
	now, most := memoryOf(t, cmd.Process.Pid)
	t.Logf("%d clients, %d messages of %d bytes: %d KiB, at most %d KiB", memoryClients, whole, size, now, most)
	if most > memoryLimit {
		t.Errorf("%d KiB of memory; the limit is %d", most, memoryLimit)
	}
}

// memoryOf returns the memory that a process has and has had at most, in KiB.
func memoryOf(t *testing.T, pid int) (now, most int) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	status, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &most)
	}
	if now == 0 || most == 0 {
		t.Fatalf("no memory in %s", status)
	}
	return now, most
}
