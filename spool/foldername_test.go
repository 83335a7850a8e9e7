package spool

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/bobbinmail/bobbin/netfs"
)

// What other Maildir++ programs make of these names is what we make: the
// example of RFC 3501 is among them.
func TestFolderNames(t *testing.T) {
	for _, test := range []struct{ sep, name, dir string }{
		{":", "INBOX", "."},
		{":", "inBox", "."},
		{":", "Work", ".Work"},
		{":", "Work/2026", ".Work.2026"},
		{":", "INBOX/sub", ".INBOX.sub"},
		{":", "~peter/mail/台北/日本語", ".~peter.mail.&U,BTFw-.&ZeVnLIqe-"},
		{":", "Entwürfe", ".Entw&APw-rfe"},
		{":", "Tom & Jerry", ".Tom &- Jerry"},
		{":", "&", ".&-"},
		{":", "😀", ".&2D3eAA-"},
		{":", "👨‍👩‍👧", ".&2D3caCAN2D3caSAN2D3cZw-"},
		{":", "example.com", ".example&AC4-com"},
		{":", ".hidden", ".&AC4-hidden"},
		{":", "a..", ".a&AC4ALg-"},
		{":", "a:b?", ".a:b?"},
		{";", "a:b?", ".a&ADo-b&AD8-"},
		{":", `a\5Cb`, `.a\b`},
		{":", `Entw\C3\BCrfe`, ".Entw\xc3\xbcrfe"},
		{":", `\49NBOX`, ".INBOX"},
		{":", `\69nbox/x`, ".inbox.x"},
		{":", `\70ublic/x`, ".public.x"},
		{":", `a\2E\2Eb`, ".a..b"},
		{":", `\2Ex`, "..x"},
		{":", `a\2E`, ".a."},
		{":", `a\26b`, ".a&b"},
		{":", `\26AGE-`, ".&AGE-"},
		{":", `a\0A`, ".a\n"},
		{":", " a ", ". a "},
	} {
		c := coderFor(test.sep)
		if dir, err := c.dir(test.name); dir != test.dir || err != nil {
			t.Errorf("%q: directory %q, %v; want %q", test.name, dir, err, test.dir)
		}
		if name := test.dir; name != "." && c.exact(name) != test.name {
			t.Errorf("%q: name %q, want %q", test.dir, c.exact(test.dir), test.name)
		}
	}
	for _, name := range []string{
		"", "/", "a/", "/a", "a//b", ".", "..", "a/..", "./a", "a\x00b", "a\nb", "a\x1b", "\u009b", "a\u202eb", "\xff", `a\`, `a\b`, `a\5`, `\2F`, `\00`, `\2E`,
		strings.Repeat("a", 255), strings.Repeat("ü", 100), "\U0010ffff",
	} {
		if dir, err := coderFor(":").dir(name); !errors.Is(err, ErrBadName) {
			t.Errorf("%.40q is in %q, %v", name, dir, err)
		}
	}
	for _, name := range []string{" a", "a ", "a/ b", "\u2003a", `a\41`, "public", "public/a"} {
		if clean, dir, err := coderFor(":").newFolder(name); !errors.Is(err, ErrBadName) {
			t.Errorf("%q can be made as %q in %q, %v", name, clean, dir, err)
		}
	}
	for name, want := range map[string]string{"inbox/A": "INBOX/A", "u\u0308": "ü", "Public": "Public", "a.b": "a.b"} {
		if clean, _, err := coderFor(":").newFolder(name); clean != want || err != nil {
			t.Errorf("%q is made as %q, %v; want %q", name, clean, err, want)
		}
	}
}

// Folders of programs that write UTF-8, or other normal forms, have the names
// that people expect, unless two would have the same.
func TestNamesOfForeignFolders(t *testing.T) {
	c := coderFor(":")
	dirs := []string{".Entw&APw-rfe", ".Entw\xc3\xbcrfe", ".Gru\xcc\x88n", ".Blau", ".&bad", ".x.&AC8-", ".a&AHUDCA-"}
	got := c.names(dirs)
	want := map[string]string{
		"Entwürfe": ".Entw&APw-rfe", `Entw\C3\BCrfe`: ".Entw\xc3\xbcrfe", "Grün": ".Gru\xcc\x88n", "Blau": ".Blau", `\26bad`: ".&bad",
		`x/\26AC8-`: ".x.&AC8-", "aü": ".a&AHUDCA-",
	}
	for name, dir := range want {
		if got[name] != dir {
			t.Errorf("%q is %q, want %q", name, got[name], dir)
		}
	}
	if len(got) != len(dirs) {
		t.Errorf("%d names for %d directories: %q", len(got), len(dirs), got)
	}
}

func FuzzFolderName(f *testing.F) {
	for _, s := range []string{"INBOX", "Work/2026", "Entwürfe", "a.b", `a\5Cb`, "&AGE-", "a&b", "..", "public/x", "😀", "u\u0308", "a:b", "\xff", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, sep := range []string{":", ";"} {
			nameRoundTrip(t, coderFor(sep), sep, s)
		}
	})
}

// nameRoundTrip takes s for a name and for a directory.
func nameRoundTrip(t *testing.T, c nameCoder, sep, s string) {
	clean, dir, err := c.newFolder(s)
	if err == nil {
		if len(dir) > 255 || !netfs.ValidPath(dir) || dir != "." && dir[0] != '.' || strings.IndexFunc(dir, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			t.Errorf("%q is made in %q", s, dir)
		}
		if sep == ";" && (strings.ContainsAny(dir, `:*?<>|"\`) || dir != "." && strings.TrimRight(dir, ". ") != dir) {
			t.Errorf("%q is made in %q, which Windows does not take", s, dir)
		}
		if clean != Inbox && (c.exact(dir) != clean || !norm.NFC.IsNormalString(clean)) {
			t.Errorf("%q is made in %q, whose name is %q", clean, dir, c.exact(dir))
		}
	}
	foreign := "." + s
	if s == "" || s == "." || len(foreign) > 255 || strings.ContainsAny(s, "/\x00") {
		return
	}
	exact := c.exact(foreign)
	if !utf8.ValidString(exact) || strings.IndexFunc(exact, func(r rune) bool { return !printable(r) }) >= 0 {
		t.Errorf("%q is shown as %q", foreign, exact)
	}
	if again, err := c.dir(exact); again != foreign || err != nil {
		t.Errorf("%q has the name %q, which is %q, %v", foreign, exact, again, err)
	}
	if fair, ok := c.fair(foreign); ok {
		if dir, err := c.dir(fair); err != nil && len(foreign) < 60 || strings.EqualFold(fair, Inbox) || dir == "." {
			t.Errorf("%q is fairly %q, which is %q, %v", foreign, fair, dir, err)
		}
	}
	if n := c.names([]string{foreign, ".x"}); len(n) != 2 && !slices.Contains([]string{".x"}, foreign) {
		t.Errorf("%q and .x have the names %q", foreign, n)
	}
}
