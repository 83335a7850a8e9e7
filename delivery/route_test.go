package delivery_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bobbinmail/bobbin/delivery"
	"github.com/bobbinmail/bobbin/spool"
)

// asked is a spool that notes for whom it is asked and has no answer about one.
type asked struct {
	*spool.Spool
	users []string
	away  string
}

var errAway = errors.New("no answer")

func (a *asked) Box(ctx context.Context, user, folder string) (*spool.Box, error) {
	a.users = append(a.users, user)
	if user == a.away {
		return nil, errAway
	}
	return a.Spool.Box(ctx, user, folder)
}

// What an address may mean is tried in one order, and after a look-up that
// failed nothing else is.
func TestFindAsks(t *testing.T) {
	s, _ := newSpool(t, "alice", "all")
	rules := delivery.Rules{Separators: "+-", Domains: []string{"example.org"}, CatchAll: "all"}
	unlisted := rules
	unlisted.Unlisted, unlisted.CatchAll = true, ""
	for _, test := range []struct {
		rules         delivery.Rules
		address, away string
		asked         string
	}{
		{delivery.Rules{}, "Alice", "", "alice"},
		{rules, "alice", "", "alice"},
		{rules, "alice-x+y", "", "alice-x+y alice"},
		{rules, "alice+x@EXAMPLE.org", "", "alice+x@example.org alice@example.org alice+x alice"},
		{rules, "alice@example.net", "", "alice@example.net all"},
		{rules, "+x", "", "all"},
		{rules, "alice+x@example.org", "alice@example.org", "alice+x@example.org alice@example.org"},
		{rules, "nobody", "nobody", "nobody"},
		{unlisted, "alice+x@example.org", "", "alice"},
	} {
		a := &asked{Spool: s, away: test.away}
		b, err := test.rules.Find(t.Context(), a, test.address, "")
		if (err == nil) == (test.away != "") || err != nil && !errors.Is(err, errAway) {
			t.Errorf("%s: %v", test.address, err)
		}
		if b != nil {
			_ = b.Close()
		}
		if got := strings.Join(a.users, " "); got != test.asked {
			t.Errorf("%s asks for %q, want %q", test.address, got, test.asked)
		}
	}
}

// A status is permanent for those errors only with which a retry is useless.
func TestStatus(t *testing.T) {
	s, _ := newSpool(t, "alice")
	for address, want := range map[string]string{"alice": "2.0.0", "nobody": "5.1.1", "a b": "5.1.1", "": "5.1.1"} {
		b, err := delivery.Rules{}.Find(t.Context(), s, address, "")
		if got := delivery.Status(err); got != want {
			t.Errorf("%q: %v is %s, want %s", address, err, got, want)
		}
		if b != nil {
			_ = b.Close()
		}
	}
	permanent := []error{spool.ErrNoUser, spool.ErrBadName, delivery.ErrLoop}
	for _, err := range []error{spool.ErrNoUser, spool.ErrBadName, delivery.ErrLoop, delivery.ErrNoRecipient, spool.ErrNoFolder, errAway} {
		if got := delivery.Status(err); (got[0] == '5') != slices.Contains(permanent, err) {
			t.Errorf("%v is %s", err, got)
		}
	}
}
