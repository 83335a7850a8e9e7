package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// programs are what the guests run: built here, because they have no Go.
var programs = [][]string{
	{"test", "-c", "-o", "suite", "github.com/bobbinmail/bobbin/netfs/netfstest"},
	{"test", "-c", "-o", "locks", "github.com/bobbinmail/bobbin/locking"},
	{"test", "-c", "-o", "spool", "github.com/bobbinmail/bobbin/spool"},
	{"build", "-o", "bobbin", "github.com/bobbinmail/bobbin/cmd/bobbin"},
}

// TestShares runs what runs on shares, with the file systems of the lab that
// BOBBIN_TEST_LAB names.
func TestShares(t *testing.T) {
	names := strings.Fields(os.Getenv("BOBBIN_TEST_LAB"))
	if len(names) == 0 {
		t.Skip("BOBBIN_TEST_LAB names no file system of the lab")
	}
	if os.Geteuid() != 0 {
		t.Fatal("the lab must be run by root")
	}
	dir := t.TempDir()
	for _, args := range programs {
		args := slices.Clone(args)
		at := slices.Index(args, "-o") + 1
		args[at] = filepath.Join(dir, args[at])
		cmd := exec.Command("go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v: %s", args[at], err, out)
		}
	}
	c, err := openCache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if why := refused(t, c); why != "" {
		t.Skipf("this machine does not let a user-mode kernel run: %s", why)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := &guest{cache: c, name: fmt.Sprintf("test-%s-%d", name, os.Getpid())}
			testShare(t, g, settings{fs: name, share: dir, memory: "768M", timeout: 20 * time.Minute})
		})
	}
}

// refused says why the machine does not let the guest's kernel run, "" if it
// does: without a root folder it begins to boot, and no more.
func refused(t *testing.T, c cache) string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), upTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.path("linux.uml"), "mem=64M", "umid=bobbin-lab-try", "con=null", "con0=null,fd:1", "con1=null", "panic=-1")
	cmd.Dir, cmd.Env = dir, []string{"PATH=/usr/bin:/bin", "HOME=" + dir, "TMPDIR=" + memoryDir(dir)}
	out, err := cmd.CombinedOutput() // it ends with a panic
	if strings.Contains(string(out), "Linux version") {
		return ""
	}
	return fmt.Sprintf("%v: %s", err, out)
}

const mounts = "BOBBIN_TEST_SHARE=/mnt/A:/mnt/B:/mnt/C "

// inGuest are the tests of a share, each a line for the guest's shell whose
// output says that it was really done. The stress has two processes on each
// host, which are killed again and again, and another Maildir program on C.
// BOUNDED is a flag for shorter tests, or nothing.
var inGuest = []struct{ name, command, done string }{
	{"suite", "BOBBIN_TEST_SHARE=/mnt/A:/mnt/B ./suite -test.run TestShare -test.v -test.timeout 20m", "--- PASS: TestShare "},
	{"locks", "BOBBIN_TEST_SHARE=/mnt/A:/mnt/B ./locks -test.run TestShare -test.v -test.timeout 20m", "--- PASS: TestShareMbox "},
	{"probe", "./bobbin probe /mnt/A", "Fit for several hosts."},
	{
		"probe by two hosts", "on A ./bobbin probe --peer /mnt/A >/tmp/peer & on B ./bobbin probe --peer /mnt/B && wait $! && cat /tmp/peer && ls -A /srv/export",
		"Fit for several hosts.",
	},
	{"init", "./bobbin init /mnt/A/spool", "is a spool now"},
	{"demo", "./bobbin demo --dir /mnt/A --messages 20", "lost                         0"},
	{
		"stress", mounts + "BOBBIN_TEST_FOREIGN=1 BOBBIN_TEST_FAULTS='fault cut B 5\nfault restart 3\nfault crash C 5' " +
			"./spool -test.run TestStressShare -test.v -test.timeout 20m", "--- PASS: TestStressShare",
	},
	{"counts", mounts + "BOBBIN_TEST_SERVER=/srv/export ./spool BOUNDED -test.run TestShareCounts -test.v", "--- PASS: TestShareCounts"},
	{"counts of other programs", mounts + "./spool -test.run TestSharePeers -test.v", "count: delivery by dovecot-lda"},
	{"counts on a slow link", "fault netem A 'delay 5ms' && " + mounts + "BOBBIN_TEST_SERVER=/srv/export ./spool -test.run TestShareCounts -test.v" +
		"; status=$?; fault netem A off; exit $status", "--- PASS: TestShareCounts"},
}

// ways are how slots are put on the shares where something else than a symbolic
// link must be chosen.
var ways = map[string]string{"smb3": "link", "smb3-nolink": "directory", "mixed": "link"}

// notCounted are shares whose requests no kernel counts.
var notCounted = []string{"local"}

func testShare(t *testing.T, g *guest, s settings) {
	start := time.Now()
	if err := g.up(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := g.down(); err != nil {
			t.Error(err)
		}
	}()
	t.Logf("ready after %v", time.Since(start).Round(time.Second))
	said := map[string]string{}
	for _, tt := range inGuest {
		t.Run(tt.name, func(t *testing.T) {
			if slices.Contains(notCounted, s.fs) && strings.HasPrefix(tt.name, "counts") {
				t.Skip("no kernel counts the requests")
			}
			if testing.Short() && strings.HasPrefix(tt.command, "fault netem") {
				t.Skip("takes minutes")
			}
			if testing.Short() && !*update && strings.HasPrefix(s.fs, "smb") && strings.HasPrefix(tt.name, "counts") {
				t.Skip("takes minutes and is told, not judged")
			}
			bounded := ""
			if testing.Short() {
				bounded = "-test.short"
			}
			line := strings.Replace(tt.command, "BOUNDED", bounded, 1)
			if s.fs == "mixed" { // what docs/operations.md says of such an export
				line = "export BOBBIN_TEST_SLOTS=link BOBBIN_TEST_SEPARATOR=';'; " + strings.Replace(line, "bobbin init", "bobbin init --slots link --separator ';'", 1)
			}
			s.command = []string{line}
			var out bytes.Buffer
			code, err := g.exec(t.Context(), s, &out)
			if err != nil || code != 0 || !strings.Contains(out.String(), tt.done) {
				t.Fatalf("exit status %d, %v:\n%s", code, err, &out)
			}
			said[tt.name] = out.String()
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, "--- SKIP") || strings.Contains(line, "_test.go") || strings.HasPrefix(line, "count: ") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
	if want := cmp.Or(ways[s.fs], "symlink"); !strings.Contains(said["init"], "slots by "+want) {
		t.Errorf("init chose something else than slots by %s: %s", want, said["init"])
	}
	if *update && !t.Failed() {
		updateTable(t, s.fs, said)
	}
}

// A command line is understood, or refused in words.
func TestParse(t *testing.T) {
	for _, tt := range []struct {
		line, want string
	}{
		{"run --fs smb3 ls -l", ""},
		{"exec -- ls", ""},
		{"up --fs nfs3 --options actimeo=0", ""},
		{"up ls", "a command is needed by run and exec"},
		{"run", "a command is needed by run and exec"},
		{"run --fs ext4 ls", `no file system "ext4": there are nfs3`},
	} {
		words := strings.Fields(tt.line)
		s, err := parse(words[0], words[1:])
		switch {
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.line, err, tt.want)
		case tt.want == "" && (err != nil || !filepath.IsAbs(s.share)):
			t.Errorf("%s: %+v, %v", tt.line, s, err)
		}
	}
}

// A guest is known by its process, though its command line changes, and a
// process that has ended is none.
func TestProcess(t *testing.T) {
	g := &guest{cache: cache{t.TempDir()}, name: "g"}
	if err := os.MkdirAll(g.path(), 0o755); err != nil {
		t.Fatal(err)
	}
	if pid := g.process(); pid != 0 {
		t.Errorf("process %d before there was one", pid)
	}
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := g.started(cmd.Process.Pid); err != nil {
		t.Error(err)
	}
	if pid := g.process(); pid != cmd.Process.Pid {
		t.Errorf("process %d, want %d", pid, cmd.Process.Pid)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
	if pid := g.process(); pid != 0 {
		t.Errorf("process %d after it was killed", pid)
	}
	other := fmt.Appendf(nil, "%d 1", os.Getpid()) // the number is in use again
	if err := os.WriteFile(g.path("pid"), other, 0o600); err != nil {
		t.Fatal(err)
	}
	if pid := g.process(); pid != 0 {
		t.Errorf("another process, %d, is taken for it", pid)
	}
}
