package commitlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// payloadMax is the longest list of operations of one record, in bytes.
const payloadMax = 64 << 20

const payloadWord = "payload:"

// payloadOp refers to a payload by length and SHA-256.
func payloadOp(body string) string {
	sum := sha256.Sum256([]byte(body))
	return fmt.Sprintf("%s%d:%s", payloadWord, len(body), hex.EncodeToString(sum[:]))
}

// payloadSize reads the length from what payloadOp wrote.
func payloadSize(op string) (int64, error) {
	ref, ok := strings.CutPrefix(op, payloadWord)
	digits, sum, _ := strings.Cut(ref, ":")
	size, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil || strconv.FormatInt(size, 10) != digits || size <= 0 || size > payloadMax || len(sum) != 2*sha256.Size {
		return 0, strconv.ErrSyntax
	}
	return size, nil
}

// expand returns r with the operations of its payload, or r itself when it
// has none.
func (l *Log) expand(ctx context.Context, r *Record) (*Record, error) {
	if len(r.Ops) != 1 || !strings.HasPrefix(r.Ops[0], payloadWord) {
		return r, nil
	}
	name := l.payload(r)
	size, err := payloadSize(r.Ops[0])
	if err != nil {
		return nil, fmt.Errorf("slot %s: %w: malformed payload reference", l.slot(r.Seq), ErrCorrupt)
	}
	b, err := netfs.ReadFile(ctx, l.FS, name, payloadMax)
	if err != nil {
		return nil, fmt.Errorf("payload of record %d: %w", r.Seq, err)
	}
	if payloadOp(string(b)) != r.Ops[0] {
		return nil, fmt.Errorf("payload %s: %w: %d bytes that are not the %d recorded", name, ErrCorrupt, len(b), size)
	}
	full := *r
	full.Ops = strings.Split(string(b), " ")
	return &full, nil
}

// expandAll is expand for records in order, up to the first that fails.
func (l *Log) expandAll(ctx context.Context, records []*Record) (recs []read1, err error) {
	for _, r := range records {
		full, err := l.expand(ctx, r)
		if err != nil {
			return recs, err
		}
		recs = append(recs, read1{r, full})
	}
	return recs, nil
}

// draft is a payload written before its record is committed.
type draft struct {
	name, body string
}

// place makes sure that body is stored as the payload of r, using what an
// earlier try left.
func (l *Log) place(ctx context.Context, d *draft, r *Record, body string) error {
	name := l.payload(r)
	if d.name == name && d.body == body {
		return nil
	}
	if d.body == body && netfs.Move(ctx, l.Host, l.FS, d.name, name) == nil {
		d.name = name
		return nil
	}
	l.discard(ctx, d)
	if err := netfs.WriteFile(ctx, l.FS, name, []byte(body)); err != nil {
		return err
	}
	d.name, d.body = name, body
	return netfs.SyncDir(ctx, l.Host, l.FS, l.Dir+"/p")
}

// discard removes a payload that no record names. What a crash leaves is
// litter that `bobbin check` reports.
func (l *Log) discard(ctx context.Context, d *draft) {
	if d.name != "" {
		_ = netfs.Unlink(ctx, l.Host, l.FS, d.name)
	}
	*d = draft{}
}
