package spool_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// interrupted runs then after cur was first listed, before the caller gets the
// names.
type interrupted struct {
	netfs.FS
	then *func()
}

func (i interrupted) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := i.FS.Sub(ctx, name)
	return interrupted{sub, i.then}, err
}

func (i interrupted) ReadDir(ctx context.Context, name string) ([]string, error) {
	names, err := i.FS.ReadDir(ctx, name)
	if then := *i.then; name == "cur" && then != nil {
		*i.then = nil
		then()
	}
	return names, err
}

// The listings that are made while the log is read are older than what it
// says: they undo no import, bring no message back and hide none.
func TestEarlyListing(t *testing.T) {
	s, dir := newSpool(t, spool.InitOptions{})
	calm(s.Host)
	b := inbox(t, s)
	for range 3 {
		mustPut(t, b, "Subject: x\n\n")
	}
	m := open(t, b)
	var name []string
	for _, msg := range m.Messages() {
		name = append(name, filepath.Join(dir, "users/alice/cur", msg.Name)+":2,")
		if err := os.Rename(filepath.Join(dir, "users/alice/new", msg.Name), name[len(name)-1]+"S"); err != nil {
			t.Fatal(err)
		}
	}
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	try(m.Refresh(t.Context()))
	meanwhile := func() {
		try(os.Rename(name[0]+"S", name[0]+"FS"))
		try(m.Refresh(t.Context()))
		_, err := m.Expunge(t.Context(), spool.SetOf(2))
		try(err)
		try(m.Project(t.Context()))
		mustPut(t, b, "Subject: y\n\n")
		try(m.Refresh(t.Context()))
	}
	h := *s.Host
	h.Share = interrupted{h.Share, &meanwhile}
	late, err := spoolBox(t.Context(), &h)
	try(err)
	other := open(t, late)
	try(m.Refresh(t.Context()))
	for _, view := range []*spool.Mailbox{other, m} {
		var uids []uint32
		for _, msg := range view.Messages() {
			uids = append(uids, msg.UID)
		}
		if msg, err := view.Message(1); err != nil || msg.Flags != spool.Flagged|spool.Seen || !slices.Equal(uids, []uint32{1, 3, 4}) {
			t.Errorf("UIDs %v, the first is %+v, %v; want 1, 3, 4 and [flagged seen]", uids, msg, err)
		}
	}
	checkClean(t, b)
}
