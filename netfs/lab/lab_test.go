package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestShares runs what runs on shares, with the file systems of the lab that
// BOBBIN_TEST_LAB names: the conformance suite on A and B, and the stress of
// the spool on A, B and C, at rest and with the server restarted and a link
// cut meanwhile.
func TestShares(t *testing.T) {
	names := strings.Fields(os.Getenv("BOBBIN_TEST_LAB"))
	if len(names) == 0 {
		t.Skip("BOBBIN_TEST_LAB names no file system of the lab")
	}
	if os.Geteuid() != 0 {
		t.Fatal("the lab must be run by root")
	}
	dir := t.TempDir()
	for name, pkg := range map[string]string{"suite": "netfs/netfstest", "spool": "spool"} {
		cmd := exec.Command("go", "test", "-c", "-o", filepath.Join(dir, name), "github.com/bobbinmail/bobbin/"+pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v: %s", pkg, err, out)
		}
	}
	c, err := openCache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			g := &guest{cache: c, name: fmt.Sprintf("test-%s-%d", name, os.Getpid())}
			testShare(t, g, settings{fs: name, share: dir, memory: "768M", timeout: 20 * time.Minute})
		})
	}
}

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
	stress := "BOBBIN_TEST_SHARE=/mnt/A:/mnt/B:/mnt/C ./spool -test.run TestStressShare -test.v"
	for _, tt := range []struct{ name, command string }{
		{"suite", "BOBBIN_TEST_SHARE=/mnt/A:/mnt/B ./suite -test.run TestShare -test.v -test.timeout 20m"},
		{"stress", stress},
		{"stress with faults", "(sleep 5; fault cut B 5; sleep 5; fault restart 3) >/tmp/faults 2>&1 & " + stress + "; status=$?; wait; cat /tmp/faults; exit $status"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.command = []string{tt.command}
			var out bytes.Buffer
			code, err := g.exec(t.Context(), s, &out)
			if err != nil || code != 0 || !strings.Contains(out.String(), "--- PASS: Test") {
				t.Fatalf("exit status %d, %v:\n%s", code, err, &out)
			}
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, "--- SKIP") || strings.Contains(line, "stress_test.go") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
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
