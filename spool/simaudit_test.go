package spool_test

import (
	"strings"
	"testing"
	"time"

	"github.com/bobbinmail/bobbin/netfs/simfs"
	"github.com/bobbinmail/bobbin/spool"
)

// audit opens the mailbox on a quiet share and compares it with the history.
func audit(t *testing.T, s *simfs.Sim, hist *history) *spool.Mailbox {
	t.Helper()
	h := s.Host("audit")
	sp, err := spool.Open(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sp.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	m := openAtRest(t, b)
	byText := map[string]*spool.Message{}
	for _, msg := range m.Messages() {
		text := read(t, m, msg.UID)
		if other := byText[text]; other != nil {
			t.Errorf("doubled: UIDs %d and %d are %.40q", other.UID, msg.UID, text)
		}
		byText[text] = msg
		if was, ok := hist.uids[msg.UID]; ok && was != msg.Name {
			t.Errorf("UID %d is %s and was %s", msg.UID, msg.Name, was)
		}
		if hist.refused[text] {
			t.Errorf("reported as not delivered, and there: %.40q", text)
		}
	}
	for text := range hist.acked {
		if byText[text] == nil && !hist.expunged[text] {
			t.Errorf("lost: %.40q", text)
		}
	}
	for text := range hist.gone {
		if byText[text] != nil {
			t.Errorf("expunged and back: %.40q", text)
		}
	}
	for kw, text := range hist.keywords {
		name, _, _ := strings.Cut(kw, " ")
		msg := byText[text]
		if msg != nil && !strings.Contains(" "+strings.Join(msg.Keywords, " ")+" ", " "+name+" ") {
			t.Errorf("an acknowledged keyword is lost: %s of UID %d", name, msg.UID)
		}
	}
	for text, want := range hist.flags {
		if msg := byText[text]; msg != nil && msg.Flags&want != want {
			t.Errorf("acknowledged flags are lost: UID %d has %v, want %v", msg.UID, msg.Flags.Words(), want.Words())
		}
	}
	for text, want := range hist.answered {
		if msg := byText[text]; msg != nil && (msg.Flags&spool.Answered != 0) != want {
			t.Errorf("an acknowledged change is reverted: UID %d has %v, want answered %v", msg.UID, msg.Flags.Words(), want)
		}
	}
	if sp.Marker.ShowsFlags() {
		auditNames(t, s, m)
	}
	found, err := b.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Wrong {
			t.Errorf("check: %s", f)
		}
	}
	return m
}

// openAtRest opens a mailbox and looks until it shows what other programs did:
// where listings are weak, a removal is believed after two looks 70 s apart.
func openAtRest(t *testing.T, b *spool.Box) *spool.Mailbox {
	t.Helper()
	m := open(t, b)
	for range 3 {
		time.Sleep(71 * time.Second)
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// auditNames wants the file names to show the state once nobody disturbs.
func auditNames(t *testing.T, s *simfs.Sim, m *spool.Mailbox) {
	t.Helper()
	if err := m.Project(t.Context()); err != nil {
		t.Errorf("project: %v", err)
	}
	shown := map[string]string{}
	names, err := s.Server().List("users/alice/cur")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		base, _, letters := cutFlags(n)
		shown[base] = letters
	}
	for _, msg := range m.Messages() {
		if letters, ok := shown[msg.Name]; ok && letters != msg.Flags.Letters() {
			t.Errorf("UID %d has flags %q, and its file %q", msg.UID, msg.Flags.Letters(), letters)
		} else if !ok && msg.Flags != 0 {
			t.Errorf("UID %d has flags %q, and its file is not in cur", msg.UID, msg.Flags.Letters())
		}
	}
}
