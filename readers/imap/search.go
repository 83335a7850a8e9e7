package imap

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/readers/search"
	"github.com/bobbinmail/bobbin/spool"
)

// returned is what SEARCH RETURN asks for (RFC 4731, RFC 5182).
type returned struct {
	extended, min, max, all, count, save bool
}

func (x *session) search(ctx context.Context, uid bool) {
	p := &x.p
	p.sp()
	var r returned
	if p.word("RETURN") {
		r.extended = true
		p.sp()
		p.list(func() { r.option(p) })
		if !r.min && !r.max && !r.count && !r.save {
			r.all = true
		}
		p.sp()
	}
	if p.word("CHARSET") {
		p.sp()
		charset := p.astring()
		p.sp()
		if !strings.EqualFold(charset, "UTF-8") && !strings.EqualFold(charset, "US-ASCII") && p.err == nil {
			x.view.saved = nil
			p.refuse("[BADCHARSET (UTF-8 US-ASCII)] texts are taken in these")
			return
		}
	}
	key := x.searchKeys()
	if !p.end() {
		return
	}
	found, problems, err := search.Find(ctx, x.view.Mailbox, key)
	for _, problem := range problems {
		x.log.Warn("search", "user", x.user, "error", problem)
	}
	if err != nil {
		x.view.saved = nil // RFC 5182 §2.1
		x.done("", err)
		return
	}
	x.found(found, &r, uid)
	x.sync(uid)
	x.reply("OK that is all")
}

func (r *returned) option(p *parser) {
	switch word := p.atom(); word {
	case "MIN":
		r.min = true
	case "MAX":
		r.max = true
	case "ALL":
		r.all = true
	case "COUNT":
		r.count = true
	case "SAVE":
		r.save = true
	default:
		p.bad("SEARCH cannot return %.20s", word)
	}
}

// found answers with what a search has found, of the messages that the client
// knows.
func (x *session) found(set spool.UIDSet, r *returned, uid bool) {
	v := x.view
	var uids, numbers []uint32
	for i, m := range v.msgs {
		if !set.Contains(m.UID) {
			continue
		}
		uids = append(uids, m.UID)
		if uid {
			numbers = append(numbers, m.UID)
		} else {
			numbers = append(numbers, uint32(i+1))
		}
	}
	if r.save {
		v.saved = r.toSave(uids)
	}
	if !r.extended && !x.rev2 {
		x.out = append(x.out, "* SEARCH"...)
		for _, n := range numbers {
			x.out = appendNumber(append(x.out, ' '), uint64(n))
		}
		x.out = append(x.out, "\r\n"...)
		x.flush()
		return
	}
	if r.save && !r.min && !r.max && !r.all && !r.count {
		return // the result is kept and not told (RFC 5182 §2.1)
	}
	x.out = appendString(append(x.out, "* ESEARCH (TAG "...), x.tag)
	x.out = append(x.out, ')')
	if uid {
		x.out = append(x.out, " UID"...)
	}
	if n := len(numbers); n > 0 {
		if r.min {
			x.out = appendNumber(append(x.out, " MIN "...), uint64(numbers[0]))
		}
		if r.max {
			x.out = appendNumber(append(x.out, " MAX "...), uint64(numbers[n-1]))
		}
		if r.all || !r.extended {
			x.out = appendSet(append(x.out, " ALL "...), numbers)
		}
	}
	if r.count {
		x.out = appendNumber(append(x.out, " COUNT "...), uint64(len(numbers)))
	}
	x.out = append(x.out, "\r\n"...)
	x.flush()
}

// toSave is the part of a result that "$" means (RFC 5182 §2.1).
func (r *returned) toSave(uids []uint32) []uint32 {
	if r.all || r.count || !r.min && !r.max || len(uids) == 0 {
		return uids
	}
	var save []uint32
	if r.min {
		save = append(save, uids[0])
	}
	if r.max {
		save = append(save, uids[len(uids)-1])
	}
	return slices.Compact(save)
}

// searchKeys reads keys that must all hold.
func (x *session) searchKeys() search.Key {
	and := search.Key{Op: search.And}
	for x.p.err == nil {
		and.Keys = append(and.Keys, x.searchKey())
		if !x.p.take(' ') {
			break
		}
	}
	return and
}

func not(k search.Key) search.Key { return search.Key{Op: search.Not, Keys: []search.Key{k}} }

// flagKeys are the keys that ask for a flag; UN before one asks for its absence.
var flagKeys = map[string]spool.Flags{
	"ANSWERED": spool.Answered, "DELETED": spool.Deleted, "DRAFT": spool.Draft, "FLAGGED": spool.Flagged, "SEEN": spool.Seen,
}

// textKeys are the keys with a string, and dateKeys those with a day.
var (
	textKeys = map[string]search.Op{
		"BCC": search.Bcc, "BODY": search.Body, "CC": search.Cc, "FROM": search.From,
		"SUBJECT": search.Subject, "TEXT": search.Text, "TO": search.To,
	}
	dateKeys = map[string]search.Op{
		"BEFORE": search.Before, "ON": search.On, "SINCE": search.Since,
		"SENTBEFORE": search.SentBefore, "SENTON": search.SentOn, "SENTSINCE": search.SentSince,
	}
)

func (x *session) searchKey() (k search.Key) {
	p := &x.p
	if p.keys++; p.keys > maxKeys {
		p.bad("[TOOBIG] a search has at most %d keys", maxKeys)
	}
	switch c := p.peek(); {
	case c == '(':
		p.nested(func() {
			p.want('(')
			k = x.searchKeys()
			p.want(')')
		})
		return k
	case c == '*' || c == '$' || isDigit(c):
		return x.setKey(false)
	}
	word := p.atom()
	if op, ok := textKeys[word]; ok {
		p.sp()
		return search.Key{Op: op, Text: p.astring()}
	}
	if op, ok := dateKeys[word]; ok {
		p.sp()
		return search.Key{Op: op, Day: p.date()}
	}
	if f, ok := flagKeys[word]; ok {
		return search.Key{Op: search.Flag, Flags: f}
	}
	if f, ok := flagKeys[strings.TrimPrefix(word, "UN")]; ok {
		return not(search.Key{Op: search.Flag, Flags: f})
	}
	return x.otherKey(word)
}

func (x *session) otherKey(word string) (k search.Key) {
	p := &x.p
	switch word {
	case "ALL", "OLD": // nothing is recent: see SELECT
		return search.Key{Op: search.All}
	case "NEW", "RECENT":
		return not(search.Key{Op: search.All})
	case "NOT":
		p.sp()
		p.nested(func() { k = not(x.searchKey()) })
	case "OR":
		p.sp()
		p.nested(func() {
			k = search.Key{Op: search.Or, Keys: []search.Key{x.searchKey()}}
			p.sp()
			k.Keys = append(k.Keys, x.searchKey())
		})
	case "KEYWORD", "UNKEYWORD":
		p.sp()
		name := p.span("a keyword", isAtom)
		if k = (search.Key{Op: search.Keyword, Name: name}); strings.EqualFold(name, forwarded) {
			k = search.Key{Op: search.Flag, Flags: spool.Passed}
		}
		if word == "UNKEYWORD" {
			k = not(k)
		}
	case "HEADER":
		p.sp()
		k = search.Key{Op: search.Header, Name: p.astring()}
		p.sp()
		k.Text = p.astring()
	case "LARGER", "SMALLER":
		p.sp()
		if k = (search.Key{Op: search.Larger, Size: int64(p.number64())}); word == "SMALLER" {
			k.Op = search.Smaller
		}
	case "OLDER", "YOUNGER": // RFC 5032
		p.sp()
		k = search.Key{Op: search.Since, Day: time.Now().Add(-time.Duration(p.number()) * time.Second)}
		if word == "OLDER" {
			k.Op = search.Before
		}
	case "UID":
		p.sp()
		return x.setKey(true)
	default:
		p.bad("there is no search key %.20s", word)
	}
	return k
}

// setKey is a set of messages, as their UIDs.
func (x *session) setKey(uid bool) search.Key {
	set := x.p.numberSet()
	if x.p.err != nil {
		return search.Key{}
	}
	at, ok := x.places(set, uid)
	if !ok {
		x.p.bad("there is no message of that number")
	}
	return search.Key{Op: search.UID, UIDs: x.view.uids(at)}
}
