package spool_test

import (
	"context"
	"os"
	"path"
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

// overtaken runs first before new is listed, or, if stat is set, before a file
// in it is looked at.
type overtaken struct {
	netfs.FS
	stat  bool
	first *func()
}

func (o overtaken) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := o.FS.Sub(ctx, name)
	return overtaken{sub, o.stat, o.first}, err
}

func (o overtaken) run(now bool) {
	if first := *o.first; now && first != nil {
		*o.first = nil
		first()
	}
}

func (o overtaken) ReadDir(ctx context.Context, name string) ([]string, error) {
	o.run(!o.stat && name == "new")
	return o.FS.ReadDir(ctx, name)
}

func (o overtaken) Stat(ctx context.Context, name string) (netfs.Info, error) {
	o.run(o.stat && path.Dir(name) == "new")
	return o.FS.Stat(ctx, name)
}

// A message that was delivered before Refresh is shown, although another host
// gave it its UID after the log was read, and moved it to cur: before new was
// listed, where cur is not looked at, or before the file was.
func TestNewMailOfAnotherHost(t *testing.T) {
	for _, stat := range []bool{false, true} {
		s, _ := newSpool(t, spool.InitOptions{ForeignOff: !stat})
		calm(s.Host)
		b := inbox(t, s)
		open(t, b)
		var first func()
		h := *s.Host
		h.Share = overtaken{h.Share, stat, &first}
		late, err := spoolBox(t.Context(), &h)
		if err != nil {
			t.Fatal(err)
		}
		m := open(t, late)
		mustPut(t, b, "Subject: x\n\n")
		first = func() {
			other := open(t, b)
			if _, err := other.SetFlags(t.Context(), spool.SetOf(1), spool.FlagChange{Add: spool.Seen}); err != nil {
				t.Error(err)
			}
			if err := other.Project(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if err := m.Refresh(t.Context()); err != nil || len(m.Messages()) != 1 || first != nil {
			t.Errorf("overtaken at a file %v: %d messages, %v; want 1", stat, len(m.Messages()), err)
		}
	}
}
