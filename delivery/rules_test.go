package delivery_test

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// broken is the spool as a host sees it through a share of its own.
func broken(t *testing.T, s *spool.Spool, share netfs.FS) *spool.Spool {
	t.Helper()
	h := *s.Host
	h.Share = share
	out, err := spool.Open(t.Context(), &h)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// unsyncable fails the sync of what is written below one directory.
type unsyncable struct {
	netfs.FS
	dir, victim string
}

func (u unsyncable) Sub(ctx context.Context, name string) (netfs.FS, error) {
	sub, err := u.FS.Sub(ctx, name)
	return unsyncable{sub, name, u.victim}, err
}

func (u unsyncable) Create(ctx context.Context, name string, perm fs.FileMode) (netfs.File, error) {
	f, err := u.FS.Create(ctx, name, perm)
	if err == nil && u.dir == u.victim {
		f = unsynced{f}
	}
	return f, err
}

type unsynced struct{ netfs.File }

func (unsynced) Sync() error { return syscall.EIO }

// A message that cannot be made durable for the last user is nobody's.
func TestWrittenForAll(t *testing.T) {
	s, dir := newSpool(t, "alice", "bob")
	e := delivery.Envelope{Users: []string{"alice", "bob"}}
	to := broken(t, s, unsyncable{s.Host.Share, "", "users/bob"})
	if err := delivery.Deliver(t.Context(), to, e, strings.NewReader("hello\n")); !errors.Is(err, syscall.EIO) {
		t.Fatalf("delivered: %v", err)
	}
	for _, user := range e.Users {
		if n := len(stored(t, dir, user)); n != 0 {
			t.Errorf("%s has %d messages", user, n)
		}
		noLitter(t, dir, user)
	}
}

// A retry takes the name that the first try chose, so that the next retry
// finds it.
func TestThirdTry(t *testing.T) {
	s, dir := newSpool(t, "alice", "bob")
	e := delivery.Envelope{Users: []string{"alice", "bob"}, QueueID: "4F1"}
	for _, victim := range []string{"users/alice/new", "users/bob/new"} {
		to := broken(t, s, &failingFS{s.Host.Share, "", victim})
		if err := delivery.Deliver(t.Context(), to, e, strings.NewReader("hello\n")); err == nil {
			t.Fatal("the rename did not fail")
		}
	}
	if err := delivery.Deliver(t.Context(), s, e, strings.NewReader("hello\n")); err != nil {
		t.Fatal(err)
	}
	only(t, dir, "alice")
	only(t, dir, "bob")
}
