package spool_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// writeGoldenFolders is the second history of the golden trees: folders that
// are renamed, deleted and purged, shared ones with two readers, segments of
// summaries, and a user whose mail is counted.
func writeGoldenFolders(t *testing.T, sim *simfs.Sim) {
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
	must(a.Add(ctx, "alice", nil))
	must(a.Add(ctx, "bob", nil))

	mustCreate(t, s, "Gone", "Old", "Work", "Work/Entwürfe", "public/News", "public/Old")
	u := stateOf(t, s)
	must(u.Subscribe(ctx, "Work/Entwürfe", true))
	must(u.Subscribe(ctx, "Nowhere", true))
	must(u.SetUses(ctx, "Work/Entwürfe", spool.UseDrafts))
	must(u.SetValue(ctx, "test.key", "a value"))
	goldenSummaries(t, s, "Work")
	goldenReaders(t, s)

	// Messages are counted when they are written, and with the folder.
	take := func(folder string) {
		t.Helper()
		b := folderBox(t, s, folder)
		in := receive(t, b, "Subject: counted\n\n")
		must(u.Take(ctx, in, atMost(100)))
		must(in.Publish(ctx))
	}
	must(u.Recount(ctx))
	take(spool.Inbox)
	must(u.Count(ctx, open(t, inbox(t, s))))
	take(spool.Inbox)
	take("Work")
	given := receive(t, inbox(t, s), "Subject: given back\n\n")
	must(u.Take(ctx, given, atMost(100)))
	given.Abort(ctx)
	must(u.GiveBack(ctx, given))

	must(s.RenameFolder(ctx, "alice", "Work", "Arbeit"))
	must(s.DeleteFolder(ctx, "alice", "Gone"))
	must(s.DeleteFolder(ctx, "alice", "public/Old"))
	must(h.Sleep(ctx, 8*24*time.Hour))
	mustPut(t, folderBox(t, s, "Old"), "Subject: deleted\n\n")
	last := hook(t, s, func(op, name string) error {
		if op != "rename" || name != ".Old" {
			return nil
		}
		return sim.Server().WriteFile("users/alice/.Old/new/1700000000.strange", []byte("Subject: goes to INBOX\n\n"))
	})
	last.Tuning = goldenTuning
	must(last.DeleteFolder(ctx, "alice", "Old")) // and purges the first one
	must(u.Close(ctx))
}

// goldenSummaries fills a folder, whose messages are summarized in segments.
func goldenSummaries(t *testing.T, s *spool.Spool, folder string) {
	t.Helper()
	b := folderBox(t, s, folder)
	m := open(t, b)
	for i := range 6 {
		mustPut(t, b, subjectText(i))
		if i%2 == 1 {
			if err := m.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			summaries(t, m, spool.Structure)
			m.KeepAll(t.Context())
		}
	}
	long := "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= " + strings.Repeat("long ", 200) + "\nTo: a@example.org, \"b \\\"c\\\"\" <b@example.org>\n" +
		"Content-Type: multipart/mixed; boundary=x\n\n--x\n\ntab\there, 100 %\n--x\nContent-Type: message/rfc822\n\nSubject: inner\n\n\n--x--\n"
	mustPut(t, b, long)
	if err := m.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	summaries(t, m, spool.Structure)
	m.KeepAll(t.Context())
}

// goldenReaders lets two users see messages of a shared folder.
func goldenReaders(t *testing.T, s *spool.Spool) {
	t.Helper()
	for _, subject := range []string{"one", "two", "three"} {
		mustPut(t, folderBox(t, s, "public/News"), "Subject: "+subject+"\n\n")
	}
	for i, user := range []string{"alice", "bob"} {
		b, err := s.Box(t.Context(), user, "public/News")
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, b)
		_, err = m.SetFlags(t.Context(), spool.SetOf(uint32(i+1), 3), spool.FlagChange{Add: spool.Seen | spool.Flagged})
		if err == nil {
			_, err = m.SetFlags(t.Context(), spool.SetOf(3), spool.FlagChange{Remove: spool.Seen})
		}
		if err == nil {
			err = m.SetLastRead(t.Context(), uint32(i+1))
		}
		if err != nil {
			t.Fatal(err)
		}
		project(t, m)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// listGoldenFolders says what the tree of writeGoldenFolders has.
func listGoldenFolders(t *testing.T, h *netfs.Host) string {
	t.Helper()
	s, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	s.Tuning = goldenTuning
	var w bytes.Buffer
	fmt.Fprintf(&w, "folders %q\n", folderNames(t, s))
	u := stateOf(t, s)
	fmt.Fprintf(&w, "value %q\nusage %+v\n", u.Value("test.key"), u.Usage())
	for _, user := range []string{"alice", "bob"} {
		folders, err := s.Folders(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range folders {
			if f.Missing {
				continue
			}
			b, err := s.Box(t.Context(), user, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&w, "\n%s %s\n%s", user, f.Name, listBox(t.Context(), t, b))
			m := open(t, b)
			if strings.HasPrefix(f.Name, "public/") {
				fmt.Fprintf(&w, "last read: %d\n", m.LastRead())
			}
			for _, sum := range summaries(t, m, spool.Structure) {
				fmt.Fprintf(&w, "summary %+v\n", *sum)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w.String()
}
