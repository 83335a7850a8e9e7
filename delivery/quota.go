package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// ErrQuota means that folders of a user hold as much as they may. Mail for him may be
// tried again, unless the error is [ErrQuotaRefused] too.
var ErrQuota = errors.New("over quota")

// ErrQuotaRefused is an ErrQuota for which mail is given back.
var ErrQuotaRefused = errors.New("mail is given back")

// Quota limits what users keep. What a user's folders hold is in the user's own log: a
// delivery puts its message there before it is visible (spool.UserState.Take), so all
// hosts together deliver nothing beyond a hard limit. What others put there, such as
// programs that do not know the log and copies that are made at the same moment, counts
// from when a folder is counted next.
type Quota struct {
	Rules []QuotaRule
	// Refuse makes a full mailbox a permanent error.
	Refuse bool
	// Warn, if set, is called after the delivery of a message that crossed a soft
	// limit: once for all hosts, until the usage has fallen below it.
	Warn func(ctx context.Context, w QuotaWarning)
	// Keep, if set, keeps the logs of users open between deliveries.
	Keep *QuotaStates
}

// QuotaWarning says that the folders of a rule hold more than its soft limit.
type QuotaWarning struct {
	User            string
	Rule            QuotaRule
	Messages, Bytes int64
}

// recountPause is how often a refusal makes a server count all folders of a user
// again: other programs may have made room.
const recountPause = time.Minute

// pendingMax is how many messages may wait in a folder until a delivery gives them
// UIDs, so that the user's log stays short where nobody reads.
const pendingMax = 256

// taken is a message that counts for a quota, or nil where there is none.
type taken struct {
	quota   *Quota
	box     *spool.Box
	in      *spool.Incoming
	state   *quotaState
	crossed []QuotaWarning
	settled bool
}

// take makes a finished message count, or refuses it.
func (q *Quota) take(ctx context.Context, b *spool.Box, in *spool.Incoming) (*taken, error) {
	rules := q.of(b.User, b.Folder)
	if len(rules) == 0 || spool.IsPublic(b.Folder) {
		return nil, nil
	}
	s, err := q.Keep.get(ctx, b)
	if err != nil {
		return nil, err
	}
	t := &taken{quota: q, box: b, in: in, state: s}
	if !s.Counted() {
		err = s.Recount(ctx) // there may be mail from before there was a quota
	}
	if err == nil {
		err = t.try(ctx)
	}
	if errors.Is(err, ErrQuota) {
		err = t.again(ctx, err)
	}
	if err != nil {
		q.Keep.put(ctx, s, !errors.Is(err, ErrQuota))
		return nil, err
	}
	return t, nil
}

func (t *taken) try(ctx context.Context) error {
	return t.state.Take(ctx, t.in, func(usage []spool.FolderUsage) error {
		t.crossed = nil
		for _, r := range t.quota.of(t.box.User, t.box.Folder) {
			messages, bytes := r.Sum(usage)
			if err := t.quota.fits(r, messages+1, bytes+t.in.Size()); err != nil {
				return err
			}
			if r.Messages.crossed(messages, messages+1) || r.Bytes.crossed(bytes, bytes+t.in.Size()) {
				t.crossed = append(t.crossed, QuotaWarning{t.box.User, r, messages + 1, bytes + t.in.Size()})
			}
		}
		return nil
	})
}

// again looks whether there is room after all.
func (t *taken) again(ctx context.Context, full error) error {
	if err := t.state.lookAgain(ctx, t.box.Now()); err != nil {
		return fmt.Errorf("%w; to count again: %v", full, err)
	}
	return t.try(ctx)
}

// Room refuses, with [ErrQuota], a message of at least so many bytes that is to come,
// for which there is no room now; whether there is room for it is found out when it is
// delivered. It costs nothing for a user whose log is kept open, unless his mailbox is
// full.
func (q *Quota) Room(ctx context.Context, b *spool.Box, least int64) error {
	if q == nil || len(q.of(b.User, b.Folder)) == 0 || spool.IsPublic(b.Folder) {
		return nil
	}
	s, err := q.Keep.get(ctx, b)
	if err != nil {
		return err
	}
	if !s.Counted() {
		err = s.Recount(ctx)
	}
	comes := spool.FolderUsage{Messages: 1, Bytes: max(least, 1)}
	if err == nil {
		err = q.Admit(s.UserState, b, comes)
	}
	if errors.Is(err, ErrQuota) {
		if err = s.lookAgain(ctx, b.Now()); err == nil {
			err = q.Admit(s.UserState, b, comes)
		}
	}
	q.Keep.put(ctx, s, err != nil && !errors.Is(err, ErrQuota))
	return err
}

// settle ends a take with the outcome of the message's publication.
func (t *taken) settle(ctx context.Context, err error) {
	if t == nil || t.settled {
		return
	}
	t.settled = true
	ctx = context.WithoutCancel(ctx)
	there := err == nil && t.in.Placed() == t.in.Name()
	var failed error
	switch {
	case !there && !errors.Is(err, netfs.ErrUncertain):
		failed = t.state.GiveBack(ctx, t.in) // else it counts until it is late
	case there && t.state.pending(t.box.Folder) >= pendingMax:
		failed = t.state.CountFolder(ctx, t.box.Folder)
	}
	t.quota.Keep.put(ctx, t.state, failed != nil)
	for _, w := range t.crossed {
		if there && t.quota.Warn != nil {
			t.quota.Warn(ctx, w)
		}
	}
}

// of lists the rules for a user's folder; nil has none.
func (q *Quota) of(user, folder string) (list []QuotaRule) {
	for _, r := range q.Of(user) {
		if r.covers(folder) {
			list = append(list, r)
		}
	}
	return list
}

// Of lists the rules that hold for a user: of several with the same folders, the
// last that names him.
func (q *Quota) Of(user string) (list []QuotaRule) {
	if q == nil {
		return nil
	}
next:
	for _, r := range q.Rules {
		if !match(r.User, user) {
			continue
		}
		for i := range list {
			if list[i].Folders == r.Folders {
				list[i] = r
				continue next
			}
		}
		list = append(list, r)
	}
	return list
}

func (q *Quota) fits(r QuotaRule, messages, bytes int64) error {
	var err error
	switch {
	case r.Bytes.Hard > 0 && bytes > r.Bytes.Hard:
		err = fmt.Errorf("%w: folders %s would hold %d bytes, the limit is %d", ErrQuota, r.Folders, bytes, r.Bytes.Hard)
	case r.Messages.Hard > 0 && messages > r.Messages.Hard:
		err = fmt.Errorf("%w: folders %s would hold %d messages, the limit is %d", ErrQuota, r.Folders, messages, r.Messages.Hard)
	}
	if err != nil && q.Refuse {
		err = fmt.Errorf("%w (%w)", err, ErrQuotaRefused)
	}
	return err
}

// Admit refuses, with [ErrQuota], more in a user's folder than its limits allow. What
// comes leaves the folder that it names at the same time, if it names one. u was just
// opened, refreshed or recounted.
func (q *Quota) Admit(u *spool.UserState, b *spool.Box, comes spool.FolderUsage) error {
	if q == nil || spool.IsPublic(b.Folder) {
		return nil
	}
	usage := u.Usage()
	for _, r := range q.of(b.User, b.Folder) {
		if comes.Folder != "" && !spool.IsPublic(comes.Folder) && r.covers(comes.Folder) {
			continue
		}
		messages, bytes := r.Sum(usage)
		if err := q.fits(r, messages+comes.Messages, bytes+comes.Bytes); err != nil {
			return fmt.Errorf("user %s: %w", b.User, err)
		}
	}
	return nil
}
