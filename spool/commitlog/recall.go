package commitlog

import (
	"context"

	"github.com/bobbinmail/bobbin/netfs"
)

// Newest returns the number and token of the newest record that this view has
// read and that is no rotation. ok is false if it knows of none, or may not go
// on from what it read.
func (l *Log) Newest(ctx context.Context) (seq uint64, token string, ok bool) {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return 0, "", false
	}
	defer unlock()
	at := l.at
	return at.tokenSeq, at.token, l.gen != nil && l.dead == nil && l.doubt == nil && at.token != ""
}

// recallTries is how often the log is read again before it counts as lost: what
// this host read first may come from its caches.
const recallTries = 3

// Remains makes sure that a view at the end of the log still finds there the
// record that an earlier view on this host said was the newest. Otherwise the
// view has ended and the error matches [ErrWentBack]. A record that is older
// than the base's table of tokens, or than a repair, is not looked for. If the
// record is there, no operation is made.
func (l *Log) Remains(ctx context.Context, seq uint64, token string) error {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if l.dead != nil {
		return l.dead
	}
	for try := 0; !l.has(seq, token); try++ {
		if try == recallTries {
			return l.wentBack(seq)
		}
		for _, dir := range []string{l.Dir, l.genDir(l.gen)} {
			if _, _, err := netfs.Settled(ctx, l.Host, l.FS, dir); err != nil {
				return err
			}
		}
		if _, err := l.refreshAnew(ctx); err != nil {
			return err
		}
	}
	return nil
}

// has tells whether the log has a record, as far as it tells.
func (l *Log) has(seq uint64, token string) bool {
	return seq < l.gen.since || l.gen.tokens[token] == seq
}
