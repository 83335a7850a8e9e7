package main

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// killing is a server that is killed and started again while clients deliver.
type killing struct {
	*rig
	socket, program string
	kills, every    int // each time that so many messages were answered
	answered        atomic.Int64
	refused         atomic.Int64 // connections that broke: deliveries that had to be repeated
}

// TestServeKilled kills the server by SIGKILL under load. Every message that was
// answered with 250, which each is in the end because its client tries again,
// is there once, byte for byte.
func TestServeKilled(t *testing.T) {
	messages, kills, clients := 100, 3, 4
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		messages, kills = 10000, 20
	}
	program, err := exec.LookPath("bobbin")
	if err != nil {
		t.Fatal(err)
	}
	k := &killing{rig: newRig(t), program: program, kills: kills, every: messages / (kills + 1)}
	k.socket = filepath.Join(t.TempDir(), "lmtp")
	done := make(chan struct{})
	var server, delivering sync.WaitGroup
	server.Go(func() { k.serve(done) })
	for n := range clients {
		delivering.Go(func() { k.client(n, messages/clients) })
	}
	delivering.Wait()
	close(done)
	server.Wait()
	if t.Failed() {
		return
	}
	k.count(messages)
	if k.refused.Load() == 0 {
		t.Error("no client noticed that the server was killed")
	}
	t.Logf("%d messages, %d kills, %d deliveries repeated", messages, kills, k.refused.Load())
	if check := k.run("", "check"); check.code != 0 {
		t.Errorf("check: %+v", check)
	}
}

// serve starts the server and kills it, and starts it again.
func (k *killing) serve(done chan struct{}) {
	for n := 1; ; n++ {
		cmd, _, err := serveProcess(k.program, "--spool", k.dir, "--lmtp", "unix:"+k.socket, "--duplicates", "drop")
		if err != nil {
			k.t.Error(err)
			return
		}
		for n <= k.kills && k.answered.Load() < int64(n*k.every) {
			select {
			case <-done:
			case <-time.After(time.Millisecond):
				continue
			}
			break
		}
		if n > k.kills {
			<-done
		}
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); err == nil {
			k.t.Error("the server ended by itself")
		}
		if n > k.kills {
			return
		}
	}
}

// killText is a message that no other is like.
func killText(client, n int) string {
	rng := rand.New(rand.NewPCG(uint64(client), uint64(n)))
	return fmt.Sprintf("Subject: %d.%d\r\n\r\n%s\r\n", client, n, strings.Repeat(fmt.Sprintf("%x\r\n.", rng.Uint64()), 1+rng.IntN(200)))
}

// client delivers messages one after the other, each until it is answered.
func (k *killing) client(client, messages int) {
	var c *lmtpClient
	end := time.Now().Add(5 * time.Minute)
	for n := 0; n < messages; {
		if time.Now().After(end) {
			k.t.Errorf("client %d: no end in sight after %d messages", client, n)
			return
		}
		var err error
		if c == nil {
			if c, err = dialLMTP(k.socket); err != nil {
				c = nil
				time.Sleep(5 * time.Millisecond)
				continue
			}
		}
		r, err := c.deliver(fmt.Sprintf("Q%dX%d", client, n), killText(client, n), []string{"alice", "bob"}[client%2])
		switch {
		case err != nil:
			k.refused.Add(1)
			_ = c.conn.Close()
			c = nil
		case !strings.HasPrefix(r[0], "250 "):
			k.t.Errorf("client %d, message %d: %s", client, n, r[0])
			return
		default:
			n++
			k.answered.Add(1)
		}
	}
	_ = c.conn.Close()
}

// count wants every message once.
func (k *killing) count(messages int) {
	k.t.Helper()
	want := map[[32]byte]string{}
	for client := range 4 {
		for n := range messages / 4 {
			want[sha256.Sum256([]byte(strings.ReplaceAll(killText(client, n), "\r\n", "\n")))] = fmt.Sprintf("%d.%d", client, n)
		}
	}
	files, err := filepath.Glob(filepath.Join(k.dir, "users/*/new/*"))
	k.do(err)
	for _, name := range files {
		text, err := os.ReadFile(name)
		k.do(err)
		for range 2 {
			_, after, _ := strings.Cut(string(text), "\n")
			text = []byte(after)
		}
		sum := sha256.Sum256(text)
		if want[sum] == "" {
			k.t.Errorf("%s: there twice, or never sent: %.60q", name, text)
		}
		delete(want, sum)
	}
	for _, n := range want {
		k.t.Errorf("message %s was answered with 250 and is not there", n)
	}
}

// serveProcess starts the program, waits until it serves, and tells what it says
// of the first address.
func serveProcess(program string, words ...string) (cmd *exec.Cmd, at string, err error) {
	cmd = exec.Command(program, append([]string{"serve"}, words...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	at, err = bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(at, " at ") {
		_ = cmd.Process.Kill()
		return nil, "", errors.Join(err, cmd.Wait(), fmt.Errorf("the server said %q %s", at, said.String()))
	}
	return cmd, strings.TrimSpace(at), nil
}
