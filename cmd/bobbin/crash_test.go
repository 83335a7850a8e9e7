package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// simEnv is the environment of a command that runs on a simulated host.
func simEnv(h *netfs.Host, stdin string) (environment, *bytes.Buffer) {
	out := new(bytes.Buffer)
	return environment{
		Stdin: strings.NewReader(stdin), Stdout: out, Stderr: out,
		Getenv: func(name string) string {
			return map[string]string{"BOBBIN_SPOOL": "sim"}[name]
		},
		Login:   func() (string, error) { return "alice", nil },
		MakeDir: func(string) error { return syscall.EEXIST },
		Host:    func(context.Context, string) (*netfs.Host, error) { return h, nil },
		Probe:   func(context.Context, *netfs.Host, string) (*probe.Report, error) { return new(probe.Report), nil },
		Account: func(context.Context, string) (account, error) { return account{uid: 1, home: "/home"}, nil },
		MailRoot: func(ctx context.Context, m mailRoot, _ account) (*netfs.Host, error) {
			dir := strings.TrimPrefix(m.Base, "/") + "/" + m.Dir
			if err := netfs.MkdirPrivate(ctx, h, h.Share, dir); err != nil {
				return nil, err
			}
			f, err := h.Share.Sub(ctx, dir)
			if err != nil {
				return nil, err
			}
			root := *h
			root.Share = f
			return &root, nil
		},
	}, out
}

// bobbin runs one command without faults and wants it to end well.
func bobbin(t *testing.T, h *netfs.Host, stdin string, words ...string) string {
	t.Helper()
	env, out := simEnv(h, stdin)
	if code := run(t.Context(), words, env); code != 0 {
		t.Fatalf("bobbin %s: exit code %d: %s", strings.Join(words, " "), code, out)
	}
	return out.String()
}

// crashTest is a command that is broken off at each of its operations.
type crashTest struct {
	name  string
	setup func(t *testing.T, h *netfs.Host)
	words []string
	stdin string
	// act, if set, is done instead of a command.
	act func(ctx context.Context, h *netfs.Host) (code int)
	// again are the exit codes that the same command may have afterwards.
	again []int
	// verify looks at the share after that.
	verify func(t *testing.T, h *netfs.Host, was outcome)
	// recordMax is the share's longest record, if not the usual one.
	recordMax int
}

// outcome is how the broken command ended.
type outcome struct {
	ok        bool           // it reported success
	delivered map[string]int // files in each user's new/ at that time
}

func makeSpool(t *testing.T, h *netfs.Host) {
	bobbin(t, h, "", "init", "sim")
	bobbin(t, h, "", "user", "add", "alice")
	bobbin(t, h, "", "user", "add", "bob")
}

func makeMail(t *testing.T, h *netfs.Host) {
	makeSpool(t, h)
	for i := range 3 {
		bobbin(t, h, fmt.Sprintf("Subject: %d\n\n", i), "deliver", "alice")
	}
	bobbin(t, h, "", "flag", "+flagged", "1")
}

// makeArchive makes mail with a keyword, and another folder.
func makeArchive(t *testing.T, h *netfs.Host) {
	makeMail(t, h)
	bobbin(t, h, "", "flag", "+kw:work", "1-2")
	if err := h.Share.Mkdir(t.Context(), "users/alice/.Archive", 0o700); err != nil {
		t.Fatal(err)
	}
}

// makeLevel1 makes mail in a spool of the first feature level.
func makeLevel1(t *testing.T, h *netfs.Host) {
	makeMail(t, h)
	const marker = "bobbin.toml"
	b, err := netfs.ReadFile(t.Context(), h.Share, marker, 1<<10)
	if err == nil {
		err = h.Share.Remove(t.Context(), marker)
	}
	if err == nil {
		err = netfs.WriteFile(t.Context(), h.Share, marker, bytes.Replace(b, []byte("level = 2"), []byte("level = 1"), 1))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// makeFolders makes a folder and two below it, with a message in each.
func makeFolders(t *testing.T, h *netfs.Host) {
	makeSpool(t, h)
	for _, name := range []string{"A", "A/x", "A/y"} {
		bobbin(t, h, "", "folder", "create", name)
		bobbin(t, h, "Subject: "+name+"\n\n", "deliver", "--folder", name, "alice")
	}
}

// folderNames lists alice's folders without their counts.
func folderNames(t *testing.T, h *netfs.Host) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(bobbin(t, h, "", "folder", "list")) {
		b.WriteString(strings.Join(strings.Fields(line)[2:], " ") + "\n")
	}
	return b.String()
}

// folderCount counts the messages of a folder of alice's, and those that have
// the keyword work.
func folderCount(t *testing.T, h *netfs.Host, folder string) (all, work int) {
	t.Helper()
	list := bobbin(t, h, "", "list", "--json", "--folder", folder)
	return strings.Count(list, `"uid"`), strings.Count(list, `"keywords":["work"]`)
}

// mailCount counts a user's messages.
func mailCount(t *testing.T, h *netfs.Host, user string) int {
	t.Helper()
	return len(messages(t, h, user))
}

func messages(t *testing.T, h *netfs.Host, user string) []*spool.Message {
	t.Helper()
	s, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Box(t.Context(), user, spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m.Messages()
}

var crashTests = []crashTest{
	{
		name: "init", setup: func(*testing.T, *netfs.Host) {}, words: []string{"init", "sim"},
		again: []int{0, exitCantCreate},
	},
	{
		name: "user add", setup: makeSpool, words: []string{"user", "add", "carol"},
		again: []int{0, exitCantCreate},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if list := bobbin(t, h, "", "user", "list"); list != "alice\nbob\ncarol\n" {
				t.Errorf("users: %q", list)
			}
			bobbin(t, h, "x\n", "deliver", "carol")
		},
	},
	{
		name: "user delete", setup: makeMail, words: []string{"user", "delete", "alice"},
		again: []int{0, exitNoUser},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if list := bobbin(t, h, "", "user", "list"); list != "bob\n" {
				t.Errorf("users: %q", list)
			}
			trash, err := h.Share.ReadDir(t.Context(), "trash")
			if err != nil || len(trash) != 1 {
				t.Errorf("trash: %q, %v", trash, err)
			}
		},
	},
	{
		name: "deliver", setup: makeSpool, words: []string{"deliver", "alice"}, stdin: "Subject: x\n\n", again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			// The retry of a delivery to one user may double, never lose.
			if n := mailCount(t, h, "alice"); n < 1 || n > 2 {
				t.Errorf("alice has %d messages", n)
			}
		},
	},
	{
		name: "deliver to two", setup: makeSpool, words: []string{"deliver", "--queue-id", "4F1", "alice", "bob"}, stdin: "Subject: x\n\n", again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, was outcome) {
			a, b := mailCount(t, h, "alice"), mailCount(t, h, "bob")
			if !was.ok && was.delivered["alice"] == 1 && was.delivered["bob"] == 1 && a <= 2 && b <= 2 {
				return // it was complete, and only its exit code was lost
			}
			if a != 1 || b != 1 {
				t.Errorf("alice has %d messages and bob %d after %+v", a, b, was)
			}
		},
	},
	{
		name: "deliver to a mail root", setup: makeSpool, words: []string{"deliver", "--location", "%h/Maildir", "carol"}, stdin: "Subject: x\n\n", again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			list := bobbin(t, h, "", "list", "--json", "--location", "%h/Maildir", "--user", "carol")
			if n := strings.Count(list, `"uid"`); n < 1 || n > 2 {
				t.Errorf("carol has %d messages", n)
			}
			bobbin(t, h, "", "check", "--location", "%h/Maildir", "--user", "carol")
		},
	},
	{
		name: "flag", setup: makeMail, words: []string{"flag", "+seen,+kw:work,-flagged", "1-2"}, again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			for i, m := range messages(t, h, "alice") {
				if seen := m.Flags == spool.Seen && len(m.Keywords) == 1; seen != (i < 2) || i == 2 && m.Flags != 0 {
					t.Errorf("UID %d has %v %v", m.UID, m.Flags.Words(), m.Keywords)
				}
			}
		},
	},
	{
		name: "delete", setup: makeMail, words: []string{"delete", "2", "--expunge"}, again: []int{0, 1},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if n := mailCount(t, h, "alice"); n != 2 {
				t.Errorf("alice has %d messages, want 2", n)
			}
		},
	},
	{
		name: "expire", setup: makeMail, words: []string{"expire", "uid:2"}, again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if n := mailCount(t, h, "alice"); n != 2 {
				t.Errorf("alice has %d messages, want 2", n)
			}
		},
	},
	{
		// What was broken off may count for a day; it is counted anew here.
		name: "deliver with a quota", setup: makeMail, words: []string{"deliver", "--quota", "testdata/quota", "alice"}, stdin: "Subject: x\n\n", again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			n := mailCount(t, h, "alice")
			if n < 4 || n > 5 {
				t.Errorf("alice has %d messages, want 4 or 5", n)
			}
			bobbin(t, h, "", "quota", "--quota", "testdata/quota", "--recount")
			bobbin(t, h, "", "check")
		},
	},
	{
		name: "quota", setup: makeMail, words: []string{"quota", "--recount"}, again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if got := bobbin(t, h, "", "quota", "alice"); !strings.HasPrefix(got, "alice *: 3 messages, ") {
				t.Errorf("quota: %s", got)
			}
		},
	},
	{
		name: "user passwd", setup: makeSpool, words: []string{"user", "passwd", "alice", "--password-stdin"}, stdin: "secret\n", again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			s, err := spool.Open(t.Context(), h)
			if err != nil {
				t.Fatal(err)
			}
			list, err := s.Accounts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			known, err := list.Credentials("alice")
			if err != nil {
				t.Fatal(err)
			}
			if ok, err := known.Password.Matches([]byte("secret")); !ok || err != nil {
				t.Errorf("the password is not set: %v", err)
			}
		},
	},
	{
		name: "copy", setup: makeArchive, words: []string{"copy", "1-2", "Archive"}, again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			// A second copy is one more; a part of one is none.
			n, keywords := folderCount(t, h, "Archive")
			if n != 2 && n != 4 || keywords != n {
				t.Errorf("Archive has %d messages, %d of them with their keyword", n, keywords)
			}
			if n := mailCount(t, h, "alice"); n != 3 {
				t.Errorf("INBOX has %d messages, want 3", n)
			}
		},
	},
	{
		name: "move", setup: makeArchive, words: []string{"move", "1-2", "Archive"}, again: []int{0, 1},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if n, keywords := folderCount(t, h, "Archive"); n != 2 || keywords != 2 {
				t.Errorf("Archive has %d messages, %d of them with their keyword; want 2", n, keywords)
			}
			if n := mailCount(t, h, "alice"); n != 1 {
				t.Errorf("INBOX has %d messages, want 1", n)
			}
		},
	},
	{
		name: "upgrade", setup: makeLevel1, words: []string{"upgrade"}, again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if said := bobbin(t, h, "", "upgrade", "--dry-run"); said != "The spool's feature level is 2 already.\n" {
				t.Error(said)
			}
		},
	},
	{
		name: "folder create", setup: makeMail, words: []string{"folder", "create", "--use", "sent", "Büro/x"}, again: []int{0, exitCantCreate},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if list := bobbin(t, h, "", "folder", "list"); strings.Count(list, "Büro/x") != 1 {
				t.Errorf("folders: %q", list)
			}
			bobbin(t, h, "x\n", "deliver", "--folder", "Büro/x", "alice")
			if n, _ := folderCount(t, h, "Büro/x"); n != 1 {
				t.Errorf("%d messages, want 1", n)
			}
		},
	},
	{
		name: "folder rename", setup: makeFolders, words: []string{"folder", "rename", "A", "B"}, again: []int{0, exitFailure},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			want := "INBOX\nB subscribed\nB/x subscribed\nB/y subscribed\n"
			if list := folderNames(t, h); list != want {
				t.Errorf("folders %q, want %q", list, want)
			}
			for _, name := range []string{"B", "B/x", "B/y"} {
				if n, _ := folderCount(t, h, name); n != 1 {
					t.Errorf("%s has %d messages, want 1", name, n)
				}
			}
		},
	},
	{
		name: "folder delete", setup: makeFolders, words: []string{"folder", "delete", "A"}, again: []int{0, exitFailure},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			want := "INBOX\nA subscribed missing\nA/x subscribed\nA/y subscribed\n"
			if list := folderNames(t, h); list != want {
				t.Errorf("folders %q, want %q", list, want)
			}
			if n := mailCount(t, h, "alice"); n > 1 {
				t.Errorf("INBOX has %d messages, and the folder had 1 that nobody had listed", n)
			}
			bobbin(t, h, "", "folder", "create", "A")
		},
	},
	{name: "folder list", setup: makeFolders, words: []string{"folder", "list"}, again: []int{0}},
	{name: "folder unsubscribe", setup: makeFolders, words: []string{"folder", "unsubscribe", "A"}, again: []int{0}},
	{
		name: "deliver to a folder", setup: makeFolders, words: []string{"deliver", "--folder", "A/x", "alice"}, stdin: "Subject: x\n\n", again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if n, _ := folderCount(t, h, "A/x"); n < 2 || n > 3 {
				t.Errorf("%d messages", n)
			}
		},
	},
	{name: "watch", setup: makeMail, words: []string{"watch", "--timeout", "1s"}, again: []int{0}},
	{name: "user list", setup: makeSpool, words: []string{"user", "list"}, again: []int{0}},
	{name: "list", setup: makeMail, words: []string{"list"}, again: []int{0}},
	{name: "search", setup: makeMail, words: []string{"search", "all"}, again: []int{0}},
	{name: "search body", setup: makeMail, words: []string{"search", "body:no such text"}, again: []int{1}},
	{name: "show", setup: makeMail, words: []string{"show", "1"}, again: []int{0}},
	{name: "log", setup: makeMail, words: []string{"log"}, again: []int{0}},
	{name: "check", setup: makeMail, words: []string{"check"}, again: []int{0}},
	{
		name: "repair after a restore", setup: makeMail, words: []string{"repair", "--restored"}, again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			bobbin(t, h, "", "repair") // a first one that was broken off is completed
			if n := mailCount(t, h, "alice"); n != 3 {
				t.Errorf("alice has %d messages, want 3", n)
			}
		},
	},
	{
		name: "first reader", setup: func(t *testing.T, h *netfs.Host) {
			makeSpool(t, h)
			for range 6 { // a payload
				bobbin(t, h, "x\n", "deliver", "alice")
			}
		},
		recordMax: 500,
		words:     []string{"flag", "+seen", "1-*"}, again: []int{0},
		verify: func(t *testing.T, h *netfs.Host, _ outcome) {
			if n := mailCount(t, h, "alice"); n != 6 {
				t.Errorf("alice has %d messages, want 6", n)
			}
		},
	},
}

// TestBreakOff crashes every command at each of its operations, before and
// after the operation takes effect and later, and makes each operation fail
// in both ways. Afterwards the spool is whole, and the command can be given
// again.
func TestBreakOff(t *testing.T) {
	for _, tt := range crashTests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			breakOffEverywhere(t, tt)
		})
	}
}

func breakOffEverywhere(t *testing.T, tt crashTest) {
	n := breakOff(t, tt, simfs.Options{})
	if n == 0 {
		t.Fatal("the command does nothing on the share")
	}
	for k := range n {
		for _, at := range []simfs.At{
			{Op: k}, {Op: k, Applied: true}, {Op: k, Late: true},
		} {
			at.Host = "victim"
			breakOff(t, tt, simfs.Options{Seed: uint64(k), CrashAt: &at})
			breakOff(t, tt, simfs.Options{Seed: uint64(k), FailAt: &at})
		}
		if t.Failed() {
			t.Fatalf("operation %d of %d", k, n)
		}
	}
	t.Logf("%d operations, each broken off in 6 ways", n)
}

func (tt *crashTest) run(ctx context.Context, h *netfs.Host) (code int, out *bytes.Buffer) {
	env, out := simEnv(h, tt.stdin)
	if tt.act != nil {
		return tt.act(ctx, h), out
	}
	return run(ctx, tt.words, env), out
}

func breakOff(t *testing.T, tt crashTest, o simfs.Options) (ops int) {
	o.Profile = simfs.NFS4()
	if tt.recordMax > 0 {
		o.Profile.RecordMax = tt.recordMax
	}
	simfs.Run(t, o, func(t *testing.T, s *simfs.Sim) {
		tt.setup(t, s.Host("setup"))
		victim := s.Host("victim")
		code := -1
		s.Go(victim, func(ctx context.Context, h *netfs.Host) {
			code, _ = tt.run(ctx, h)
		})
		if err := s.Run(); err != nil {
			t.Fatal(err)
		}
		ops = s.OpsOf(victim)
		was := outcome{code == 0 && !s.Crashed(victim), map[string]int{}}
		for _, u := range []string{"alice", "bob"} {
			names, _ := s.Server().List("users/" + u + "/new")
			was.delivered[u] = len(names)
		}
		h := s.Host("after")
		if !was.ok || tt.name == "init" {
			code, out := tt.run(t.Context(), h)
			if !slices.Contains(tt.again, code) {
				t.Errorf("given again after %+v %+v: exit code %d: %s", o.CrashAt, o.FailAt, code, out)
			}
		}
		bobbin(t, h, "", "check")
		if tt.verify != nil {
			tt.verify(t, h, was)
		}
		bobbin(t, h, "", "check")
		if t.Failed() {
			t.Logf("crash %+v, fail %+v\n%s\n%s", o.CrashAt, o.FailAt, s.Trace(), s.Server().Dump())
		}
	})
	return ops
}
