package main

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
)

// path is a name below the spool; the pattern has exactly one match.
func (r *rig) path(pattern string) string {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.dir, pattern))
	if err != nil || len(names) != 1 {
		r.t.Fatalf("%s is %q, %v; want one name", pattern, names, err)
	}
	return names[0]
}

func (r *rig) do(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// tree writes down everything below dir: names, modes, times, contents. It
// follows no link.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		i, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%q %v %d %d", name, i.Mode(), i.ModTime().UnixNano(), i.Size())
		var content []byte
		switch {
		case i.Mode().IsRegular():
			content, err = os.ReadFile(name)
		case i.Mode()&fs.ModeSymlink != 0:
			var target string
			target, err = os.Readlink(name)
			content = []byte(target)
		}
		fmt.Fprintf(&b, " %x\n", sha256.Sum256(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// wantSame checks that a command changed nothing.
func wantSame(t *testing.T, before, after string) {
	t.Helper()
	if before == after {
		return
	}
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	t.Errorf("changed:\n- %s\n+ %s",
		strings.Join(slices.DeleteFunc(slices.Clone(was), func(s string) bool { return slices.Contains(is, s) }), "\n- "),
		strings.Join(slices.DeleteFunc(is, func(s string) bool { return slices.Contains(was, s) }), "\n+ "))
}

// nested is a message in a message, or a part in a part, depth times.
func nested(depth int, part func(i int) string) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(part(i))
	}
	return b.String() + "\ninnermost\n"
}

func TestBadMessages(t *testing.T) {
	const nasty = "\x1b[31m\x1b]0;title\a\u009b2J\x9b2J\u202eabc\u2066\u200f\u061c\x7f\b\x00"
	line := 5 << 20
	if os.Getenv("BOBBIN_TEST_FULL") != "" {
		line = 100 << 20
	}
	for _, test := range []struct{ name, text string }{
		{"zero bytes", ""},
		{"one line end", "\n"},
		{"one CR", "\r"},
		{"no header", "just text\nwithout a header\n"},
		{"no body", "Subject: x\n"},
		{"no line end", "Subject: x"},
		{"colons", ":\n: :\n:x\n\n:\n"},
		{"NUL", "Subject: a\x00b\nFrom: \x00@x\n\nc\x00d\n"},
		{"8-bit", "Subject: gr\xfc\xdfe\nFrom: J\xf6rg <j@x>\n\nsch\xf6n \xff\xfe\n"},
		{"bare CR", "Subject: a\rb\n\nc\rd\r\r"},
		{"only CR", "Subject: a\rFrom: b\r\rtext\r"},
		{"CRLF", "Subject: a\r\n\r\nb\r\n"},
		{"CRLF and LF", "Subject: a\r\n\nb\r\n"},
		{"CR CRLF", "Subject: a\r\r\n\r\r\nb\r\r\n"},
		{"envelope", "From joe@example.org Mon Nov 23 04:00:00 2026\r\nSubject: a\n\n"},
		{"no envelope", "From now on I write without a header.\nJoe\n"},
		{"long line", "Subject: x\n\n" + strings.Repeat("x", line) + "\n"},
		{"long first line", "Subject: " + strings.Repeat("x ", 1<<19) + "\nFrom: y@x\n\ntext\n"},
		{"long header", strings.Repeat("X-Field: value\n", 1<<16) + "Subject: last\n\ntext\n"},
		{"endless header", strings.Repeat("X-Field: value\n", 1<<17)},
		{"nested parts", nested(10000, func(i int) string {
			return fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		})},
		{"nested messages", nested(10000, func(int) string { return "Content-Type: message/rfc822\n\n" })},
		{"nested comments", "From: " + strings.Repeat("(", 50000) + "\nTo: " + strings.Repeat("<", 50000) + "\n\n"},
		{"many parts", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 20000)},
		{"no boundary", "Content-Type: multipart/mixed\n\n--\ntext\n----\n"},
		{"control characters", "Subject: " + nasty + "\nFrom: " + nasty + " <a@x>\nDate: " + nasty + "\nMessage-ID: <" + nasty + ">\n\n" + nasty + "\n"},
		{"encoded control characters", "Subject: =?utf-8?Q?=1B[31m=C2=9B2J=E2=80=AE=0A=0D=E2=81=A6?=\nFrom: =?iso-8859-1?Q?=1B=9B=07?= <a@x>, =?utf-8?B?G1szMW3igK4K?= <b@x>\n\n"},
		{"control characters in a charset", "Subject: =?iso-2022-jp?B?GyRCGyhCGw==?= =?utf-7?Q?+ABsAWw-?=\nContent-Type: text/plain; charset=utf-16be\nContent-Transfer-Encoding: base64\n\nABsAWwAzIC4=\n"},
		{"control characters in a name", "Content-Type: application/x-\x1b[m; name=\"\x1b[2J\u202egpj.exe\"\nContent-Disposition: attachment; filename*=utf-8''%1B%5B2J%E2%80%AE\n\nx\n"},
		{"line separators", "Subject: a\u2028b\u2029c\u0085d\ve\n\n"},
		{"unknown codings", "Content-Type: text/plain; charset=\x1bno\nContent-Transfer-Encoding: x-\x1bno\nSubject: =?no?X?y?=\n\ntext\n"},
		{"bad base64", "Content-Transfer-Encoding: base64\n\n!!!! ==== A\n=\n"},
	} {
		t.Run(test.name, func(t *testing.T) { newRig(t).through(test.text) })
	}
}

// Commands that work on alice's mailbox, and on the accounts.
var (
	mailboxCommands = [][]string{
		{"list"}, {"list", "--json"}, {"search", "hello"}, {"show", "1"}, {"show", "--raw", "1"}, {"flag", "+flagged", "1"}, {"flag", "-seen", "1-*"},
		{"delete", "1"}, {"expire", "before:2000-01-01", "seen"}, {"copy", "1", "inbox"}, {"move", "1", "INBOX"}, {"delete", "1", "--expunge"}, {"log"}, {"log", "--json"}, {"watch", "--timeout", "1ms"},
	}
	accountCommands = [][]string{
		{"user", "list"}, {"user", "list", "--json"}, {"user", "add", "carol"}, {"user", "delete", "alice"},
		{"user", "passwd", "alice", "--password-stdin"},
	}
)

// damages are what may stand in the place of a file.
var damages = []struct {
	name string
	text func(old string) string
	make func(name string) error
}{
	{name: "garbage", text: func(string) string { return "\x1b[31mgarbage\xff" }},
	{name: "one bit", text: func(old string) string { return old[:10] + string(old[10]^1) + old[11:] }},
	{name: "cut", text: func(old string) string { return old[:len(old)/2] }},
	{name: "longer", text: func(old string) string { return old + "x" }},
	{name: "directory", make: func(name string) error { return os.Mkdir(name, 0o700) }},
	{name: "FIFO", make: func(name string) error { return syscall.Mkfifo(name, 0o600) }},
	{name: "link", make: func(name string) error { return os.Symlink("/etc/passwd", name) }},
}

// TestDamagedLogs: a log that cannot be read to its end is not changed, and
// check says which file it is, and goes on to the other mailboxes.
func TestDamagedLogs(t *testing.T) {
	for slots, record := range map[string]string{"symlink": "", "link": "", "directory": "/r"} {
		r := newRig(t, "--slots", slots)
		r.shortRecords()
		for range 10 { // enough for a payload then
			r.must("Subject: x\n\n", "deliver", "alice")
		}
		r.must("", "list")
		r.must("", "flag", "+seen", "1")
		r.mail("bob", "Subject: lost\n\n")
		r.do(os.Remove(r.path("users/bob/new/*")))
		for _, victim := range []struct {
			file, named string
			commands    [][]string
		}{
			{"users/alice/bobbin/g.0/3" + record, "bobbin/g.0/3", mailboxCommands},
			{"users/alice/bobbin/p/2.*", "bobbin/p/2.", mailboxCommands},
			{"accounts/g.0/2" + record, "accounts/g.0/2", accountCommands},
		} {
			file := r.path(victim.file)
			for _, d := range damages {
				t.Run(slots+"/"+victim.file+"/"+d.name, func(t *testing.T) {
					r := &rig{t, r.dir}
					undo := r.replace(file, d.text, d.make)
					defer undo()
					r.wantDamage(victim.named, victim.commands)
				})
			}
		}
	}
}

// shortRecords makes the spool one whose records are as short as may be.
func (r *rig) shortRecords() {
	r.t.Helper()
	marker := r.path("bobbin.toml")
	text, err := os.ReadFile(marker)
	r.do(err)
	text = regexp.MustCompile(`record_max = \d+`).ReplaceAll(text, []byte("record_max = 500"))
	r.do(os.WriteFile(marker, text, 0o600))
}

// replace puts something else where a file was.
func (r *rig) replace(name string, text func(old string) string, make func(name string) error) (undo func()) {
	r.t.Helper()
	aside := r.dir + ".aside"
	put := func(s string) error { return os.WriteFile(name, []byte(s), 0o600) }
	old, err := os.Readlink(name)
	if err == nil {
		put = func(s string) error { return os.Symlink(s, name) }
	} else {
		b, err := os.ReadFile(name)
		r.do(err)
		old = string(b)
	}
	r.do(os.Rename(name, aside))
	if text != nil {
		r.do(put(text(old)))
	} else {
		r.do(make(name))
	}
	return func() {
		r.do(os.RemoveAll(name))
		r.do(os.Rename(aside, name))
	}
}

func (r *rig) wantDamage(named string, commands [][]string) {
	t := r.t
	t.Helper()
	before := tree(t, r.dir)
	for _, words := range commands {
		r.run("password\n", words...).wantComplaint(t, exitFailure, named)
		wantSame(t, before, tree(t, r.dir))
	}
	if saved := r.dir + ".saved"; commands[0][0] == "list" {
		r.run("", "save", "1", saved).wantComplaint(t, exitFailure, named)
		if _, err := os.Lstat(saved); !os.IsNotExist(err) {
			t.Errorf("save made %s: %v", saved, err)
		}
	}
	got, dry := r.run("", "check"), r.run("", "repair", "--dry-run")
	got.wantComplaint(t, exitFailure, "things wrong")
	for _, want := range []string{named, "WRONG: bob/"} {
		if !strings.Contains(got.out, want) || !strings.Contains(dry.out+dry.err, named) {
			t.Errorf("check does not speak of %s: %q; a dry repair says %q %q", want, got.out, dry.out, dry.err)
		}
	}
	wantSame(t, before, tree(t, r.dir))
}

// A slot far beyond the others does not make check count up to it.
func TestFarSlot(t *testing.T) {
	r := newRig(t, "--slots", "symlink")
	r.do(os.Symlink("garbage", filepath.Join(r.dir, "users/alice/bobbin/g.0/200000")))
	r.run("", "list").wantComplaint(t, exitFailure, "bobbin/g.0/200000")
	got := r.run("", "check")
	if n := strings.Count(got.out, "\n"); got.code != exitFailure || n == 0 || n > 1100 {
		t.Errorf("check: exit code %d and %d lines", got.code, n)
	}
}

// TestBadMarker: without a marker that all hosts understand nothing is read
// and nothing written.
func TestBadMarker(t *testing.T) {
	is := func(text string) func(string) string { return func(string) string { return text } }
	edit := func(old, new string) func(string) string {
		return func(text string) string { return strings.Replace(text, old, new, 1) }
	}
	remove := func(string) error { return nil }
	r := newRig(t)
	r.mail("alice", "Subject: x\n\n")
	for _, test := range []struct {
		name, says string
		code       int
		text       func(string) string
		make       func(string) error
	}{
		{"garbage", "bobbin.toml: corrupt", exitFailure, is("garbage"), nil},
		{"control characters", "bobbin.toml: corrupt", exitFailure, is("\x00\x1b[31m = \xff\u202e"), nil},
		{"empty", "bobbin.toml: corrupt", exitFailure, is(""), nil},
		{"unknown key", "bobbin.toml: corrupt: unknown key colour", exitFailure, edit("slots", "colour = 1\nslots"), nil},
		{"newer", "bobbin.toml: written by a newer version", exitConfig, edit("level = 2", "level = 3"), nil},
		{"newer with a new key", "bobbin.toml: written by a newer version", exitConfig, edit("level = 2", "level = 3\ncolour = 1"), nil},
		{"no level", "bobbin.toml: corrupt: level", exitFailure, edit("level = 2", ""), nil},
		{"short share", "bobbin.toml: corrupt: share", exitFailure, edit("share = \"", "share = \"\" # "), nil},
		{"unknown way", "bobbin.toml: corrupt: slots", exitFailure, edit("\"symlink\"", "\"pigeon\""), nil},
		{"long records", "bobbin.toml: corrupt: record_max", exitFailure, edit("record_max = ", "record_max = 9"), nil},
		{"slash", "bobbin.toml: corrupt: separator", exitFailure, edit("\":\"", "\"/\""), nil},
		{"huge", "bobbin.toml", exitFailure, is(strings.Repeat("#", 1<<20)), nil},
		{"directory", "bobbin.toml", exitFailure, nil, damages[4].make},
		{"FIFO", "bobbin.toml", exitFailure, nil, damages[5].make},
		{"link", "bobbin.toml", exitFailure, nil, damages[6].make},
		{"missing", "there is no bobbin.toml; is the share mounted?", exitTempFail, nil, remove},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &rig{t, r.dir}
			defer r.replace(filepath.Join(r.dir, "bobbin.toml"), test.text, test.make)()
			before := tree(t, r.dir)
			for _, words := range slices.Concat(mailboxCommands, accountCommands, [][]string{{"quota", "--recount"}, {"check"}, {"check", "--user", "alice"}, {"repair", "--user", "alice"}}) {
				r.run("password\n", words...).wantComplaint(t, test.code, test.says)
			}
			r.run("Subject: x\n\n", "deliver", "alice").wantComplaint(t, exitTempFail, test.says)
			wantSame(t, before, tree(t, r.dir))
		})
	}
}

// TestBadNames: a name that could lead elsewhere is refused before anything
// is looked for or made.
func TestBadNames(t *testing.T) {
	r := newRig(t)
	r.mail("alice", "Subject: x\n\n")
	before := tree(t, filepath.Dir(r.dir))
	refused := func(code int, words ...string) {
		t.Helper()
		r.run("password\n", words...).wantComplaint(t, code, "name not allowed")
		wantSame(t, before, tree(t, filepath.Dir(r.dir)))
	}
	bad := []string{
		".", "..", "/", "a/b", "../bob", "bob/../alice", "../../outside", "/etc", ".hidden", "a..b", "a.",
		"a\x00", "\x00", "a\nb", "a\x1b[31mb", "a\u009bb", "\u202ealice", "\xff", strings.Repeat("a", 201),
	}
	for _, name := range append(bad, "-x", "_x", " alice", "alice ", "a b", "a\\b", "a:b", "ü", "con", "NUL.x", "lpt1", strings.Repeat("a", 65)) {
		for _, command := range []string{"add", "delete", "passwd"} {
			words := []string{"user", command, "--", name}
			if command != "delete" {
				words = slices.Insert(words, 2, "--password-stdin")
			}
			refused(exitUsage, words...)
		}
		for _, words := range slices.Concat(mailboxCommands, [][]string{{"quota", "--recount"}, {"check"}, {"repair"}, {"repair", "--restored"}}) {
			refused(exitUsage, append([]string{"--user", name}, words...)...)
		}
		refused(exitNoUser, "deliver", "--", name)
		refused(exitTempFail, "deliver", "--", "alice", name)
	}
	folders := []string{".", "..", "/", "../bob", "bob/../alice", "../../outside", "/etc", "a/", "a//b", "public", "public/", "public/..", "public/../users/bob", "a\\b",
		`a\2F..`, `\2E`, `\00`, "a\x00", "\x00", "a\nb", "a\x1b[31mb", "a\u009bb", "\u202ealice", "\xff", strings.Repeat("a", 255),
	}
	for _, name := range folders {
		for _, words := range slices.Concat(mailboxCommands, [][]string{{"check", "--user", "alice"}, {"repair", "--user", "alice", "--dry-run"}}) {
			refused(exitUsage, append([]string{"--folder", name}, words...)...)
		}
		refused(exitTempFail, "deliver", "--folder", name, "alice")
		for _, command := range []string{"copy", "move"} {
			refused(exitUsage, command, "--", "1", name)
		}
	}
	for _, sender := range []string{"a\nBcc: b", "a\rb", "a\x00b", "a\x1bb", "a\u009bb"} {
		refused(exitTempFail, "deliver", "-f", sender, "alice")
	}
}

// secret is what is in the files that planted links lead to.
const secret = "SECRET"

// wantNothingFrom runs commands and checks that none touches what is outside,
// or shows it.
func (r *rig) wantNothingFrom(outside []string, commands [][]string) {
	t := r.t
	t.Helper()
	trees := func() (all string) {
		for _, dir := range outside {
			all += tree(t, dir)
		}
		return all
	}
	before := trees()
	for _, words := range commands {
		got := r.run("Subject: new\n\n", words...)
		got.wantSafe(t, words...)
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("bobbin %q shows what a link leads to: %+v", words, got)
		}
		if got.code != 0 && got.err == "" && words[0] != "search" { // which found nothing
			t.Errorf("bobbin %q: exit code %d without a word", words, got.code)
		}
		wantSame(t, before, trees())
	}
}

// TestLinkedDirectories: a directory of the spool that became a link to
// another one, however well that one would fit, is not entered. Other
// mailboxes go on, and check goes on to them.
func TestLinkedDirectories(t *testing.T) {
	for _, test := range []struct{ dir, named string }{
		{"users/alice", "alice"}, {"users/alice/new", "new"}, {"users/alice/cur", "cur"}, {"users/alice/tmp", "tmp"},
		{"users/alice/bobbin", "bobbin"}, {"users/alice/bobbin/g.0", "bobbin/g.0"}, {"users/alice/bobbin/p", "bobbin/p"},
		{"users/alice/bobbin/x", ""}, {"users/alice/bobbin/hold", ""},
		{"accounts", "accounts"}, {"accounts/g.0", "accounts/g.0"}, {"accounts/p", "accounts/p"}, {"trash", ""},
	} {
		for _, where := range []string{"outside", "bob"} {
			t.Run(test.dir+" to "+where, func(t *testing.T) {
				r, outside := newRig(t), newRig(t)
				r.must("", "user", "add", "carol")
				r.must("", "user", "add", "dave")
				r.mail("alice", "Subject: kept\n\n")
				r.mail("carol", "Subject: lost\n\n")
				r.do(os.Remove(r.path("users/carol/new/*")))
				outside.mail("alice", "Subject: "+secret+"\n\n"+secret+"\n")
				r.mail("bob", "Subject: "+secret+"\n\n"+secret+"\n")
				name, target := filepath.Join(r.dir, test.dir), filepath.Join(outside.dir, test.dir)
				if where == "bob" {
					target = filepath.Join(r.dir, strings.Replace(test.dir, "alice", "bob", 1))
				}
				target, err := filepath.Rel(filepath.Dir(name), target)
				r.do(err)
				r.do(os.RemoveAll(name))
				r.do(os.Symlink(target, name))
				away := []string{outside.dir, filepath.Join(r.dir, "users/bob")}
				r.wantNothingFrom(away, slices.Concat(mailboxCommands, [][]string{
					{"deliver", "alice"}, {"deliver", "--queue-id", "1", "alice", "dave"}, {"user", "add", "eve"}, {"user", "list"},
				}))
				r.must("", "list", "--user", "dave")
				got := r.run("", "check")
				if got.code != exitFailure || !strings.Contains(got.out+got.err, test.named) || !strings.Contains(got.out, "WRONG: carol/") {
					t.Errorf("check: exit code %d, %q, %q; want %d, %s and the damage of carol", got.code, got.out, got.err, exitFailure, test.named)
				}
				r.wantNothingFrom(away, [][]string{{"check"}, {"check", "--json"}, {"user", "delete", "alice"}})
			})
		}
	}
}

// TestPlantedFiles: what is no regular file is no message, whatever its name
// and though a message had it before, and keeps nobody from the messages
// beside it.
func TestPlantedFiles(t *testing.T) {
	for _, kind := range []string{"link outside", "link to bob", "link to nothing", "FIFO", "directory", "full directory"} {
		for _, name := range []string{"known", "new/plain", "cur/plain:2,S", "new/1700000000.%s.x,S=1,W=1", "cur/1700000000.%s.x,S=1,W=1:2,S"} {
			t.Run(kind+"/"+strings.Replace(name, "%s", "own", 1), func(t *testing.T) {
				r, outside := newRig(t), newRig(t)
				outside.mail("bob", "Subject: "+secret+"\n\n"+secret+"\n")
				r.mail("bob", "Subject: "+secret+"\n\n"+secret+"\n")
				r.mail("alice", "Subject: replaced\n\n")
				known := r.path("users/alice/new/*")
				r.mail("alice", "Subject: kept\n\n")
				name := filepath.Join(r.dir, "users/alice", strings.Replace(name, "%s", strings.Repeat("a", netfs.TokenLen), 1))
				if strings.HasSuffix(name, "known") {
					name = known
					r.do(os.Remove(name))
				}
				r.do(map[string]func() error{
					"link outside":    func() error { return os.Symlink(outside.path("users/bob/new/*"), name) },
					"link to bob":     func() error { return os.Symlink("../../bob/new/"+filepath.Base(r.path("users/bob/new/*")), name) },
					"link to nothing": func() error { return os.Symlink("nothing", name) },
					"FIFO":            func() error { return syscall.Mkfifo(name, 0o600) },
					"directory":       func() error { return os.Mkdir(name, 0o700) },
					"full directory":  func() error { return os.MkdirAll(filepath.Join(name, "sub"), 0o700) },
				}[kind]())
				away := []string{outside.dir, filepath.Join(r.dir, "users/bob")}
				r.wantNothingFrom(away, slices.Concat(mailboxCommands[:6], [][]string{{"show", "2"}, {"show", "2", "--raw"}, {"log"}, {"check"}}))
				list, check := r.run("", "list"), r.run("", "check")
				if !strings.Contains(list.out, " kept\n") {
					t.Errorf("list: exit code %d, %q, %q; want the message that is there", list.code, list.out, list.err)
				}
				if list.code != 0 && (check.code != exitFailure || !strings.Contains(check.out, filepath.Base(name)[:5])) {
					t.Errorf("list ends with %d, %q, and check with %d: %q", list.code, list.err, check.code, check.out)
				}
				r.wantNothingFrom(away, [][]string{{"delete", "--expunge", "1-*"}, {"delete", "--expunge", "1-*"}, {"list"}, {"deliver", "alice"}, {"check"}})
			})
		}
	}
}

// TestOddNames: files that other programs left are messages, by whatever name
// they go, and no name reaches the terminal as it is.
func TestOddNames(t *testing.T) {
	for _, name := range []string{
		"a\nb", "\n", "a\x1b[31mb", "a\x07", "a\u009bb", "a\u202eb", "a\xffb", "\x9b", "a b | =% x", "%0A", ":", ":2,", "=", "-x", "ü", "a\\b",
		strings.Repeat("x", 255), "1700000000", "-1.x.y", "1.x,S=-5", "1.x,S=99999999999999999999", ".x\x1b", "1." + strings.Repeat("a", netfs.TokenLen) + ".x,S=1,W=1",
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.mail("alice", "Subject: kept\n\n")
			r.do(os.WriteFile(filepath.Join(r.dir, "users/alice/new", name), []byte("Subject: odd\n\n"), 0o600))
			want := map[bool]int{true: 1, false: 2}[name[0] == '.'] // a hidden file is none
			for _, words := range slices.Concat(mailboxCommands[:6], [][]string{{"show", "2"}, {"flag", "+seen", "1-*"}, {"list"}, {"log"}, {"log", "--json"}, {"check"}}) {
				got := r.run("", words...)
				got.wantSafe(t, words...)
				finds := words[0] != "search" || got.code != 1 || got.err != "" // nothing says hello
				if got.code != 0 && finds && (want == 2 || words[1] != "2") {
					t.Errorf("bobbin %q: exit code %d: %q", words, got.code, got.err)
				}
				if n := strings.Count(got.out, "\n"); words[0] == "list" && len(words) == 1 && n != want {
					t.Errorf("%d lines, want %d: %q", n, want, got.out)
				}
			}
			got := r.run("", "delete", "--expunge", "1-*")
			if left := r.must("", "list"); got.code != 0 || left != "" {
				t.Errorf("expunged with exit code %d, %q; left: %q", got.code, got.err, left)
			}
		})
	}
}
