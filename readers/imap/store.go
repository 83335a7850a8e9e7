package imap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/spool"
)

// errGone means that other hosts expunged some of the messages.
var errGone = fmt.Errorf("%w any more", spool.ErrNoMessage)

func (x *session) store(ctx context.Context, uid bool) {
	p := &x.p
	p.sp()
	set := p.numberSet()
	p.sp()
	how := byte(0)
	if p.peek() == '+' || p.peek() == '-' {
		how = p.peek()
		p.take(how)
	}
	word := p.span("FLAGS", func(c byte) bool { return c == '.' || isAtom(c) })
	word, quiet := strings.CutSuffix(strings.ToUpper(word), ".SILENT")
	if word != "FLAGS" {
		p.bad("STORE changes FLAGS, and not %.20s", word)
	}
	p.sp()
	var c spool.FlagChange
	if p.peek() == '(' {
		p.list(func() { p.flag(&c, false) })
	} else {
		for p.flag(&c, false); p.take(' '); {
			p.flag(&c, false)
		}
	}
	if !p.end() {
		return
	}
	at, ok := x.places(set, uid)
	switch {
	case !ok:
		p.bad("there is no message of that number")
		return
	case x.view.readOnly:
		x.done("", errReadOnly)
		return
	}
	c = x.resolve(at, how, c)
	had := x.view.keywords()
	_, err := x.view.SetFlags(ctx, x.view.uids(at), c)
	if err == nil {
		if all := union(had, c.AddKeywords); len(all) > len(had) {
			x.flags(all)
		}
	}
	if x.told(at, quiet, c) && err == nil {
		err = errGone
	}
	x.sync(uid)
	x.done("stored", err)
	x.changed()
}

// union returns both lists in order, each word once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// resolve makes a change of flags to set, add (+) or remove (-) at places.
func (x *session) resolve(at []int, how byte, c spool.FlagChange) spool.FlagChange {
	c.AddKeywords = x.spelled(c.AddKeywords)
	switch how {
	case '-':
		c.Remove, c.RemoveKeywords, c.Add, c.AddKeywords = c.Add, c.AddKeywords, 0, nil
	case 0:
		c.Remove = allFlags &^ c.Add
		for _, k := range x.keywordsOf(at) {
			if !slices.Contains(c.AddKeywords, k) {
				c.RemoveKeywords = append(c.RemoveKeywords, k)
			}
		}
	}
	return c
}

const allFlags = spool.Answered | spool.Flagged | spool.Deleted | spool.Seen | spool.Draft | spool.Passed

// spelled returns keywords, which are the same in any case, as messages of the
// mailbox have them already.
func (x *session) spelled(keywords []string) []string {
	if len(keywords) == 0 {
		return nil
	}
	have := x.view.keywords()
	for i, k := range keywords {
		if j := slices.IndexFunc(have, func(h string) bool { return strings.EqualFold(h, k) }); j >= 0 {
			keywords[i] = have[j]
		}
	}
	slices.Sort(keywords)
	return slices.Compact(keywords)
}

// keywordsOf lists what the messages at places have now.
func (x *session) keywordsOf(at []int) (list []string) {
	for _, i := range at {
		m, err := x.view.Message(x.view.msgs[i].UID)
		if err != nil {
			continue
		}
		for _, k := range m.Keywords {
			if !slices.Contains(list, k) {
				list = append(list, k)
			}
		}
	}
	return list
}

// told shows the flags of the messages at places as they are now. quiet leaves
// out those of which the client knows them by what it changed itself. gone tells
// that there are no longer all of the messages.
func (x *session) told(at []int, quiet bool, c spool.FlagChange) (gone bool) {
	v := x.view
	for _, i := range at {
		old := v.msgs[i]
		m, err := v.Message(old.UID)
		if err != nil {
			gone = true
			continue
		}
		v.msgs[i] = m
		if !quiet || m.Flags != old.Flags&^c.Remove|c.Add || !slices.Equal(m.Keywords, changed(old.Keywords, c)) {
			x.out = x.appendFetchFlags(x.out, i, m)
			if len(x.out) > 32<<10 {
				x.flush()
			}
		}
	}
	x.flush()
	return gone
}

// changed returns keywords after a change.
func changed(keywords []string, c spool.FlagChange) []string {
	if len(c.AddKeywords)+len(c.RemoveKeywords) == 0 {
		return keywords
	}
	left := slices.DeleteFunc(slices.Clone(keywords), func(k string) bool { return slices.Contains(c.RemoveKeywords, k) })
	return union(left, c.AddKeywords)
}
