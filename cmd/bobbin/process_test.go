package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildTags are those of the documented build.
const buildTags = "urfave_cli_no_docs"

// buildAsDocumented builds a program as README.md has it. It returns a copy, as installed
// programs are: what the linker wrote through a mapping the kernel maps in smaller pieces.
func buildAsDocumented(t testing.TB, from string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	cmd := exec.Command("go", "build", "-tags", buildTags, "-o", name, from)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	text, err := os.ReadFile(name)
	if err == nil {
		name += "-copy"
		err = os.WriteFile(name, text, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// newProcessSpool makes a spool with the user alice by the program.
func newProcessSpool(t testing.TB, program string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "spool")
	for _, args := range [][]string{{"init", dir}, {"user", "add", "--spool", dir, "alice"}} {
		if out, err := exec.Command(program, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	return dir
}

// TestDeliverStart looks at what a process that delivers a message initialises.
func TestDeliverStart(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(readme, []byte("CGO_ENABLED=0 go install -tags "+buildTags+" ./cmd/bobbin\n")) {
		t.Error("README.md builds the program in another way")
	}
	program := buildAsDocumented(t, ".")
	cmd := exec.Command(program, "deliver", "--spool", newProcessSpool(t, program), "alice")
	cmd.Stdin = strings.NewReader("Subject: x\n\nx\n")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	initialised := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "init" {
			initialised[f[1]] = true
		}
	}
	if !initialised["github.com/bobbinmail/bobbin/spool"] {
		t.Fatalf("the trace is not what it was: %.300s", out)
	}
	for _, unwanted := range []string{
		"github.com/russross/blackfriday/v2", "github.com/cpuguy83/go-md2man/v2/md2man", // man pages of the library
		"golang.org/x/text/encoding/ianaindex", "golang.org/x/text/encoding/htmlindex", "golang.org/x/text/language", "golang.org/x/text/cases", // character sets
		"golang.org/x/term", "expvar", "os/user",
	} {
		if initialised[unwanted] {
			t.Errorf("%s is initialised for each message", unwanted)
		}
	}
}

// BenchmarkDeliverProcess compares a process of bobbin deliver with the least that a
// Go process can do for a message.
func BenchmarkDeliverProcess(b *testing.B) {
	program, floor := buildAsDocumented(b, "."), buildAsDocumented(b, "./testdata/floor")
	spool := newProcessSpool(b, program)
	maildir := filepath.Join(b.TempDir(), "Maildir")
	for _, dir := range []string{"tmp", "new"} {
		if err := os.MkdirAll(filepath.Join(maildir, dir), 0o700); err != nil {
			b.Fatal(err)
		}
	}
	message := filepath.Join(b.TempDir(), "message")
	if err := os.WriteFile(message, []byte("Subject: x\n\n"+strings.Repeat("line of text\n", 155)), 0o600); err != nil {
		b.Fatal(err)
	}
	run := func(args ...string) (cpu, wall time.Duration) {
		in, err := os.Open(message)
		if err != nil {
			b.Fatal(err)
		}
		defer in.Close()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = in
		start := time.Now()
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
		return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), time.Since(start)
	}
	var cpus, walls [2]time.Duration
	for b.Loop() {
		for i, args := range [][]string{{floor, maildir}, {program, "deliver", "--spool", spool, "alice"}} {
			cpu, wall := run(args...)
			cpus[i] += cpu
			walls[i] += wall
		}
	}
	b.ReportMetric(float64(cpus[1])/float64(cpus[0]), "cpu/floor")
	b.ReportMetric(float64(walls[1])/float64(walls[0]), "wall/floor")
}
