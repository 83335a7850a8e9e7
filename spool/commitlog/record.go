package commitlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// ErrCorrupt means that something under the log's directory is not what any
// Bobbin wrote there. The error names the file; nothing was changed.
var ErrCorrupt = errors.New("corrupt")

const (
	format    = "b1"
	separator = " | "
	hashLen   = 16
	noPrev    = "-"
)

// Record is one committed step of a log.
type Record struct {
	// Seq is the slot's number, from 1; it is the mailbox's MODSEQ.
	Seq uint64
	// Token identifies the commit: 26 characters of 128 random bits.
	Token string
	// Writer is the tag of the host that committed.
	Writer string
	// Prev is the hash of record Seq-1, "-" in the first.
	Prev string
	// Ops are the operations, each an encoded word without spaces; for a
	// record with a payload they come from there.
	Ops []string

	line string // as stored, the operation list possibly a payload reference
	sum  string // hash of line, once asked for
}

// newRecord writes the line of a record.
func newRecord(r Record) *Record {
	body := fmt.Sprintf("%s %d %s %s %s %s",
		format, r.Seq, r.Token, r.Writer, r.Prev, strings.Join(r.Ops, " "))
	r.line = body + " =" + checksum(body)
	return &r
}

// String returns the record as it is stored, without the tail.
func (r *Record) String() string { return r.line }

func (r *Record) hash() string {
	if r.sum == "" {
		sum := sha256.Sum256([]byte(r.line))
		r.sum = netfs.Encode32(sum[:hashLen])
	}
	return r.sum
}

func checksum(s string) string {
	return fmt.Sprintf("%08x", crc32.Checksum([]byte(s), crc32.MakeTable(crc32.Castagnoli)))
}

// parseRecord reads one line.
func parseRecord(line string) (*Record, error) {
	body, sum, ok := cutLast(line, " =")
	if !ok || checksum(body) != sum {
		return nil, fmt.Errorf("%w: the check sum is wrong", ErrCorrupt)
	}
	f := strings.Split(body, " ")
	if f[0] != format {
		return nil, fmt.Errorf("%w: record format %q, expected %s", ErrNewer, f[0], format)
	}
	if len(f) < 6 || !isToken(f[2]) || f[4] != noPrev && !netfs.IsToken(f[4]) {
		return nil, fmt.Errorf("%w: malformed record", ErrCorrupt)
	}
	seq, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil || seq == 0 || strconv.FormatUint(seq, 10) != f[1] || (seq == 1) != (f[4] == noPrev) {
		return nil, fmt.Errorf("%w: malformed sequence number", ErrCorrupt)
	}
	for _, w := range f[3:] {
		if w == "" {
			return nil, fmt.Errorf("%w: empty word", ErrCorrupt)
		}
	}
	return &Record{Seq: seq, Token: f[2], Writer: f[3], Prev: f[4], Ops: f[5:], line: line}, nil
}

// firstLine is the record that a slot was put for.
func firstLine(slot string) string {
	line, _, _ := strings.Cut(slot, separator)
	return line
}

// parseSlot reads what a slot holds: its record and the ones before it,
// newest first, checked to be one chain.
func parseSlot(seq uint64, text string) ([]*Record, error) {
	var out []*Record
	for i, line := range strings.Split(text, separator) {
		r, err := parseRecord(line)
		if err != nil {
			return nil, err
		}
		if r.Seq != seq-uint64(i) {
			return nil, fmt.Errorf("%w: it holds record %d", ErrCorrupt, r.Seq)
		}
		if i > 0 && out[i-1].Prev != r.hash() {
			return nil, fmt.Errorf("%w: record %d is not the one that record %d follows", ErrCorrupt, r.Seq, r.Seq+1)
		}
		out = append(out, r)
	}
	return out, nil
}

var isToken = netfs.IsToken

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

const hexDigits = "0123456789ABCDEF"

// Encode makes s a part of an operation: visible ASCII without the characters
// that separate; every other byte is %XX. It never returns an empty string
// for a non-empty one.
func Encode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// Plain tells whether s is what Encode makes of it.
func Plain(s string) bool {
	for i := range len(s) {
		if !plain(s[i]) {
			return false
		}
	}
	return true
}

func plain(c byte) bool {
	return c > ' ' && c < 0x7f && c != ':' && c != '%' && c != '|'
}

// Decode is the inverse of [Encode]; anything Encode does not write is an
// error.
func Decode(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case plain(c):
			b.WriteByte(c)
		case c == '%' && i+2 < len(s):
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil || plain(byte(n)) || strings.ToUpper(s[i+1:i+3]) != s[i+1:i+3] {
				return "", fmt.Errorf("%w: escape in %q", ErrCorrupt, s)
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			return "", fmt.Errorf("%w: character in %q", ErrCorrupt, s)
		}
	}
	return b.String(), nil
}
