package spool_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// mutation switches one rule of the format off. Some test must notice.
type mutation struct {
	rule     string
	file     string // below spool
	old, new string // old stands in the file once
	pkg, run string // the tests that must fail
}

// TestMutations builds the tests with one rule switched off at a time. A rule
// whose absence nothing notices is either not needed or not tested. The short
// run looks only whether the list follows the code.
func TestMutations(t *testing.T) {
	only := os.Getenv("BOBBIN_MUTATION")
	for _, m := range slices.Concat(ofTheLog, ofMessages, ofThePrimitives) {
		t.Run(strings.ReplaceAll(m.rule, " ", "_"), func(t *testing.T) {
			t.Parallel()
			if only != "" && !strings.Contains(m.rule, only) {
				t.Skip("not asked for")
			}
			mutated := m.apply(t)
			if !full() {
				return // the list at least follows the code
			}
			bin := m.build(t, mutated)
			cmd := exec.Command(bin, "-test.run", m.run, "-test.failfast", "-test.timeout", "10m")
			cmd.Dir = m.pkg
			cmd.Env = append(os.Environ(), "BOBBIN_TEST_FULL=") // the short runs notice it
			start := time.Now()
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Errorf("nothing notices when this rule is off")
			} else if !strings.Contains(string(out), "--- FAIL") {
				t.Errorf("the tests ended otherwise: %v\n%s", err, tail(out))
			} else {
				t.Logf("noticed in %v: %s", time.Since(start).Round(100*time.Millisecond), why(out))
			}
		})
	}
}

// apply returns the text of the file with the rule switched off.
func (m mutation) apply(t *testing.T) string {
	t.Helper()
	src, err := os.ReadFile(m.file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(src), m.old); n != 1 {
		t.Fatalf("%s has the mutation's text %d times, want once:\n%s", m.file, n, m.old)
	}
	return strings.Replace(string(src), m.old, m.new, 1)
}

// build makes the test binary of the package with text in place of the file.
func (m mutation) build(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	mutated := filepath.Join(dir, "mutated.go")
	full, err := filepath.Abs(m.file)
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{full: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	plan, bin := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "mutated.test")
	for name, b := range map[string][]byte{mutated: []byte(text), plan: overlay} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-ldflags=-w", "-overlay", plan, "-o", bin, "./"+m.pkg).CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// why finds the first complaint in a test's output.
func why(out []byte) string {
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "_test.go:") {
			return strings.TrimSpace(line[:min(len(line), 200)])
		}
	}
	return ""
}

func tail(out []byte) []byte { return out[max(0, len(out)-2000):] }
