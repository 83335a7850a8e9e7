package bobbin_test

import (
	"bytes"
	"go/ast"
	"path"
	"slices"
	"strconv"
	"strings"
)

// layers says what each part of the repository may import of it, itself not
// counted. Anything in none of them may not import any.
var layers = []struct {
	dir string
	may []string
}{
	{"netfs", nil},
	{"locking", []string{"netfs"}},
	{"spool", []string{"locking", "netfs"}},
	{"delivery", []string{"spool", "locking", "netfs"}},
	{"readers", []string{"spool", "locking", "netfs"}},
	{"cmd", []string{"delivery", "readers", "spool", "locking", "netfs"}},
}

// peers are the packages within a layer that do not import each other.
var peers = []string{
	"delivery/sieve", "readers/dmsp", "readers/imap", "readers/lmtp", "readers/pop", "readers/terminal",
}

// testOnly are packages for tests alone.
var testOnly = []string{
	module + "/netfs/simfs",
	module + "/netfs/netfstest",
	module + "/netfs/twofuse",
	"github.com/emersion/go-smtp",
	"github.com/hanwen/go-fuse/v2",
	"github.com/rogpeppe/go-internal",
	"net/http/httptest",
	"testing",
}

// imports lists the imported paths and the specs they stand in.
func (s *source) imports() map[string]*ast.ImportSpec {
	list := make(map[string]*ast.ImportSpec)
	for _, spec := range s.file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			list[p] = spec
		}
	}
	return list
}

func importDirection(s *source) (problems []string) {
	var layer string
	var may []string
	for _, l := range layers {
		if within(s.name, l.dir) {
			layer, may = l.dir, append([]string{l.dir}, l.may...)
		}
	}
	for p, spec := range s.imports() {
		p, own := strings.CutPrefix(p, module+"/")
		if !own {
			continue
		}
		if !withinAny(p, may) {
			problems = append(problems, s.at(spec, "%q may not import %s", layer, p))
		}
		for _, peer := range peers {
			inside := slices.ContainsFunc(peers, func(other string) bool { return within(path.Dir(s.name), other) })
			if inside && within(p, peer) && !within(path.Dir(s.name), peer) {
				problems = append(problems, s.at(spec, "%s may not import its peer %s", path.Dir(s.name), p))
			}
		}
	}
	return problems
}

func testOnlyImports(s *source) (problems []string) {
	if s.isTest() || withinAny(module+"/"+s.name, testOnly) {
		return nil
	}
	for p, spec := range s.imports() {
		if withinAny(p, testOnly) {
			problems = append(problems, s.at(spec, "%s is for tests", p))
		}
	}
	return problems
}

const (
	maxFile       = 500
	maxFunction   = 70
	maxMethods    = 5
	maxParameters = 4
)

func fileLength(s *source) []string {
	if n := bytes.Count(s.text, []byte("\n")); n > maxFile {
		return []string{s.at(s.file, "%d lines; the limit is %d", n, maxFile)}
	}
	return nil
}

func functionLength(s *source) (problems []string) {
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.FuncDecl, *ast.FuncLit:
			lines := s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
			if lines > maxFunction {
				problems = append(problems, s.at(n, "function of %d lines; the limit is %d", lines, maxFunction))
			}
		}
		return true
	})
	return problems
}

// largeInterfaces are the seam to the file system, which has as many methods
// as it has.
var largeInterfaces = map[string][]string{"netfs": {"FS", "File"}}

func interfaceSize(s *source) (problems []string) {
	exempt := make(map[ast.Node]bool)
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.TypeSpec:
			exempt[n.Type] = slices.Contains(largeInterfaces[path.Dir(s.name)], n.Name.Name)
		case *ast.InterfaceType:
			methods := 0
			for _, field := range n.Methods.List {
				methods += max(1, len(field.Names))
			}
			if methods > maxMethods && !exempt[n] {
				problems = append(problems, s.at(n, "interface of %d methods; the limit is %d", methods, maxMethods))
			}
		}
		return true
	})
	return problems
}

// parameterCount looks at functions and at the methods of interfaces. A leading
// context, or a channel in its place, is not counted, nor is the *testing.T of a test's helper.
func parameterCount(s *source) (problems []string) {
	count := func(n ast.Node, what *ast.FuncType) {
		params := 0
		for i, field := range what.Params.List {
			if i == 0 && slices.Contains(uncounted, typeName(field.Type)) {
				continue
			}
			params += max(1, len(field.Names))
		}
		if params > maxParameters {
			problems = append(problems, s.at(n, "%d parameters; the limit is %d", params, maxParameters))
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			count(n, n.Type)
		case *ast.InterfaceType:
			for _, field := range n.Methods.List {
				if method, ok := field.Type.(*ast.FuncType); ok {
					count(field, method)
				}
			}
		}
		return true
	})
	return problems
}

var uncounted = []string{"context.Context", "<-chan", "*testing.T", "*testing.B", "*testing.F", "testing.TB"}

// typeName writes a plain, qualified or pointer type; "" for any other.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return typeName(e.X) + "." + e.Sel.Name
	case *ast.StarExpr:
		return "*" + typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.ChanType:
		return "<-chan"
	}
	return ""
}

func docComments(s *source) (problems []string) {
	if s.isTest() {
		return nil
	}
	want := func(name *ast.Ident, docs ...*ast.CommentGroup) {
		documented := slices.ContainsFunc(docs, func(doc *ast.CommentGroup) bool { return doc != nil })
		if name.IsExported() && !documented {
			problems = append(problems, s.at(name, "%s has no doc comment", name.Name))
		}
	}
	for _, decl := range s.file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil || ast.IsExported(strings.TrimPrefix(typeName(d.Recv.List[0].Type), "*")) {
				want(d.Name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					doc := d.Doc
					if d.Lparen.IsValid() {
						doc = nil // a comment on a group of types describes none of them
					}
					want(spec.Name, spec.Doc, doc)
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						want(name, spec.Doc, spec.Comment, d.Doc)
					}
				}
			}
		}
	}
	return problems
}

// hosted are the parts in which clocks, randomness and sleeping come from the
// host object; realHosts are the files that fill it, the simulator, and other
// packages for tests.
var (
	hosted    = []string{"netfs", "locking", "spool", "delivery"}
	realHosts = []string{"netfs/oshost*.go", "netfs/simfs/*.go", "netfs/netfstest/*.go", "netfs/twofuse/*.go", "netfs/lab/*.go"}
)

var clockCalls = map[string][]string{
	"time": {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
}

var randomPackages = []string{"math/rand", "math/rand/v2", "crypto/rand"}

func oneHostObject(s *source) (problems []string) {
	real := slices.ContainsFunc(realHosts, func(pattern string) bool {
		ok, _ := path.Match(pattern, s.name)
		return ok
	})
	if s.isTest() || real || !withinAny(s.name, hosted) {
		return nil
	}
	for p, spec := range s.imports() {
		if slices.Contains(randomPackages, p) {
			problems = append(problems, s.at(spec, "randomness comes from the host object, not from %s", p))
		}
	}
	return append(problems, s.uses(clockCalls, "time comes from the host object")...)
}

// spoolers are the parts that reach the share through netfs alone.
var spoolers = []string{"spool", "locking", "delivery", "readers"}

var fileCalls = map[string][]string{
	"os": {"Open", "OpenFile", "OpenRoot", "OpenInRoot", "Create", "CreateTemp", "ReadFile", "ReadDir", "WriteFile", "DirFS",
		"Rename", "Remove", "RemoveAll", "Link", "Symlink", "Readlink", "Mkdir", "MkdirAll", "MkdirTemp", "Truncate", "Chmod", "Chtimes"},
}

func noOSFiles(s *source) []string {
	if s.isTest() || !withinAny(s.name, spoolers) {
		return nil
	}
	return s.uses(fileCalls, "files of the spool are opened through netfs")
}

// uses finds the names of packages that are listed in forbidden.
func (s *source) uses(forbidden map[string][]string, why string) (problems []string) {
	local := make(map[string]string) // name in this file → package
	for p, spec := range s.imports() {
		if _, ok := forbidden[p]; !ok {
			continue
		}
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			problems = append(problems, s.at(spec, "%s is not imported with a dot: %s", p, why))
		}
		local[name] = p
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(forbidden[local[x.Name]], sel.Sel.Name) {
			problems = append(problems, s.at(sel, "%s.%s: %s", local[x.Name], sel.Sel.Name, why))
		}
		return true
	})
	return problems
}
