package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

func rules(t *testing.T, text string) []delivery.QuotaRule {
	t.Helper()
	list, err := delivery.ParseQuota(text)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestParseQuota(t *testing.T) {
	got := rules(t, "# a comment\n\n* * 1800M/2G 100000\n*  trash 200k -\nAlice@example.org * 9G/10G\nbob * - 5/-\n")
	want := []delivery.QuotaRule{
		{User: "*", Folders: "*", Bytes: delivery.QuotaLimit{Soft: 1800 << 20, Hard: 2 << 30}, Messages: delivery.QuotaLimit{Hard: 100000}},
		{User: "*", Folders: "trash", Bytes: delivery.QuotaLimit{Hard: 200 << 10}},
		{User: "alice@example.org", Folders: "*", Bytes: delivery.QuotaLimit{Soft: 9 << 30, Hard: 10 << 30}},
		{User: "bob", Folders: "*", Messages: delivery.QuotaLimit{Soft: 5}},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	q := &delivery.Quota{Rules: want}
	if of := q.Of("bob"); !slices.Equal(of, []delivery.QuotaRule{want[3], want[1]}) {
		t.Errorf("bob's rules are %v", of)
	}
	if of := (*delivery.Quota)(nil).Of("bob"); of != nil {
		t.Errorf("without a quota: %v", of)
	}
	for text, says := range map[string]string{
		"x *":                      "line 1: a rule is",
		"\nx * 1 2 3":              "line 2: a rule is",
		"x * 0":                    `line 1: limit "0"`,
		"x * 2G/1G":                "the soft limit comes first",
		"x * 5X":                   `limit "5X"`,
		"x * 9999999999999T":       "limit",
		"x * -5":                   "limit",
		"x * 1 2.5":                "limit",
		"x * 99999999999999999999": "limit",
	} {
		if _, err := delivery.ParseQuota(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// A rule covers the folders that its pattern names, and no others.
func TestQuotaFolders(t *testing.T) {
	usage := []spool.FolderUsage{{Folder: "INBOX", Bytes: 1}, {Folder: "Sent Items", Bytes: 10}, {Folder: "Work", Bytes: 100}, {Folder: "Work/2026/a", Bytes: 1000}}
	for pattern, want := range map[string]int64{
		"*": 1111, "INBOX": 1, "Sent?Items": 10, "Work*": 1100, "Work/*": 1000, "*/a": 1000, "W*k*a": 1000, "": 0, "inbox": 0, "***X": 1, "*b": 0,
	} {
		if _, got := (delivery.QuotaRule{Folders: pattern}).Sum(usage); got != want {
			t.Errorf("%q covers %d, want %d", pattern, got, want)
		}
	}
}

// What does not fit is refused as the setting says, and leaves nothing; it fits when
// there is room, whoever made it.
func TestQuota(t *testing.T) {
	s, dir := newSpool(t, "alice", "bob")
	q := &delivery.Quota{Rules: rules(t, "alice * - 2\n")}
	deliver := func(users ...string) error {
		return delivery.Deliver(t.Context(), s, delivery.Envelope{Sender: "joe@example.org", Users: users, Quota: q}, strings.NewReader("Subject: x\n\n"))
	}
	for range 2 {
		if err := deliver("alice"); err != nil {
			t.Fatal(err)
		}
	}
	err := deliver("bob", "alice")
	if !errors.Is(err, delivery.ErrQuota) || delivery.Status(err) != "4.2.2" || !strings.Contains(err.Error(), "3 messages, the limit is 2") {
		t.Errorf("the third message: %v", err)
	}
	q.Refuse = true
	if err := deliver("alice"); delivery.Status(err) != "5.2.2" {
		t.Errorf("the third message, refused for good: %v", err)
	}
	if n, m := len(stored(t, dir, "alice")), len(stored(t, dir, "bob")); n != 2 || m != 0 {
		t.Errorf("alice has %d messages and bob %d", n, m)
	}
	noLitter(t, dir, "alice")
	noLitter(t, dir, "bob")
	b, err := s.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	m, err := b.Open(t.Context())
	if err == nil {
		_, err = m.Expunge(t.Context(), spool.SetOf(1)) // and nobody counts
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := deliver("alice", "bob"); err != nil {
		t.Errorf("when there is room: %v", err)
	}
}

// A delivery by a server to a user with a quota costs a symlink and a getattr more, to
// another user nothing.
func TestQuotaOperations(t *testing.T) {
	s, _ := newSpool(t, "alice", "bob")
	q := &delivery.Quota{Rules: rules(t, "alice * 1G 100\nalice Trash 1M"), Keep: &delivery.QuotaStates{Spool: s}}
	deliver := func(user string) {
		t.Helper()
		err := delivery.Deliver(t.Context(), s, delivery.Envelope{Users: []string{user}, Quota: q}, strings.NewReader("x\n"))
		if err != nil {
			t.Fatal(err)
		}
	}
	deliver("alice")
	cost := func(user string) netfs.Counts {
		before := s.Host.Ops.Read()
		for range 5 {
			deliver(user)
		}
		return s.Host.Ops.Read().Sub(before)
	}
	got := cost("alice").Sub(cost("bob"))
	var want netfs.Counts
	want[netfs.OpSymlink], want[netfs.OpGetattr] = 5, 5
	if s.Host.Profile.DirSync {
		want[netfs.OpSync] = 5
	}
	if got != want {
		t.Errorf("5 deliveries cost %s more, want %s", got, want)
	}
}

// To ask whether there is room costs nothing while there is.
func TestQuotaRoom(t *testing.T) {
	s, _ := newSpool(t, "alice", "bob")
	q := &delivery.Quota{Rules: rules(t, "alice * 100 2"), Refuse: true, Keep: &delivery.QuotaStates{Spool: s}}
	b, err := s.Box(t.Context(), "alice", spool.Inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	room := func(least int64, want error) {
		t.Helper()
		if err := q.Room(t.Context(), b, least); !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", least, err, want)
		}
	}
	room(101, delivery.ErrQuotaRefused)
	before := s.Host.Ops.Read()
	room(100, nil)
	if got := s.Host.Ops.Read().Sub(before); got.Total() != 0 {
		t.Errorf("it cost %s", got)
	}
	for range 2 {
		room(0, nil)
		if err := delivery.Deliver(t.Context(), s, delivery.Envelope{Users: []string{"alice"}, Quota: q}, strings.NewReader("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	room(0, delivery.ErrQuotaRefused)
	if err := (*delivery.Quota)(nil).Room(t.Context(), b, 1<<40); err != nil {
		t.Errorf("without a quota: %v", err)
	}
}

// Each time the soft limit is crossed the user is warned, once.
func TestQuotaWarning(t *testing.T) {
	s, _ := newSpool(t, "alice")
	var mu sync.Mutex
	var warned []int64
	q := &delivery.Quota{Rules: rules(t, "* * - 3/9\n* INBOX 90/1G"), Keep: &delivery.QuotaStates{Spool: s}}
	q.Warn = func(_ context.Context, w delivery.QuotaWarning) {
		mu.Lock()
		defer mu.Unlock()
		warned = append(warned, w.Messages)
	}
	ended := make(chan error)
	for range 9 {
		go func() {
			ended <- delivery.Deliver(t.Context(), s, delivery.Envelope{Users: []string{"alice"}, Quota: q}, strings.NewReader("x\n"))
		}()
	}
	for range 9 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	slices.Sort(warned)
	if !slices.Equal(warned, []int64{3, 4}) {
		t.Errorf("warned at %v messages, want 3 (bytes) and 4", warned)
	}
}

// A message that is dropped because it came before does not count.
func TestQuotaOnce(t *testing.T) {
	s, _ := newSpool(t, "alice")
	q := &delivery.Quota{Rules: rules(t, "* * - 9")}
	for range 3 {
		e := delivery.Envelope{Users: []string{"alice"}, QueueID: "4F1", Once: true, Quota: q}
		if err := delivery.Deliver(t.Context(), s, e, strings.NewReader("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	u, err := s.UserState(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close(t.Context())
	if got := u.Usage(); len(got) != 1 || got[0].Messages != 1 {
		t.Errorf("usage %v, want one message", got)
	}
}

// Deliveries that are refused at the same time, by a server that keeps the log.
func TestQuotaRefusesAtOnce(t *testing.T) {
	s, _ := newSpool(t, "alice")
	q := &delivery.Quota{Rules: rules(t, "* * - 1"), Keep: &delivery.QuotaStates{Spool: s}}
	deliver := func() error {
		return delivery.Deliver(t.Context(), s, delivery.Envelope{Users: []string{"alice"}, Quota: q}, strings.NewReader("Subject: x\n\n"))
	}
	if err := deliver(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := deliver(); !errors.Is(err, delivery.ErrQuota) {
				t.Errorf("%v, want %v", err, delivery.ErrQuota)
			}
		})
	}
	wg.Wait()
}

// Where nobody reads, the deliveries themselves keep the user's log short.
func TestQuotaPending(t *testing.T) {
	if testing.Short() {
		t.Skip("257 messages")
	}
	s, _ := newSpool(t, "alice")
	q := &delivery.Quota{Rules: rules(t, "* * 1G"), Keep: &delivery.QuotaStates{Spool: s}}
	for range 257 {
		if err := delivery.Deliver(t.Context(), s, delivery.Envelope{Users: []string{"alice"}, Quota: q}, strings.NewReader("x\n")); err != nil {
			t.Fatal(err)
		}
	}
	u, err := s.UserState(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close(t.Context())
	if got := u.Usage(); len(got) != 1 || got[0].Messages != 257 || got[0].Pending != 1 {
		t.Errorf("usage %v, want 257 messages, one of them pending", got)
	}
}

// FuzzQuota: rules of any text are read or refused, and match what is asked.
func FuzzQuota(f *testing.F) {
	f.Add("* * 1G/2G 5\n", "alice", "INBOX")
	f.Add("a?b* *x*y 5", "aab", "xxy")
	f.Fuzz(func(t *testing.T, text, user, folder string) {
		list, err := delivery.ParseQuota(text)
		if err != nil {
			return
		}
		q := &delivery.Quota{Rules: list}
		for _, r := range q.Of(user) {
			if r.Bytes.Hard < 0 || r.Bytes.Soft < 0 || r.Messages.Hard < 0 || r.Messages.Soft < 0 {
				t.Errorf("%+v", r)
			}
			m, n := r.Sum([]spool.FolderUsage{{Folder: folder, Messages: 1, Bytes: 2}})
			if n != 2*m || r.Folders == "*" && m != 1 || r.Folders == folder && !strings.ContainsAny(folder, "*?") && m != 1 {
				t.Errorf("%q covers %q: %d", r.Folders, folder, m)
			}
		}
	})
}
