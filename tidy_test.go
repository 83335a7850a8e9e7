// Package bobbin_test holds the rules of the house for the whole repository.
package bobbin_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/bobbinmail/bobbin"

// source is one Go file and where it stands.
type source struct {
	name string // slash-separated, from the root
	text []byte
	fset *token.FileSet
	file *ast.File
}

func parseSource(name string, text []byte) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{name, text, fset, file}, err
}

func (s *source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

func (s *source) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s: %s", s.fset.Position(n.Pos()), fmt.Sprintf(format, args...))
}

// within tells whether name is dir or lies below it.
func within(name, dir string) bool {
	return name == dir || strings.HasPrefix(name, dir+"/")
}

func withinAny(name string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return within(name, dir) })
}

// sourceRules are the rules for one Go file; each returns what is wrong.
var sourceRules = []struct {
	name  string
	check func(*source) []string
}{
	{"import direction", importDirection},
	{"test-only imports", testOnlyImports},
	{"file length", fileLength},
	{"function length", functionLength},
	{"interface size", interfaceSize},
	{"parameter count", parameterCount},
	{"doc comments", docComments},
	{"one host object", oneHostObject},
	{"no os files", noOSFiles},
}

func TestSources(t *testing.T) {
	var sources []*source
	for _, name := range repositoryFiles(t) {
		if path.Ext(name) != ".go" {
			continue
		}
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		s, err := parseSource(name, text)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, s)
	}
	if len(sources) < 10 {
		t.Fatalf("only %d Go files found", len(sources))
	}
	for _, rule := range sourceRules {
		t.Run(rule.name, func(t *testing.T) {
			for _, s := range sources {
				for _, problem := range rule.check(s) {
					t.Error(problem)
				}
			}
		})
	}
}

// repositoryFiles lists the files of the repository: what git tracks or would
// track; without git, all.
func repositoryFiles(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	listed := make(map[string]bool)
	for _, name := range strings.Split(string(out), "\x00") {
		listed[name] = true
	}
	var names []string
	walk := func(name string, d fs.DirEntry, walkErr error) error {
		switch {
		case walkErr != nil:
			return walkErr
		case d.IsDir() && d.Name() == ".git":
			return fs.SkipDir
		case d.Type().IsRegular() && (err != nil || listed[name]):
			names = append(names, name)
		}
		return nil
	}
	if err := fs.WalkDir(os.DirFS("."), ".", walk); err != nil {
		t.Fatal(err)
	}
	return names
}

// allowedTop are the names in the repository's root.
var allowedTop = []string{
	".ci", ".gitattributes", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md",
	"cmd", "delivery", "docs", "go.mod", "go.sum", "locking", "netfs", "readers", "spool",
	"tidy_rules_test.go", "tidy_self_test.go", "tidy_test.go",
}

func TestTopLevel(t *testing.T) {
	for _, problem := range strangeTops(repositoryFiles(t)) {
		t.Error(problem)
	}
	if got := strangeTops([]string{"cmd/x/y.go", "util/u.go", "notes.txt"}); len(got) != 2 {
		t.Errorf("strange names found: %q", got)
	}
}

func strangeTops(names []string) (problems []string) {
	for _, name := range names {
		if top, _, _ := strings.Cut(name, "/"); !slices.Contains(allowedTop, top) {
			problems = append(problems, name+": "+top+" is not a name of the repository's root")
		}
	}
	return problems
}

// machinePath finds absolute paths of the machines people work on.
var machinePath = regexp.MustCompile(`(?:^|[^\w.~})/-])/(?:` + `work|root)/`)

func TestMachinePaths(t *testing.T) {
	for _, name := range repositoryFiles(t) {
		text, err := os.ReadFile(filepath.FromSlash(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range machinePaths(name, text) {
			t.Error(problem)
		}
	}
	for text, want := range map[string]int{
		"cd /" + "work/x": 1, "\"/" + "root/.cache\"\n(/" + "work/y)": 2, "docs/" + "work/x ~/" + "root/ /" + "workshop/": 0,
	} {
		if got := machinePaths("x", []byte(text)); len(got) != want {
			t.Errorf("%q: %q, want %d", text, got, want)
		}
	}
}

func machinePaths(name string, text []byte) (problems []string) {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if machinePath.Match(line) {
			problems = append(problems, fmt.Sprintf("%s:%d: path of one machine", name, i+1))
		}
	}
	return problems
}

// TestModulesAreNamed: every module that Bobbin is built from has its reason
// in docs/architecture.md.
func TestModulesAreNamed(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("docs", "architecture.md"))
	switch {
	case err == nil:
		for _, name := range unnamedModules(mod, text) {
			t.Errorf("docs/architecture.md does not name the module %s", name)
		}
	case !os.IsNotExist(err):
		t.Fatal(err)
	}
	const example = "module m\n\ngo 1.26.0\n\nrequire a.org/x v1.0.0\n\nrequire (\n\tb.org/y/v2 v2.0.0 // why\n\tc.org/z v1.0.0 // indirect\n)\n\ntool d.org/t/cmd/checker\n"
	if got := unnamedModules([]byte(example), []byte("of a.org/x/y")); !slices.Equal(got, []string{"b.org/y/v2", "checker"}) {
		t.Errorf("unnamed modules of the example: %q", got)
	}
}

// unnamedModules lists direct requirements and tools that text does not name.
func unnamedModules(mod, text []byte) (names []string) {
	block := ""
	for line := range strings.Lines(string(mod)) {
		line = strings.TrimSpace(line)
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || strings.HasSuffix(line, "// indirect"):
			continue
		case line == ")":
			block = ""
			continue
		case len(fields) == 2 && fields[1] == "(":
			block = fields[0]
			continue
		case block != "":
			fields = append([]string{block}, fields...)
		}
		name := fields[1]
		if fields[0] == "tool" {
			name = path.Base(name)
		}
		if (fields[0] == "require" || fields[0] == "tool") && !bytes.Contains(text, []byte(name)) {
			names = append(names, name)
		}
	}
	return names
}
