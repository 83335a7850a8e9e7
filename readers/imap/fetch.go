package imap

import (
	"context"
	"errors"
	"slices"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// fetchBatch is how many messages' summaries are held at a time.
const fetchBatch = 512

func (x *session) fetch(ctx context.Context, uid bool) {
	p := &x.p
	p.sp()
	set := p.numberSet()
	p.sp()
	items := p.fetchItems()
	if !p.end() {
		return
	}
	at, ok := x.places(set, uid)
	if !ok {
		p.bad("there is no message of that number")
		return
	}
	if uid && !slices.Contains(items.names, "UID") {
		items.names = append([]string{"UID"}, items.names...)
	}
	f := &fetcher{session: x, items: items}
	err := f.markSeen(ctx, at)
	for batch := range slices.Chunk(at, fetchBatch) {
		if err != nil || x.ended || ctx.Err() != nil {
			break
		}
		err = f.send(ctx, batch)
	}
	if x.ended { // within a literal, where nothing more can be said
		return
	}
	x.sync(uid)
	if err == nil {
		err = f.failed
	}
	x.done("that is all", err)
	if f.marked {
		x.changed()
	}
}

// fetcher is a FETCH under way.
type fetcher struct {
	*session
	items  *fetchItems
	marked bool
	failed error // of a message, which is left out
}

// markSeen sets \Seen before anything is shown, by one record for all messages.
func (f *fetcher) markSeen(ctx context.Context, at []int) error {
	v := f.view
	if !f.items.seen || v.readOnly {
		return nil
	}
	var fresh []int
	for _, i := range at {
		if unseen(v.msgs[i]) {
			fresh = append(fresh, i)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	_, err := v.SetFlags(ctx, v.uids(fresh), spool.FlagChange{Add: spool.Seen})
	if spool.NoRoom(err) {
		return nil // it can be read all the same
	}
	if err != nil {
		return err
	}
	f.marked = true
	if !slices.Contains(f.items.names, "FLAGS") {
		f.items.names = append(slices.Clone(f.items.names), "FLAGS") // RFC 9051 §6.4.5: told at once
	}
	for _, i := range fresh {
		if m, err := v.Message(v.msgs[i].UID); err == nil {
			v.msgs[i] = m
		}
	}
	return nil
}

// send shows some messages. The error is for what ends the command.
func (f *fetcher) send(ctx context.Context, at []int) error {
	sums, sizes, err := f.gather(ctx, at)
	if err != nil {
		return err
	}
	for k, i := range at {
		if _, needed := f.items.want(); needed && sums[k] == nil {
			f.fail(errGone)
			continue
		}
		size := int64(-1)
		if sizes != nil {
			size = sizes[k]
		}
		if err := f.message(ctx, i, sums[k], size); err != nil {
			return err
		}
		if len(f.out) > 32<<10 {
			f.flush()
		}
	}
	f.flush()
	return nil
}

func (f *fetcher) fail(err error) {
	if f.failed == nil {
		f.failed = err
	}
}

// gather reads the summaries and sizes that are asked for.
func (f *fetcher) gather(ctx context.Context, at []int) (sums []*summary.Summary, sizes []int64, err error) {
	sums = make([]*summary.Summary, len(at))
	want, needed := f.items.want()
	if needed {
		uids := f.view.uids(at)
		k := 0
		for s, serr := range f.view.Summaries(ctx, uids, want) {
			for k < len(at) && f.view.msgs[at[k]].UID < s.UID {
				k++
			}
			switch {
			case ctx.Err() != nil:
				return nil, nil, ctx.Err()
			case serr != nil:
				f.log.Warn("summary", "user", f.user, "error", serr)
				f.fail(serr)
			case k < len(at) && f.view.msgs[at[k]].UID == s.UID:
				sums[k] = s
			}
		}
	}
	if slices.Contains(f.items.names, "RFC822.SIZE") {
		msgs := make([]*spool.Message, len(at))
		for k, i := range at {
			msgs[k] = f.view.msgs[i]
		}
		sizes, err = f.wireSizes(ctx, f.view.Mailbox, msgs)
	}
	return sums, sizes, err
}

// wireSizes returns the sizes of messages with CRLF. Those of other programs'
// messages are in summaries, or found by reading them once.
func (x *session) wireSizes(ctx context.Context, m *spool.Mailbox, msgs []*spool.Message) ([]int64, error) {
	sizes := make([]int64, len(msgs))
	var unknown []uint32
	at := map[uint32]int{}
	for i, msg := range msgs {
		if sizes[i] = msg.Wire(); sizes[i] < 0 {
			unknown = append(unknown, msg.UID)
			at[msg.UID] = i
		}
	}
	if len(unknown) == 0 {
		return sizes, nil
	}
	for s, err := range m.Summaries(ctx, spool.SetOf(unknown...), spool.Columns) {
		i := at[s.UID]
		if sizes[i] = s.Wire; err == nil && s.Wire < 0 {
			sizes[i], err = x.measure(ctx, m, msgs[i])
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			x.log.Warn("size", "user", x.user, "error", err)
		}
	}
	for i, size := range sizes {
		if size < 0 {
			sizes[i] = msgs[i].Size // it cannot be read now
		}
	}
	return sizes, nil
}

func (x *session) measure(ctx context.Context, m *spool.Mailbox, msg *spool.Message) (int64, error) {
	file, err := m.OpenListed(ctx, msg)
	if err != nil {
		return -1, err
	}
	size, err := file.Size()
	if err == nil {
		size, err = wireLength(file, 0, size)
	}
	return size, errors.Join(err, file.Close())
}

// message shows one message. Its sections are found before anything is written,
// so that what cannot be read leaves the message out and not half a line.
func (f *fetcher) message(ctx context.Context, i int, s *summary.Summary, size int64) error {
	m := f.view.msgs[i]
	var parts []content
	if len(f.items.sections) > 0 {
		source, err := f.open(ctx, m)
		if err == nil {
			defer source.close()
			parts, err = source.find(f.items.sections)
		}
		if err != nil {
			if !errors.Is(err, spool.ErrNoMessage) {
				f.log.Warn("message", "user", f.user, "error", err)
			}
			f.fail(err)
			return ctx.Err()
		}
	}
	f.out = append(appendNumber(append(f.out, "* "...), uint64(i+1)), " FETCH ("...)
	start := len(f.out)
	for _, name := range f.items.names {
		if len(f.out) > start {
			f.out = append(f.out, ' ')
		}
		f.item(name, m, s, size)
	}
	for k, part := range parts {
		if len(f.out) > start {
			f.out = append(f.out, ' ')
		}
		f.out = append(append(f.out, f.items.sections[k].label...), ' ')
		if err := f.content(part); err != nil {
			// The client was promised so many bytes, and nothing else can be said.
			f.log.Error("message", "user", f.user, "error", err)
			f.ended = true
			return err
		}
		start = -1
	}
	f.out = append(f.out, ")\r\n"...)
	f.fetched++
	return nil
}

func (f *fetcher) item(name string, m *spool.Message, s *summary.Summary, size int64) {
	f.out = append(append(f.out, name...), ' ')
	switch name {
	case "UID":
		f.out = appendNumber(f.out, uint64(m.UID))
	case "FLAGS":
		f.out = appendFlags(f.out, m)
	case "INTERNALDATE":
		f.out = appendTime(f.out, m.Date)
	case "RFC822.SIZE":
		f.out = appendNumber(f.out, uint64(size))
	case "ENVELOPE":
		text := s.Envelope
		if text == "" { // too long to be kept
			text = "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
		}
		f.out = f.appendStrings(f.out, text)
	case "BODYSTRUCTURE":
		f.out = f.appendStrings(f.out, structure(s))
	case "BODY":
		f.out = f.appendStrings(f.out, withoutExtensions(structure(s)))
	case "PREVIEW":
		text := s.Preview
		if !f.utf8 && !isASCII(text) {
			f.out = append(appendNumber(append(f.out, '{'), uint64(len(text))), "}\r\n"...)
			f.out = append(f.out, text...)
		} else {
			f.out = appendString(f.out, text)
		}
	}
}

// structure is the BODYSTRUCTURE of a summary. A message whose structure is too
// long to be kept looks like one part.
func structure(s *summary.Summary) string {
	if s.Body != "" {
		return s.Body
	}
	return `("APPLICATION" "OCTET-STREAM" NIL NIL NIL "8BIT" ` + string(appendNumber(nil, uint64(max(s.Wire, s.Size)))) + ` NIL NIL NIL NIL)`
}
