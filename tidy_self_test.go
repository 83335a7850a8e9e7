package bobbin_test

import (
	"strings"
	"testing"
)

// TestRulesCatch shows each rule a file that breaks it, as often as problems
// says, and files that keep it.
func TestRulesCatch(t *testing.T) {
	tested := make(map[string]bool)
	for _, test := range ruleTests {
		for _, rule := range sourceRules {
			if rule.name != test.rule {
				continue
			}
			tested[rule.name] = tested[rule.name] || test.problems > 0
			s, err := parseSource(test.file, []byte("package x\n"+test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := rule.check(s); len(got) != test.problems {
				t.Errorf("%s: %s\n%.300q\n%d problems, want %d: %q", test.rule, test.file, test.text, len(got), test.problems, got)
			}
		}
	}
	for _, rule := range sourceRules {
		if !tested[rule.name] {
			t.Errorf("no test shows that the rule %q catches anything", rule.name)
		}
	}
}

func importing(paths ...string) string {
	var b strings.Builder
	for _, p := range paths {
		b.WriteString("import _ \"" + strings.Replace(p, "OWN", module, 1) + "\"\n")
	}
	return b.String()
}

var (
	lines   = func(n int) string { return strings.Repeat("\n", n) }
	clock   = "import \"time\"\nvar a, b = time.Now(), time.Since\n"
	osFiles = "import \"os\"\nvar _, _ = os.Open, os.ReadFile\n"
)

var ruleTests = []struct {
	rule     string
	file     string
	text     string
	problems int
}{
	{"import direction", "netfs/a.go", importing("OWN/spool", "OWN/netfs/b", "os"), 1},
	{"import direction", "netfs/a_test.go", importing("OWN/locking"), 1},
	{"import direction", "locking/a.go", importing("OWN/netfs", "OWN/spool/commitlog"), 1},
	{"import direction", "spool/log/a.go", importing("OWN/netfs", "OWN/locking", "OWN/spool", "OWN/delivery"), 1},
	{"import direction", "delivery/a.go", importing("OWN/spool", "OWN/readers/imap"), 1},
	{"import direction", "readers/pop/a.go", importing("OWN/spool", "OWN/delivery"), 1},
	{"import direction", "readers/pop/a.go", importing("OWN/readers/imap", "OWN/readers/server"), 1},
	{"import direction", "readers/server/a.go", importing("OWN/readers/imap"), 0},
	{"import direction", "readers/imap/codec/a.go", importing("OWN/readers/imap"), 0},
	{"import direction", "cmd/bobbin/a.go", importing("OWN/spool", "OWN/delivery", "OWN/readers/pop", "OWN/netfs"), 0},
	{"import direction", "cmd/bobbin/a.go", importing("OWN/netfsx"), 1},
	{"import direction", "a_test.go", importing("OWN/spool"), 1},

	{"test-only imports", "spool/a.go", importing("OWN/netfs/simfs", "testing/fstest", "github.com/rogpeppe/go-internal/testscript"), 3},
	{"test-only imports", "spool/a_test.go", importing("OWN/netfs/simfs", "testing"), 0},
	{"test-only imports", "netfs/netfstest/a.go", importing("OWN/netfs/simfs", "testing"), 0},

	{"file length", "spool/a.go", lines(500), 1},
	{"file length", "spool/a_test.go", lines(499), 0},

	{"function length", "spool/a.go", "func f() {" + lines(70) + "}", 1},
	{"function length", "spool/a.go", "func f() {" + lines(69) + "}", 0},
	{"function length", "spool/a_test.go", "var f = func() {" + lines(70) + "}", 1},

	{"interface size", "spool/a.go", "type I interface { A(); B(); C(); D(); E(); F() }", 1},
	{"interface size", "spool/a.go", "func f(i interface { io.Reader; io.Writer; C(); D(); E(); F() })", 1},
	{"interface size", "spool/a.go", "type I interface { A(); B(); C(); D(); E() }", 0},
	{"interface size", "netfs/a.go", "type FS interface { A(); B(); C(); D(); E(); F() }", 0},
	{"interface size", "spool/a.go", "type FS interface { A(); B(); C(); D(); E(); F() }", 1},

	{"parameter count", "spool/a.go", "func f(a, b int, c string, d, e bool)", 1},
	{"parameter count", "spool/a.go", "type I interface { F(int, int, int, int, int) }", 1},
	{"parameter count", "spool/a.go", "func f(ctx context.Context, a, b int, c, d bool)", 0},
	{"parameter count", "spool/a.go", "func f(a int, ctx context.Context, b, c, d bool)", 1},
	{"parameter count", "spool/a_test.go", "func f(t *testing.T, a, b, c, d bool)", 0},

	{"doc comments", "spool/a.go", "func F()\ntype T int\nconst C = 1\nvar V, w = 1, 2\nfunc (T) M()\nfunc (*G[A]) M()", 6},
	{"doc comments", "spool/a.go", "// F is.\nfunc F()\n// T is.\ntype T int\n// These are.\nconst (\n\tA = 1\n\tB = 2\n)\nfunc (t) M()\nvar (\n\tV int // is\n)", 0},
	{"doc comments", "spool/a.go", "// Some types.\ntype (\n\tA int\n\t// B is.\n\tB int\n)", 1},
	{"doc comments", "spool/a_test.go", "func F()", 0},

	{"one host object", "spool/a.go", clock, 2},
	{"one host object", "netfs/put.go", clock, 2},
	{"one host object", "locking/a.go", "import t \"time\"\nfunc f() { t.Sleep(t.Second) }", 1},
	{"one host object", "delivery/a.go", importing("math/rand/v2", "crypto/rand", "math/rand"), 3},
	{"one host object", "spool/a.go", "import . \"time\"\n", 1},
	{"one host object", "spool/a.go", "import \"time\"\nvar d = time.Second\nvar h struct{ Now int }\nvar n = h.Now", 0},
	{"one host object", "spool/a_test.go", clock, 0},
	{"one host object", "netfs/oshost_linux.go", clock, 0},
	{"one host object", "netfs/simfs/a.go", clock, 0},
	{"one host object", "readers/a.go", clock, 0},
	{"one host object", "cmd/bobbin/a.go", clock, 0},

	{"no os files", "spool/a.go", osFiles, 2},
	{"no os files", "readers/imap/a.go", osFiles, 2},
	{"no os files", "delivery/a.go", "import \"os\"\nvar _, _ = os.Getenv, os.ErrExist", 0},
	{"no os files", "netfs/a.go", osFiles, 0},
	{"no os files", "spool/a_test.go", osFiles, 0},
}
