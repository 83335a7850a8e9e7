package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/spool"
)

// Rules turn the address of a recipient into a user and a folder. With the
// zero value the address is the user's name.
type Rules struct {
	// Separators are the characters that may stand between a user and a detail:
	// with "+", mail for alice+lists goes to alice's folder lists if there is
	// one, and else to her INBOX. The first of them in the address counts. A user
	// whose whole name has one goes before.
	Separators string
	// Domains are those whose users are also found by their names alone.
	Domains []string
	// CatchAll is the user who gets what is for nobody; %d in it is the domain of
	// the address. Empty means that such mail is refused.
	CatchAll string
	// Exact takes case as it is: users have small letters, and a detail is a
	// folder's name to the letter. Else capitals of a user are small letters, and
	// a folder whose name differs in case alone is found if it is the only one.
	Exact bool
	// Unlisted says that nobody knows which users there are, so that a missing
	// mailbox is a temporary error: an address is taken apart without asking.
	Unlisted bool
}

// Find finds the mailbox that mail for an address goes to. folder goes before
// what the address says; empty, it is that or INBOX. The error wraps
// [spool.ErrNoUser], or [spool.ErrBadName] without a valid name of a user,
// only if it is certain that the address is nobody's.
func (r Rules) Find(ctx context.Context, to Mailboxes, address, folder string) (*spool.Box, error) {
	var nobody error
	for _, m := range r.meanings(address) {
		b, err := r.box(ctx, to, m, folder)
		if !m.nobody(err) {
			return b, err
		}
		nobody = cmp.Or(nobody, err)
	}
	if r.CatchAll == "" {
		return nil, nobody
	}
	_, domain := cutDomain(address)
	user := strings.ReplaceAll(r.CatchAll, "%d", domain)
	b, err := r.box(ctx, to, meaning{user: user}, folder)
	if err != nil {
		// The setting is wrong, which is no reason to give mail back.
		return nil, fmt.Errorf("catch-all: %v", err)
	}
	return b, nil
}

// Names tells whether an address is a user's, without a detail.
func (r Rules) Names(address, user string) bool {
	r.Separators = ""
	return slices.ContainsFunc(r.meanings(address), func(m meaning) bool {
		name, err := spool.CleanUser(m.user)
		return err == nil && name == user
	})
}

// meaning is what an address may mean.
type meaning struct{ user, detail string }

// nobody tells whether err says for certain that there is no such user.
func (m meaning) nobody(err error) bool {
	if errors.Is(err, spool.ErrBadName) {
		_, bad := spool.CleanUser(m.user)
		return bad != nil // else the folder or the location is wrong
	}
	return errors.Is(err, spool.ErrNoUser)
}

// meanings lists what an address may mean, the most literal first.
func (r Rules) meanings(address string) (list []meaning) {
	local, domain := cutDomain(address)
	parts := []meaning{{local, ""}}
	if at := strings.IndexAny(local, r.Separators); at > 0 {
		parts = append(parts, meaning{local[:at], local[at+1:]})
	}
	if domain != "" {
		for _, p := range parts {
			list = append(list, meaning{p.user + "@" + domain, p.detail})
		}
	}
	own := func(d string) bool { return strings.EqualFold(d, domain) }
	if domain == "" || slices.ContainsFunc(r.Domains, own) {
		list = append(list, parts...)
	}
	if r.Unlisted {
		list = list[len(list)-1:]
	}
	return list
}

// cutDomain cuts an address at its last @.
func cutDomain(address string) (local, domain string) {
	if at := strings.LastIndexByte(address, '@'); at >= 0 {
		return address[:at], address[at+1:]
	}
	return address, ""
}

func (r Rules) box(ctx context.Context, to Mailboxes, m meaning, folder string) (*spool.Box, error) {
	user, err := spool.CleanUser(m.user)
	if err != nil {
		return nil, err
	}
	if r.Exact && user != m.user {
		return nil, fmt.Errorf("user %s: %w: names have small letters", m.user, spool.ErrNoUser)
	}
	b, err := to.Box(ctx, user, cmp.Or(folder, spool.Inbox))
	if err != nil || folder != "" || m.detail == "" {
		return b, err
	}
	other, err := b.Sibling(ctx, m.detail, !r.Exact)
	if errors.Is(err, spool.ErrNoFolder) || errors.Is(err, spool.ErrBadName) {
		return b, nil
	}
	_ = b.Close()
	return other, err
}
