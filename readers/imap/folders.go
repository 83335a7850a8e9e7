package imap

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/spool"
)

// userState follows the user's own log for f.
func (x *session) userState(ctx context.Context, f func(*spool.UserState) error) error {
	u, err := x.server.backend.Spool().UserState(ctx, x.user)
	if err != nil {
		return err
	}
	return errors.Join(f(u), u.Close(ctx))
}

// create also gives the folder a special use (RFC 6154 §3).
func (x *session) create(ctx context.Context) {
	x.p.sp()
	// A name that ends in the separator is a wish for folders below it, which
	// each folder can have (RFC 9051 §6.3.4).
	folder := strings.TrimSuffix(x.p.mailbox(x.utf8), separator)
	var uses []spool.Use
	if x.p.take(' ') {
		x.p.list(func() {
			if !x.p.word("USE") {
				x.p.bad("USE expected at %s", x.p.here())
			}
			x.p.sp()
			x.p.list(func() {
				x.p.want('\\')
				use, err := spool.ParseUse(x.p.atom())
				if err != nil {
					x.p.refuse("[USEATTR] there is no such use")
				}
				uses = append(uses, use)
			})
		})
	}
	if !x.p.end() {
		return
	}
	err := x.server.backend.Spool().CreateFolder(ctx, x.user, folder)
	if err == nil && len(uses) > 0 {
		err = x.userState(ctx, func(u *spool.UserState) error { return u.SetUses(ctx, folder, uses...) })
	}
	x.done("created", err)
}

func (x *session) remove(ctx context.Context) {
	x.p.sp()
	folder := x.p.mailbox(x.utf8)
	if !x.p.end() {
		return
	}
	if x.view != nil && x.view.folder == folder {
		x.deselect(ctx)
	}
	x.done("deleted", x.server.backend.Spool().DeleteFolder(ctx, x.user, folder))
}

func (x *session) rename(ctx context.Context) {
	x.p.sp()
	from := x.p.mailbox(x.utf8)
	x.p.sp()
	to := strings.TrimSuffix(x.p.mailbox(x.utf8), separator)
	if !x.p.end() {
		return
	}
	if from == spool.Inbox {
		x.done("renamed", x.moveInbox(ctx, to))
		return
	}
	x.done("renamed", x.server.backend.Spool().RenameFolder(ctx, x.user, from, to))
}

// moveInbox is what renaming INBOX means: its messages go, and it stays (RFC
// 9051 §6.3.6).
func (x *session) moveInbox(ctx context.Context, to string) error {
	if err := x.server.backend.Spool().CreateFolder(ctx, x.user, to); err != nil {
		return err
	}
	from, err := x.server.backend.Open(ctx, x.user, spool.Inbox)
	if err != nil {
		return err
	}
	target, err := x.server.backend.Open(ctx, x.user, to)
	if err == nil {
		_, err = from.Move(ctx, spool.AllUIDs(), target.Mailbox)
		target.Changed()
		from.Changed()
		err = errors.Join(err, target.Close(ctx))
	}
	return errors.Join(err, from.Close(ctx))
}

func (x *session) subscribe(ctx context.Context, on bool) {
	x.p.sp()
	folder := x.p.mailbox(x.utf8)
	if x.p.end() {
		x.done("done", x.userState(ctx, func(u *spool.UserState) error { return u.Subscribe(ctx, folder, on) }))
	}
}

// namespace is RFC 2342.
func (x *session) namespace(context.Context) {
	if x.p.end() {
		x.untagged(`NAMESPACE (("" "/")) NIL (("public/" "/"))`)
		x.reply("OK that is all")
	}
}

// listing is a LIST command (RFC 5258).
type listing struct {
	lsub                           bool
	patterns                       []string
	subscribed, recursive, special bool // what is selected
	showSubscribed, showSpecial    bool
	status                         *statusItems // RFC 5819
}

func (x *session) list(ctx context.Context) { x.listFolders(ctx, &listing{}) }

func (x *session) lsub(ctx context.Context) {
	x.listFolders(ctx, &listing{lsub: true, subscribed: true})
}

func (x *session) listFolders(ctx context.Context, l *listing) {
	p := &x.p
	p.sp()
	if !l.lsub && p.peek() == '(' {
		p.list(func() { l.selection(p) })
		p.sp()
	}
	base := p.astring()
	p.sp()
	if !l.lsub && p.peek() == '(' {
		p.list(func() { l.patterns = append(l.patterns, p.pattern()) })
	} else {
		l.patterns = append(l.patterns, p.pattern())
	}
	if !l.lsub && p.take(' ') {
		if !p.word("RETURN") {
			p.bad("RETURN expected at %s", p.here())
		}
		p.sp()
		p.list(func() { l.option(p) })
	}
	if l.recursive && !l.subscribed {
		p.bad("RECURSIVEMATCH comes with another option")
	}
	hierarchy := !l.lsub && len(l.patterns) == 1 && l.patterns[0] == ""
	for i, pattern := range l.patterns {
		l.patterns[i] = p.folder(base+pattern, x.utf8)
	}
	if !p.end() {
		return
	}
	if hierarchy {
		x.untagged(`LIST (\Noselect) "/" ""`) // RFC 3501 §6.3.8
		x.reply("OK that is all")
		return
	}
	folders, err := x.server.backend.Spool().Folders(ctx, x.user)
	if err == nil {
		x.answerList(ctx, l, folders)
	}
	x.done("that is all", err)
}

func (l *listing) selection(p *parser) {
	switch word := p.atom(); word {
	case "SUBSCRIBED":
		l.subscribed, l.showSubscribed = true, true
	case "REMOTE":
	case "RECURSIVEMATCH":
		l.recursive = true
	case "SPECIAL-USE":
		l.special, l.showSpecial = true, true
	default:
		p.bad("LIST cannot select by %.20s", word)
	}
}

func (l *listing) option(p *parser) {
	switch word := p.atom(); word {
	case "SUBSCRIBED":
		l.showSubscribed = true
	case "CHILDREN":
	case "SPECIAL-USE":
		l.showSpecial = true
	case "STATUS":
		p.sp()
		l.status = p.statusItems()
	default:
		p.bad("LIST cannot return %.20s", word)
	}
}

// listed is a folder, or a level above one that is none itself.
type listed struct {
	spool.Folder
	none     bool // there is no such folder
	children bool
	below    bool // a folder below it is selected, and does not match
}

func (x *session) answerList(ctx context.Context, l *listing, folders []spool.Folder) {
	byName := map[string]*listed{}
	var names []string
	put := func(name string) *listed {
		f := byName[name]
		if f == nil {
			f = &listed{Folder: spool.Folder{Name: name}, none: true}
			byName[name] = f
			names = append(names, name)
		}
		return f
	}
	for _, f := range folders {
		e := put(f.Name)
		e.Folder, e.none = f, f.Missing
		chosen := l.selects(e)
		for name := f.Name; ; {
			i := strings.LastIndex(name, separator)
			if i < 0 {
				break
			}
			name = name[:i]
			above := put(name)
			above.children = above.children || !f.Missing
			above.below = above.below || chosen && !l.matches(f.Name)
		}
	}
	slices.SortStableFunc(names, compareFolders)
	for _, name := range names {
		f := byName[name]
		if !l.matches(name) {
			continue
		}
		info := l.lsub || l.recursive
		switch {
		case l.selects(f) && (!f.none || l.subscribed):
		case info && f.below && l.subscribed:
		case f.none && f.children && !l.subscribed && !l.special:
		default:
			continue
		}
		x.appendListed(l, f)
		x.flush()
		if l.status != nil && !f.none {
			if err := x.sendStatus(ctx, name, l.status); err != nil {
				x.log.Warn("status", "user", x.user, "folder", name, "error", err)
			}
		}
	}
}

// compareFolders has INBOX first.
func compareFolders(a, b string) int {
	if ai, bi := a == spool.Inbox, b == spool.Inbox; ai != bi {
		if ai {
			return -1
		}
		return 1
	}
	return strings.Compare(a, b)
}

func (l *listing) selects(f *listed) bool {
	return (!l.subscribed || f.Subscribed) && (!l.special || len(f.Uses) > 0)
}

func (x *session) appendListed(l *listing, f *listed) {
	word := "LIST"
	if l.lsub {
		word = "LSUB"
	}
	x.out = append(append(append(x.out, "* "...), word...), " ("...)
	list := len(x.out)
	add := func(attribute string) {
		if len(x.out) > list {
			x.out = append(x.out, ' ')
		}
		x.out = append(x.out, attribute...)
	}
	switch {
	case l.lsub && !f.Subscribed, f.none && !f.Missing:
		add(`\Noselect`)
	case f.Missing && !l.lsub:
		add(`\NonExistent`)
	}
	if !l.lsub {
		if f.children {
			add(`\HasChildren`)
		} else if !f.none {
			add(`\HasNoChildren`)
		}
		if l.showSubscribed && f.Subscribed {
			add(`\Subscribed`)
		}
		for _, u := range f.Uses { // every LIST may tell them (RFC 6154 §2)
			add(u.Attribute())
		}
	}
	x.out = append(x.out, `) "/" `...)
	x.out = x.appendMailbox(x.out, f.Name)
	if l.recursive && f.below {
		x.out = append(x.out, ` ("CHILDINFO" ("SUBSCRIBED"))`...)
	}
	x.out = append(x.out, "\r\n"...)
}

func (l *listing) matches(name string) bool {
	return slices.ContainsFunc(l.patterns, func(p string) bool { return match(p, name) })
}

// match tells whether a name is one of a pattern, in which * is anything and %
// anything without a separator. INBOX is itself in any case.
func match(pattern, name string) bool {
	if name == spool.Inbox && strings.EqualFold(pattern, name) {
		return true
	}
	// back are the places to go on from when the rest does not match: the last
	// of each kind is enough, since whatever comes before it has matched.
	type place struct{ p, n int }
	star, percent := place{-1, 0}, place{-1, 0}
	p, n := 0, 0
	for n < len(name) || p < len(pattern) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, percent = place{p, n}, place{-1, 0}
			p++
			continue
		case p < len(pattern) && pattern[p] == '%':
			percent = place{p, n}
			p++
			continue
		case p < len(pattern) && n < len(name) && pattern[p] == name[n]:
			p++
			n++
			continue
		}
		switch {
		case percent.p >= 0 && percent.n < len(name) && name[percent.n] != separator[0]:
			percent.n++
			p, n = percent.p+1, percent.n
		case star.p >= 0 && star.n < len(name):
			star.n++
			percent = place{-1, 0}
			p, n = star.p+1, star.n
		default:
			return false
		}
	}
	return true
}
