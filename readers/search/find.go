package search

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// batch is how many messages are looked at together.
const batch = 4096

// Find returns the UIDs of the messages of m for which k holds. Messages that
// cannot be read are left out and spoken of by problems, at most 100 of them.
// The error is for what ended the search: ctx is over.
//
// Summaries are asked only for messages for which the log does not tell, and
// messages are opened only if their summaries do not tell.
func Find(ctx context.Context, m *spool.Mailbox, k Key) (found spool.UIDSet, problems []error, err error) {
	msgs := m.Messages()
	if len(msgs) > 0 {
		k = k.resolve(msgs[len(msgs)-1].UID)
	}
	var uids []uint32
	for len(msgs) > 0 && err == nil {
		n := min(batch, len(msgs))
		f := finder{m: m, key: &k, open: map[uint32]*view{}}
		err = f.run(ctx, msgs[:n])
		for _, msg := range msgs[:n] {
			if f.yes[msg.UID] {
				uids = append(uids, msg.UID)
			}
		}
		problems = append(problems, f.problems...)
		msgs = msgs[n:]
	}
	return spool.SetOf(uids...), problems[:min(len(problems), 100)], err
}

// finder searches some messages.
type finder struct {
	m        *spool.Mailbox
	key      *Key
	yes      map[uint32]bool
	open     map[uint32]*view // messages of which more must be known
	problems []error
}

func (f *finder) run(ctx context.Context, msgs []*spool.Message) error {
	f.yes = map[uint32]bool{}
	var left []uint32
	for _, msg := range msgs {
		v := &view{msg: msg}
		if f.judge(v) {
			left = append(left, msg.UID)
		}
	}
	wants := []spool.Want{spool.Columns}
	if f.key.asksEnvelope() {
		wants = append(wants, spool.Envelope)
	}
	for _, want := range wants {
		var still []uint32
		for s, err := range f.m.Summaries(ctx, spool.SetOf(left...), want) {
			if err != nil {
				f.problem(s.UID, err)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				continue
			}
			v := f.open[s.UID]
			v.sum = s
			if e, ok := summary.ParseEnvelope(s.Envelope); ok {
				v.env = &e
			}
			if f.judge(v) {
				still = append(still, s.UID)
			}
		}
		left = still
	}
	for _, uid := range left {
		if err := ctx.Err(); err != nil {
			return err
		}
		f.read(ctx, f.open[uid])
	}
	return nil
}

// judge takes note of a message for which the answer is known and tells
// whether more must be known.
func (f *finder) judge(v *view) (more bool) {
	switch f.key.ask(v) {
	case yes:
		f.yes[v.msg.UID] = true
	case unknown:
		f.open[v.msg.UID] = v
		return true
	}
	delete(f.open, v.msg.UID)
	return false
}

func (f *finder) problem(uid uint32, err error) {
	f.problems = append(f.problems, err)
	delete(f.open, uid)
}

// read opens a message and asks it.
func (f *finder) read(ctx context.Context, v *view) {
	uid := v.msg.UID
	in, _, err := f.m.OpenMessage(ctx, uid)
	if errors.Is(err, spool.ErrNoMessage) {
		return // expunged meanwhile
	}
	if err == nil {
		if v.file, err = openFile(in); err == nil {
			f.judge(v)
			err = v.file.err
		}
		err = errors.Join(err, in.Close())
	}
	if err != nil {
		delete(f.yes, uid)
		f.problem(uid, fmt.Errorf("UID %d: %w", uid, err))
	}
}

// resolve returns the program with "*" alone standing for the last message.
func (k Key) resolve(last uint32) Key {
	k.UIDs, k.Keys = k.UIDs.Resolve(last), slices.Clone(k.Keys)
	for i := range k.Keys {
		k.Keys[i] = k.Keys[i].resolve(last)
	}
	return k
}

// asksEnvelope tells whether the program asks for what only envelopes have.
func (k *Key) asksEnvelope() bool {
	for i := range k.Keys {
		if k.Keys[i].asksEnvelope() {
			return true
		}
	}
	return k.Op == To || k.Op == Cc || k.Op == Bcc
}
