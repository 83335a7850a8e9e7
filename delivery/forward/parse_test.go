package forward_test

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"unicode"

	"github.com/bobbinmail/bobbin/delivery/forward"
)

func TestParse(t *testing.T) {
	const a, m, c, b, d, i = forward.Address, forward.Mailbox, forward.Command, forward.Mbox, forward.Maildir, forward.Include
	type target struct {
		kind  forward.Kind
		value string
	}
	for text, want := range map[string][]target{
		"":                                 nil,
		"# only a comment\n\n , ,\n":       nil,
		"joe@example.org":                  {{a, "joe@example.org"}},
		"\\alice, joe@example.org\r\n":     {{m, "alice"}, {a, "joe@example.org"}},
		"Joe <joe@example.org> (a, b), x":  {{a, "joe@example.org"}, {a, "x"}},
		`"Joe, the first" <joe@x>`:         {{a, "joe@x"}},
		`"|/usr/bin/vacation -a x, alice"`: {{c, "/usr/bin/vacation -a x, alice"}},
		`|"/usr/bin/f a, b"`:               {{c, `"/usr/bin/f a, b"`}},
		`|exec f "#1" (x) <y>, \bob`:       {{c, `exec f "#1" (x) <y>`}, {m, "bob"}},
		`"|echo \"a\\b\""`:                 {{c, `echo "a\b"`}},
		"/var/mail/x\n/home/x/Mail/\n":     {{b, "/var/mail/x"}, {d, "/home/x/Mail"}},
		`"/tmp/with space"`:                {{b, "/tmp/with space"}},
		":Include: /etc/list":              {{i, "/etc/list"}},
		`a(comment (in it) \) )@b`:         {{a, "a@b"}},
	} {
		got, err := forward.Parse(text)
		if err != nil || len(got) != len(want) {
			t.Errorf("%q: %v, %v; want %v", text, got, err, want)
			continue
		}
		for k := range got {
			if (target{got[k].Kind, got[k].Value}) != want[k] {
				t.Errorf("%q: %v, want %v", text, got[k], want[k])
			}
		}
	}
	for _, text := range []string{
		`"open`, "(open", "<open", "a b", "|", `"|"`, "-oQ/tmp", "@x", "x@", "a@b@c", ":include:list", ":include:/", "/", "/a/../b", "\\", "\\-x",
		"a\x00b", "a\x1bb", "\xff", "<a><b>", "a;b", "a\\b c", "ok\nb c", strings.Repeat("x", 321), strings.Repeat("a,", 201), strings.Repeat("\n", forward.MaxSize+1),
	} {
		got, err := forward.Parse(text)
		if !errors.Is(err, forward.ErrSyntax) || got != nil {
			t.Errorf("%.50q: %v, %v", text, got, err)
		}
	}
	if _, err := forward.Parse("a\n\nb c"); err == nil || !strings.HasPrefix(err.Error(), "line 3: ") {
		t.Errorf("%v does not name the line", err)
	}
}

// Whatever a .forward says, no target has what SMTP, an argument list or a path would
// take for something else, and what is written from the targets is read as the same.
func FuzzParse(f *testing.F) {
	f.Add("\\alice, \"|cmd, a\" (x)\n:include:/x\n# c\n/a/b/\n<j@x>")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := forward.Parse(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, target := range list {
			v := target.Value
			if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
				t.Fatalf("%q: target %q", text, v)
			}
			switch target.Kind {
			case forward.Address:
				fmt.Fprintf(&again, "<%s>\n", v)
			case forward.Mailbox:
				fmt.Fprintf(&again, "\\%s\n", v)
			default:
				if target.Kind != forward.Command && (!path.IsAbs(v) || strings.HasSuffix(v, "/") || strings.Contains(v+"/", "/../")) {
					t.Fatalf("%q: file %q", text, v)
				}
				before, after := map[forward.Kind]string{forward.Command: "|", forward.Include: ":include:"}[target.Kind], ""
				if target.Kind == forward.Maildir {
					after = "/"
				}
				fmt.Fprintf(&again, "\"%s\"\n", strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(before+v+after))
			}
			if (target.Kind == forward.Address || target.Kind == forward.Mailbox) && (strings.ContainsAny(v, " \t<>,\"") || v[0] == '-') {
				t.Fatalf("%q: address %q", text, v)
			}
		}
		if again.Len() > forward.MaxSize {
			return
		}
		got, err := forward.Parse(again.String())
		if err != nil || len(got) != len(list) {
			t.Fatalf("%q written as %q: %v", text, again.String(), err)
		}
		for i := range got {
			if got[i].Kind != list[i].Kind || got[i].Value != list[i].Value {
				t.Fatalf("%q: %v comes back as %v", text, list[i], got[i])
			}
		}
	})
}
