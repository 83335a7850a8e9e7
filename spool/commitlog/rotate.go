package commitlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

const (
	// slotsPerGeneration is how many slots a generation has before the host
	// that wrote the last one ends it.
	slotsPerGeneration = 256
	// slotsOfFirst is the same for the first generation, which stays.
	slotsOfFirst = 32
	// slotsAtClose is how many are enough when a view is closed.
	slotsAtClose = 64
	// othersWait is how many more slots there must be before another host
	// ends the generation.
	othersWait = 128
	// keepSlots is how long slots are kept that no reader needs any more. No
	// request may arrive later than this after its caller stopped waiting.
	keepSlots = 24 * time.Hour
	// slotsMax is more than any generation has.
	slotsMax = 1 << 16
	// inlineMax is how many bytes of text a base has before they become a part.
	inlineMax = 64 << 10
	// mergeRatio is how many times larger than what comes after it a part must
	// be to be left alone.
	mergeRatio = 3
)

func (t Tuning) slots(first bool) int {
	n := cmp.Or(t.Slots, slotsPerGeneration)
	if first {
		n = min(n, slotsOfFirst)
	}
	return n
}

// Close ends a view: it rotates the log if that is due. Errors are passed
// over, because everything committed is safe and the next host rotates.
func (l *Log) Close(ctx context.Context) {
	unlock, err := l.sem.Lock(ctx)
	if err != nil {
		return
	}
	defer unlock()
	l.rotateAfter(ctx, slotsAtClose)
}

// rotateAfter rotates the log and clears away what is old, if the generation
// has its slots, or so many, and it is this host's turn.
func (l *Log) rotateAfter(ctx context.Context, slots int) {
	if l.Snapshot == nil || !l.whole || l.dead != nil {
		return
	}
	limit := min(slots, l.slots(l.gen.first == 0))
	if !l.gen.mine {
		limit += othersWait
	}
	if l.at.seq-l.gen.first < uint64(limit) {
		return
	}
	// What fails here is tried again after the next commit.
	if l.rotate(ctx) == nil {
		_ = l.collect(ctx)
	}
}

// rotate writes the base of the next generation and ends this one. If another
// host commits meanwhile, the base is of no use.
func (l *Log) rotate(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	token, err := l.Host.Token()
	if err != nil {
		return err
	}
	man, files, err := l.writeBase(ctx)
	if err != nil {
		l.unlink(ctx, files)
		return err
	}
	id, size := man.id, man.size
	r := newRecord(Record{
		Seq: l.at.seq + 1, Token: token, Writer: l.Host.Tag, Prev: l.at.hash,
		Ops: []string{rotation{id, size}.String()},
	})
	text, err := l.Way.Put(ctx, l.Host, l.FS, l.slot(r.Seq), l.withTail(r.line))
	switch {
	case errors.Is(err, fs.ErrExist):
		l.unlink(ctx, files)
		return cmp.Or(l.yield(ctx, r.Seq, text, false), err)
	case err != nil:
		return err // the base stays: the record may be in the log
	}
	if err := l.witness(ctx); err != nil {
		return err
	}
	if err := l.advance(read1{r, r}); err != nil {
		return err
	}
	l.gen.man = man.base
	return l.makeDir(ctx)
}

// written is a base that was just written.
type written struct {
	*base
	id   string
	size int64
}

// writeBase writes the base for the next record, and a part if there is much
// to say. It also returns the files it wrote.
func (l *Log) writeBase(ctx context.Context) (w written, files []string, err error) {
	seq := l.at.seq + 1
	if err := netfs.MkdirAll(ctx, l.Host, l.FS, path.Join(l.Dir, "s")); err != nil {
		return w, nil, err
	}
	if l.gen.man == nil {
		if l.gen.man, err = l.readBase(ctx, l.gen); err != nil {
			return w, nil, err
		}
		l.gen.man.text = nil
	}
	b := &base{
		parts: l.gen.man.parts, from: l.gen.man.from,
		tokens: l.gen.tokens, since: l.gen.next, next: l.gen.first + 1,
	}
	if b.describe(l.Snapshot); b.text == nil {
		return w, nil, fmt.Errorf("the state cannot be written down: %w", ErrNewer)
	}
	if len(b.text) > cmp.Or(l.Inline, inlineMax) {
		b.merge(l.Snapshot)
		p, err := l.writePart(ctx, seq, b)
		if p.file != "" {
			files = append(files, p.file)
		}
		if err != nil {
			return w, files, err
		}
		b.parts, b.from, b.text = append(b.parts, p), p.to, nil
	}
	nonce, err := l.Host.Token()
	if err != nil {
		return w, files, err
	}
	content := b.encode(seq, nonce)
	name, err := l.writeFile(ctx, seq, content)
	if name != "" {
		files = append(files, name)
	}
	b.text, b.tokens = nil, nil
	return written{b, idOf(content), int64(len(content))}, files, err
}

// describe asks the machine for what the parts do not say.
func (b *base) describe(snapshot func(uint64) ([]byte, uint64)) {
	text, from := snapshot(b.from)
	for n := len(b.parts); n > 0 && from < b.from; n-- {
		b.from, b.parts = b.parts[n-1].from, b.parts[:n-1:n-1]
	}
	if from != b.from {
		text, _ = snapshot(b.from)
	}
	b.text = text
}

// merge takes the last parts into the text, as long as they are not much
// larger than what is written anyway. So a byte is written again only as often
// as the logarithm of the state's size.
func (b *base) merge(snapshot func(uint64) ([]byte, uint64)) {
	n, size := len(b.parts), int64(len(b.text))
	for n > 0 && b.parts[n-1].size < mergeRatio*size {
		n--
		size += b.parts[n].size
	}
	if n < len(b.parts) {
		b.from, b.parts = b.parts[n].from, b.parts[:n:n]
		b.describe(snapshot)
	}
	b.parts = b.parts[:len(b.parts):len(b.parts)]
}

func (l *Log) writePart(ctx context.Context, seq uint64, b *base) (part, error) {
	nonce, err := l.Host.Token()
	if err != nil {
		return part{}, err
	}
	p := part{from: b.from, to: l.at.seq}
	content := p.encode(b.text, nonce)
	p.size = int64(len(content))
	p.file, err = l.writeFile(ctx, seq, content)
	return p, err
}

func (l *Log) unlink(ctx context.Context, files []string) {
	for _, name := range files {
		_ = netfs.Unlink(ctx, l.Host, l.FS, path.Join(l.Dir, "s", name))
	}
}

// collect clears away the generations that no reader needs: those before the
// one before this, but never the first, that ended long enough ago. Later ones
// than this may have come meanwhile; which files they need this view's state
// does not tell.
func (l *Log) collect(ctx context.Context) error {
	names, err := l.FS.ReadDir(ctx, l.Dir)
	if err != nil {
		return err
	}
	gens := slices.DeleteFunc(parseGenerations(names), func(g *generation) bool { return g.first > l.gen.first })
	for i, g := range gens {
		if g.first == 0 || i+2 >= len(gens) {
			continue
		}
		last, when, err := l.lastOf(ctx, g, gens[i+1])
		if err != nil {
			return err
		}
		if ripe, err := l.ripe(ctx, g, when); err != nil || !ripe {
			return err
		}
		if err := l.clear(ctx, g, last); err != nil {
			return err
		}
	}
	return l.sweep(ctx, gens)
}

// ripe tells whether the generation g ended, with the slot called last, long
// before the newest one did, by the times that the server gave.
func (l *Log) ripe(ctx context.Context, g *generation, last string) (bool, error) {
	then, err := l.FS.Stat(ctx, last)
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody has begun, or a late request made the directory again.
		_, err = l.FS.Stat(ctx, path.Join(l.Dir, "s", g.name()))
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		return false, err
	}
	if err != nil {
		return false, err
	}
	now, err := l.FS.Stat(ctx, path.Join(l.Dir, "s", l.gen.name()))
	return err == nil && now.Mtime.Sub(then.Mtime) >= cmp.Or(l.KeepFor, keepSlots), err
}

func (l *Log) slotIn(g *generation, seq uint64) string {
	return path.Join(l.genDir(g), strconv.FormatUint(seq, 10))
}

// clear removes a generation that ended with the rotation last. The base goes
// first, then the slots in ascending order, by counting and not by a listing,
// each removal answered before the next: so whoever finds a record in place
// knows that none after it has been removed.
func (l *Log) clear(ctx context.Context, g *generation, last uint64) error {
	if err := netfs.Unlink(ctx, l.Host, l.FS, path.Join(l.Dir, "s", g.name())); err != nil {
		return err
	}
	// A generation that repair ended, of which all but the directory is gone, is
	// followed by a number far ahead.
	for seq := g.first + 1; seq <= min(last, g.first+slotsMax); seq++ {
		if err := l.Way.Remove(ctx, l.Host, l.FS, l.slotIn(g, seq)); err != nil {
			return err
		}
	}
	dir := l.genDir(g)
	names, err := l.FS.ReadDir(ctx, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, n := range names {
		if err := l.Way.Remove(ctx, l.Host, l.FS, path.Join(dir, n)); err != nil {
			return err
		}
	}
	return cmp.Or(err, netfs.Unlink(ctx, l.Host, l.FS, dir))
}

// sweep removes payloads, bases and parts that can no longer be referred to:
// those for slots of generations before the last one, unless a base that is
// kept names them. One of a suspended writer, whose slot is long taken, is of
// no use to him.
func (l *Log) sweep(ctx context.Context, gens []*generation) error {
	keep, until := map[string]bool{}, uint64(0)
	for _, g := range gens[max(0, len(gens)-2):] {
		b, err := l.readBase(ctx, g)
		if err != nil {
			return err
		}
		keep[g.name()] = true
		for _, p := range b.parts {
			keep[p.file] = true
		}
	}
	for _, n := range l.named() {
		keep[n] = true
	}
	if len(gens) > 1 {
		until = gens[len(gens)-2].first
	}
	for _, dir := range []string{path.Join(l.Dir, "s"), path.Join(l.Dir, "p")} {
		names, err := l.FS.ReadDir(ctx, dir)
		if err != nil {
			return err
		}
		for _, n := range names {
			if seq, _, ok := parseFileName(n); !ok || seq > until || keep[n] {
				continue
			}
			if err := netfs.Unlink(ctx, l.Host, l.FS, path.Join(dir, n)); err != nil {
				return err
			}
		}
	}
	return nil
}
