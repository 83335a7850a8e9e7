package spool_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
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
	old, new string // old stands in the file once, within one function
	pkg, run string // the tests that must fail
}

// mutantEnv says which rule the programs that TestMutations builds have
// switched off, by its place in the list.
const mutantEnv = "BOBBIN_MUTANT"

// TestMutations runs tests with one rule switched off at a time. A rule
// whose absence nothing notices is either not needed or not tested. The short
// run looks only whether the list follows the code.
func TestMutations(t *testing.T) {
	only := os.Getenv("BOBBIN_MUTATION")
	list := slices.DeleteFunc(slices.Concat(ofTheLog, ofRenewals, ofMessages, ofFolders, ofUsers, ofThePrimitives), func(m mutation) bool {
		return !strings.Contains(m.rule, only)
	})
	files := mutate(t, list)
	if !full() || t.Failed() {
		return // the list at least follows the code
	}
	programs := buildMutants(t, list, files)
	for i, m := range list {
		t.Run(strings.ReplaceAll(m.rule, " ", "_"), func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(programs[m.pkg], "-test.run", m.run, "-test.failfast", "-test.timeout", "10m")
			cmd.Dir = m.pkg
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", mutantEnv, i), "BOBBIN_TEST_FULL=") // the short runs notice it
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

// mutate returns the text of each file that the list changes, with a copy of
// the function for each rule that it keeps, in which the rule is switched off.
// The function itself asks which of them is to run.
func mutate(t *testing.T, list []mutation) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for i, m := range list {
		src, err := os.ReadFile(m.file)
		if err != nil {
			t.Fatal(err)
		}
		if files[m.file] == nil {
			files[m.file] = src
		}
		f, err := enclosing(src, m.old)
		if err != nil {
			t.Errorf("%s: %v:\n%s", m.file, err, m.old)
			continue
		}
		f.copyTo(files, m, i)
	}
	return files
}

// function is a function's place in its file.
type function struct {
	head, body string // of its text
	name       string
	recv       string // "r." of a method
	args       string // with which it calls a copy of itself
	results    bool
}

// enclosing finds the one function in which text stands.
func enclosing(src []byte, text string) (f function, err error) {
	if n := bytes.Count(src, []byte(text)); n != 1 {
		return f, fmt.Errorf("the mutation's text is there %d times, want once", n)
	}
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, "", src, parser.SkipObjectResolution)
	if err != nil {
		return f, err
	}
	at := func(p token.Pos) int { return set.Position(p).Offset }
	from := bytes.Index(src, []byte(text))
	for _, d := range parsed.Decls {
		d, ok := d.(*ast.FuncDecl)
		if !ok || at(d.Body.Lbrace) > from || at(d.Body.Rbrace) < from+len(text) {
			continue
		}
		f = function{
			head: string(src[at(d.Pos()):at(d.Body.Lbrace)]), name: d.Name.Name,
			body: string(src[at(d.Body.Lbrace) : at(d.Body.Rbrace)+1]), results: d.Type.Results != nil,
		}
		if d.Doc != nil {
			f.head = string(src[at(d.Type.Func):at(d.Body.Lbrace)])
		}
		return f, f.signature(d)
	}
	return f, fmt.Errorf("the mutation's text is in no function")
}

// signature notes how d is called.
func (f *function) signature(d *ast.FuncDecl) error {
	var args []string
	for _, field := range d.Type.Params.List {
		if len(field.Names) == 0 {
			return fmt.Errorf("%s has a parameter without a name", f.name)
		}
		for _, n := range field.Names {
			arg := n.Name
			if _, variadic := field.Type.(*ast.Ellipsis); variadic {
				arg += "..."
			}
			args = append(args, arg)
		}
	}
	if d.Recv != nil {
		f.recv = d.Recv.List[0].Names[0].Name + "."
	}
	f.args = strings.Join(args, ", ")
	return nil
}

// copyTo adds the copy of f for rule i to its file.
func (f function) copyTo(files map[string][]byte, m mutation, i int) {
	mutant := fmt.Sprintf("%sMutant%d", f.name, i)
	call := fmt.Sprintf("%s%s(%s)", f.recv, mutant, f.args)
	if f.results {
		call = "return " + call
	} else {
		call += "; return"
	}
	text := string(files[m.file])
	text = strings.Replace(text, f.head+"{", fmt.Sprintf("%s{ if mutant == \"%d\" { %s }; ", f.head, i, call), 1)
	head := strings.Replace(f.head, f.name+"(", mutant+"(", 1)
	text += "\n" + head + strings.Replace(f.body, m.old, m.new, 1) + "\n"
	files[m.file] = []byte(text)
}

// buildMutants makes one test program for each package whose tests must
// notice, with all rules of the list in it.
func buildMutants(t *testing.T, list []mutation, files map[string][]byte) (programs map[string]string) {
	t.Helper()
	dir := t.TempDir()
	replace, programs := map[string]string{}, map[string]string{}
	put := func(name string, text []byte) {
		abs, err := filepath.Abs(name)
		if err != nil {
			t.Fatal(err)
		}
		if replace[abs] == "" {
			replace[abs] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		}
		if err := os.WriteFile(replace[abs], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		put(name, text)
		pkg, _, _ := bytes.Cut(text[bytes.Index(text, []byte("\npackage "))+1:], []byte("\n"))
		put(filepath.Join(filepath.Dir(name), "mutant.go"),
			fmt.Appendf(nil, "%s\n\nimport \"os\"\n\nvar mutant = os.Getenv(%q)\n", pkg, mutantEnv))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	plan := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(plan, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-c", "-vet=off", "-ldflags=-w", "-overlay", plan, "-o", dir + string(filepath.Separator)}
	for _, m := range list {
		if programs[m.pkg] == "" {
			abs, err := filepath.Abs(m.pkg)
			if err != nil {
				t.Fatal(err)
			}
			programs[m.pkg] = filepath.Join(dir, filepath.Base(abs)+".test")
			args = append(args, "./"+m.pkg)
		}
	}
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, tail(out))
	}
	return programs
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
