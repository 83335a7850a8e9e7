package spool_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

var update = flag.Bool("update", false, "rewrite the golden trees and listings in testdata/golden")

// goldenShares are the kinds of shares with a golden tree, one for each way of
// put-if-absent.
var goldenShares = []string{"nfs4", "smb", "smb-plain"}

// TestGoldenTree holds the format still. For each way of put-if-absent there
// are trees with every kind of file, as simfs dumps them, and listings of what
// they say. The present code reads the tree as listed, and writes the same tree
// byte for byte when it does the same again. Whoever changes the format on
// purpose rewrites both with -update, and looks at the difference.
func TestGoldenTree(t *testing.T) {
	for _, share := range goldenShares {
		for _, story := range []struct {
			name  string
			write func(*testing.T, *simfs.Sim)
			list  func(*testing.T, *netfs.Host) string
		}{
			{share, writeGolden, listAll},
			{share + "-folders", writeGoldenFolders, listGoldenFolders},
		} {
			t.Run(story.name, func(t *testing.T) {
				onGolden(t, share, func(t *testing.T, s *simfs.Sim) {
					story.write(t, s)
					compareGolden(t, story.name+".tree", s.Server().Dump())
				})
				onGolden(t, share, func(t *testing.T, s *simfs.Sim) {
					restore(t, s.Server(), readGolden(t, story.name+".tree"))
					compareGolden(t, story.name+".list", story.list(t, goldenHost(s)))
				})
			})
		}
	}
}

// onGolden calls fn with a simulation of the share, whose records are short so
// that some need a payload.
func onGolden(t *testing.T, name string, fn func(*testing.T, *simfs.Sim)) {
	share, ok := simfs.ShareNamed(name)
	if !ok {
		t.Fatalf("no share %s", name)
	}
	o := simfs.Options{}
	share.Set(&o)
	o.Profile.RecordMax = 600
	simfs.Run(t, o, fn)
}

// goldenTuning makes short logs have what long ones have.
var goldenTuning = commitlog.Tuning{Slots: 4, Inline: 400}

// goldenHost has random bytes and a wall clock of its own: nothing in the tree
// depends on how the simulator makes them.
func goldenHost(s *simfs.Sim) *netfs.Host {
	h := s.Host("golden")
	start := h.Boot()
	h.Rand = rand.NewChaCha8([32]byte{1})
	h.Wall = func() time.Time { return time.Unix(1_800_000_000, 0).Add(h.Boot() - start) }
	return h
}

func compareGolden(t *testing.T, file, got string) {
	t.Helper()
	name := filepath.Join("testdata", "golden", file)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := readGolden(t, file)
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(g), len(w))-1 && g[i] == w[i] {
		i++
	}
	t.Errorf("%s, line %d:\n%.2000s\nwant\n%.2000s\nIf the format was changed on purpose: go test ./spool -run TestGoldenTree -update", name, i+1, g[i], w[i])
}

func readGolden(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// restore makes the tree that was dumped.
func restore(t *testing.T, s *simfs.Server, dump string) {
	t.Helper()
	for line := range strings.Lines(dump) {
		name, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		dir, isDir := strings.CutSuffix(name, "/")
		quoted, isLink := strings.CutPrefix(quoted, "-> ")
		content, err := strconv.Unquote(quoted)
		switch {
		case isDir:
			err = s.MkdirAll(dir)
		case err != nil:
		case isLink:
			err = s.Symlink(content, name)
		default:
			err = s.WriteFile(name, []byte(content))
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if got := s.Dump(); got != dump {
		t.Fatal("the tree was not restored as it was dumped")
	}
}

// listAll says what a spool has: accounts, folders with their messages, and
// what check finds.
func listAll(t *testing.T, h *netfs.Host) string {
	t.Helper()
	ctx := t.Context()
	s, err := spool.Open(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	s.Tuning = goldenTuning
	var w bytes.Buffer
	a, err := s.Accounts(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range a.Names() {
		known, err := a.Credentials(user)
		if err != nil {
			t.Fatal(err)
		}
		ok, err := known.Password.Matches([]byte("secret"))
		fmt.Fprintf(&w, "account %s, password right: %v, %v, %d keys, kept %q\n", user, ok, err, len(known.SCRAM), known.Plain)
	}
	for _, box := range [][2]string{{"alice", spool.Inbox}, {"alice", "Archive"}, {"bob", spool.Inbox}} {
		b, err := s.Box(ctx, box[0], box[1])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&w, "\n%s %s\n%s", box[0], box[1], listBox(ctx, t, b))
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return w.String()
}

func listBox(ctx context.Context, t *testing.T, b *spool.Box) string {
	t.Helper()
	var w bytes.Buffer
	found, err := b.Check(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		fmt.Fprintf(&w, "check: %v, %s\n", f.Wrong, f)
	}
	m := open(t, b)
	fmt.Fprintf(&w, "uidvalidity %d, uidnext %d, modseq %d\n", m.UIDValidity(), m.UIDNext(), m.ModSeq())
	for _, msg := range m.Messages() {
		fmt.Fprintf(&w, "%d [%s] %q %d, %d bytes, modseq %d, %q\n", msg.UID, msg.Flags.Letters(), msg.Keywords, msg.Date.Unix(), msg.Size, msg.ModSeq, msg.Name)
		fmt.Fprintf(&w, "  sha256 %x\n", sha256.Sum256([]byte(read(t, m, msg.UID))))
	}
	return w.String()
}

// writeGolden does what brings every kind of file about.
func writeGolden(t *testing.T, sim *simfs.Sim) {
	h := goldenHost(sim)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := spool.Init(ctx, h, spool.InitOptions{})
	must(err)
	s.Tuning = goldenTuning
	a, err := s.Accounts(ctx)
	must(err)
	must(a.Add(ctx, "alice", []byte("first")))
	for _, user := range []string{"bob", "carol", "dave@example.org"} {
		must(a.Add(ctx, user, nil))
	}
	must(a.SetPassword(ctx, "alice", []byte("secret"), spool.PasswordOptions{Plain: true}))
	_, err = a.Delete(ctx, "carol")
	must(err)

	m := goldenInbox(t, sim.Server(), s)
	arch := archive(t, s)
	am := open(t, arch)
	_, err = m.Copy(ctx, spool.SetOf(1), am)
	must(err)
	_, err = m.Move(ctx, spool.SetOf(2), am)
	must(err)
	project(t, am)
	project(t, m)

	// A day and a half later litter is swept, and a held file dropped.
	must(sim.Server().WriteFile("users/alice/bobbin/hold/1.left", []byte("x")))
	must(h.Sleep(ctx, 37*time.Hour))
	_, err = m.Expunge(ctx, spool.SetOf(4))
	must(err)
	project(t, m)

	// Another program answers a message.
	file := path.Join("users/alice/cur", m.Messages()[0].Name) + s.Marker.Separator + "2,"
	must(sim.Server().Rename(file+"F", file+"FR"))
	must(m.Refresh(ctx))

	// What is under way: held and assigned by a record with a payload, written,
	// delivered, and remembered.
	_, err = am.Append(ctx, several(t, arch)...)
	must(err)
	must(sim.Server().WriteFile("users/alice/.Archive/bobbin/hold/2.left", []byte("x")))
	receive(t, inbox(t, s), "Subject: being delivered\n\n")
	bob, err := s.Box(ctx, "bob", spool.Inbox)
	must(err)
	must(receive(t, bob, "Subject: to several\n\n").PublishOnce(ctx, strings.Repeat("k", 26)))
	must(bob.Close())
}

// several are so many messages that a record of them needs a payload.
func several(t *testing.T, b *spool.Box) (list []spool.NewMessage) {
	t.Helper()
	for i := range 7 {
		list = append(list, spool.NewMessage{
			In:    receive(t, b, fmt.Sprintf("Subject: %d of several\n\n", i)),
			Flags: spool.Draft, Keywords: []string{"several"}, Date: time.Unix(1_000_000_000, 0),
		})
	}
	return list
}

// goldenInbox does to alice's INBOX what can be done to one mailbox.
func goldenInbox(t *testing.T, server *simfs.Server, s *spool.Spool) *spool.Mailbox {
	t.Helper()
	ctx, box, flags := t.Context(), inbox(t, s), s.Marker.Separator+"2,"
	m := open(t, box)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"Subject: one\n\n", "Subject: two\n\nx\n", "Subject: three\n\n"} {
		mustPut(t, box, text)
		must(m.Refresh(ctx))
	}
	in, err := box.Receive(ctx)
	must(err)
	_, err = io.WriteString(in, "Subject: mixed\r\n\nline\n")
	must(err)
	must(in.Finish(2, true))
	must(in.Publish(ctx))
	must(server.WriteFile("users/alice/cur/1700000000.foreign"+flags+"FSab", []byte("Subject: foreign\n\n")))
	must(m.Refresh(ctx))
	change := func(uids, c string) {
		set, err := spool.ParseUIDSet(uids)
		must(err)
		fc, err := spool.ParseFlagChange(c)
		must(err)
		_, err = m.SetFlags(ctx, set, fc)
		must(err)
	}
	change("1-2,4", "+seen,+kw:work,+kw:$Junk")
	project(t, m)
	change("1", "-seen,+flagged,-kw:work")
	_, err = m.Append(ctx, several(t, box)...)
	must(err)
	_, err = m.Expunge(ctx, spool.SetOf(3))
	must(err)
	project(t, m)
	change("*", "+passed")
	for range 8 {
		change("1-11", "+deleted")
		change("1-11", "-deleted")
	}
	project(t, m)
	m.Close(ctx)
	return m
}
