package imap

import (
	"context"
	"errors"
	"slices"
	"sort"

	"github.com/bobbinmail/bobbin/readers/pool"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

var errReadOnly = errors.New("read only")

// view is a selected mailbox as the client knows it: what was committed since
// is in it when the client has been told. A message's number is its place, from
// 1.
type view struct {
	*pool.Use
	folder   string
	readOnly bool
	validity uint32
	modSeq   uint64           // of the mailbox when it was compared last
	msgs     []*spool.Message // as the client knows them
	saved    []uint32         // UIDs of SEARCH RETURN (SAVE) (RFC 5182)
}

// find returns the place of a UID, or where it would be.
func (v *view) find(uid uint32) (at int, found bool) {
	at = sort.Search(len(v.msgs), func(i int) bool { return v.msgs[i].UID >= uid })
	return at, at < len(v.msgs) && v.msgs[at].UID == uid
}

func (x *session) selectMailbox(ctx context.Context, readOnly bool) {
	x.p.sp()
	folder := x.p.mailbox(x.utf8)
	if !x.p.end() {
		return
	}
	had := x.view != nil
	x.deselect(ctx)
	if had {
		x.untagged("OK [CLOSED] the mailbox before is closed")
	}
	use, err := x.server.backend.Open(ctx, x.user, folder)
	if err != nil {
		x.done("", err)
		return
	}
	v := &view{Use: use, folder: folder, readOnly: readOnly, validity: use.UIDValidity(), modSeq: use.ModSeq()}
	next := use.UIDNext() // before the messages: who reads on from there misses none
	v.msgs = use.Messages()
	x.view = v
	x.untagged("%d EXISTS", len(v.msgs))
	if !x.rev2 {
		x.untagged("0 RECENT")
		if i := slices.IndexFunc(v.msgs, unseen); i >= 0 {
			x.untagged("OK [UNSEEN %d] first unseen", i+1)
		}
	}
	x.flags(v.keywords())
	x.untagged("OK [UIDVALIDITY %d] UIDs are valid", v.validity)
	x.untagged("OK [UIDNEXT %d] next UID", next)
	if x.rev2 {
		x.out = append(x.appendMailbox(append(x.out, `* LIST () "/" `...), folder), "\r\n"...)
		x.flush()
	}
	if readOnly {
		x.reply("OK [READ-ONLY] selected")
	} else {
		x.reply("OK [READ-WRITE] selected")
	}
}

func unseen(m *spool.Message) bool { return m.Flags&spool.Seen == 0 }

// flags tells which flags there are. Any keyword can be made.
func (x *session) flags(keywords []string) {
	list := `\Answered \Flagged \Deleted \Seen \Draft ` + forwarded
	for _, k := range keywords {
		list += " " + k
	}
	x.untagged("FLAGS (%s)", list)
	if x.view.readOnly {
		x.untagged("OK [PERMANENTFLAGS ()] nothing can be changed")
	} else {
		x.untagged(`OK [PERMANENTFLAGS (%s \*)] these last`, list)
	}
}

// keywords lists those that some message has.
func (v *view) keywords() (list []string) {
	var last []string
	seen := map[string]bool{}
	for _, m := range v.msgs {
		if len(m.Keywords) == 0 || len(last) > 0 && &m.Keywords[0] == &last[0] {
			continue
		}
		last = m.Keywords
		for _, k := range m.Keywords {
			if !seen[k] {
				seen[k] = true
				list = append(list, k)
			}
		}
	}
	slices.Sort(list)
	return list
}

// deselect ends the use of a mailbox.
func (x *session) deselect(ctx context.Context) {
	if x.view == nil {
		return
	}
	if err := x.view.Close(ctx); err != nil {
		x.log.Warn("file names", "user", x.user, "error", err)
	}
	x.view, x.scanned, x.at = nil, nil, position{}
}

// sync tells the client what was committed since, by whomever: that messages are
// gone only where expunged, which some commands forbid (RFC 9051 §7.5.1).
func (x *session) sync(expunged bool) {
	v := x.view
	// In a shared folder \Seen is no change of the folder.
	if v == nil || v.modSeq == v.ModSeq() && !spool.IsPublic(v.folder) {
		return
	}
	modSeq := v.ModSeq()
	now := v.Messages()
	if v.UIDValidity() != v.validity {
		x.untagged("BYE the mailbox was made anew, connect again")
		x.ended = true
		return
	}
	var kept []*spool.Message
	known, gone := 0, 0 // known counts messages of now that the client has
	for i, old := range v.msgs {
		switch {
		case known < len(now) && now[known].UID == old.UID:
			m := now[known]
			known++
			if m != old && (m.Flags != old.Flags || !slices.Equal(m.Keywords, old.Keywords)) {
				x.out = x.appendFetchFlags(x.out, i-gone, m)
			}
			kept = append(kept, m)
		case !expunged:
			kept = append(kept, old)
			modSeq = v.modSeq // so that it is looked at again
		default:
			x.out = append(x.out, "* "...)
			x.out = appendNumber(x.out, uint64(i-gone+1))
			x.out = append(x.out, " EXPUNGE\r\n"...)
			gone++
		}
		if len(x.out) > 32<<10 {
			x.flush()
		}
	}
	x.flush()
	if known < len(now) {
		kept = append(kept, now[known:]...)
		x.untagged("%d EXISTS", len(kept))
		if !x.rev2 {
			x.untagged("0 RECENT")
		}
	}
	v.msgs, v.modSeq = kept, modSeq
}

// appendFetchFlags tells the flags of the message at a place.
func (x *session) appendFetchFlags(b []byte, at int, m *spool.Message) []byte {
	b = append(b, "* "...)
	b = appendNumber(b, uint64(at+1))
	b = append(b, " FETCH (UID "...)
	b = appendNumber(b, uint64(m.UID))
	b = append(b, " FLAGS "...)
	b = appendFlags(b, m)
	return append(b, ")\r\n"...)
}

// refresh takes in what other hosts and programs did, and tells it.
func (x *session) refresh(ctx context.Context) error {
	if x.view == nil {
		return nil
	}
	err := x.view.Refresh(ctx)
	if errors.Is(err, spool.ErrNoFolder) || errors.Is(err, commitlog.ErrWentBack) {
		x.untagged("BYE the mailbox was deleted or made anew, connect again")
		x.ended = true
		return nil
	}
	if spool.NoRoom(err) {
		err = nil // it can be read all the same
	}
	if err == nil {
		x.sync(true)
	}
	return err
}

// noop also is CHECK: what was acknowledged is durable already.
func (x *session) noop(ctx context.Context) {
	if x.p.end() {
		x.done("done", x.refresh(ctx))
	}
}

func (x *session) unselect(ctx context.Context) {
	if x.p.end() {
		x.deselect(ctx)
		x.reply("OK the mailbox is closed")
	}
}

// closeMailbox also expunges, and tells nothing of it.
func (x *session) closeMailbox(ctx context.Context) {
	if !x.p.end() {
		return
	}
	var err error
	if !x.view.readOnly {
		if set := x.view.deleted(nil); len(set) > 0 {
			_, err = x.view.Expunge(ctx, set)
			x.changed()
		}
	}
	x.deselect(ctx)
	x.done("the mailbox is closed", err)
}

// deleted are the messages with \Deleted, of those in only if that is not nil.
func (v *view) deleted(only []int) spool.UIDSet {
	var at []int
	pick := func(i int) {
		if m, err := v.Message(v.msgs[i].UID); err == nil && m.Flags&spool.Deleted != 0 {
			at = append(at, i)
		}
	}
	if only == nil {
		for i := range v.msgs {
			pick(i)
		}
	}
	for _, i := range only {
		pick(i)
	}
	return v.uids(at)
}

func (x *session) expunge(ctx context.Context, uid bool) {
	var at []int
	if uid {
		x.p.sp()
		set := x.p.numberSet()
		if x.p.err == nil {
			at, _ = x.places(set, true)
			at = append([]int{}, at...)
		}
	}
	if !x.p.end() {
		return
	}
	if x.view.readOnly {
		x.done("", errReadOnly)
		return
	}
	err := x.view.Refresh(ctx) // flags that other hosts have set count
	if spool.NoRoom(err) {
		err = nil // to expunge makes room
	}
	if set := x.view.deleted(at); err == nil && len(set) > 0 {
		_, err = x.view.Expunge(ctx, set)
	}
	x.sync(true)
	x.changed()
	x.done("expunged", err)
}
