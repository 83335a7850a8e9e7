package summary

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/netfs"
)

// A segment is
//
//	b1 segment COUNT SHA256 NONCE
//	UID SIZE WIRE DATE MARKS SENT FROM SUBJECT MESSAGE-ID PREVIEW   COUNT times
//	UID ENVELOPE BODY                                               COUNT times
//
// with a tab between columns. The head and the first rows are the list, the
// others the structures, whose hash stands in the head. The id of a segment is
// the hash of the list, so that a list is checked without reading structures.

// The limits of a segment, in bytes and rows. What is larger is not read.
const (
	MaxList       = 1 << 20
	MaxStructures = 8 << 20
	MaxRows       = 4096
)

const segmentHead = "b1 segment"

// ErrDamaged means that a segment is not what its id says, or no segment.
var ErrDamaged = errors.New("damaged summaries")

// Segment is a segment as it is stored.
type Segment struct {
	Content []byte
	List    int64 // how many bytes of it are the list
	ID      string
}

// Fits tells whether rows make a segment within the limits.
func Fits(rows []*Summary) bool {
	list, structures := len(segmentHead)+120, 0
	var b []byte
	for _, s := range rows {
		b = s.appendList(b[:0])
		list += len(b)
		b = s.appendStructure(b[:0])
		structures += len(b)
	}
	return len(rows) <= MaxRows && list <= MaxList && structures <= MaxStructures
}

// Format writes a segment. rows ascend by UID. The nonce, a token, keeps its
// id from being another writer's.
func Format(rows []*Summary, nonce string) Segment {
	var structures, list []byte
	for _, s := range rows {
		structures = s.appendStructure(structures)
	}
	sum := sha256.Sum256(structures)
	list = fmt.Appendf(nil, "%s %d %s %s\n", segmentHead, len(rows), hex.EncodeToString(sum[:]), nonce)
	for _, s := range rows {
		list = s.appendList(list)
	}
	return Segment{append(list, structures...), int64(len(list)), ID(list)}
}

// ID is the id of a segment with this list.
func ID(list []byte) string {
	sum := sha256.Sum256(list)
	return netfs.Encode32(sum[:16])
}

func (s *Summary) appendList(b []byte) []byte {
	wire := "-"
	if s.Wire >= 0 {
		wire = strconv.FormatInt(s.Wire, 10)
	}
	b = fmt.Appendf(b, "%d\t%d\t%s\t%d\t%s", s.UID, s.Size, wire, s.Date.Unix(), s.Marks.letters())
	for _, text := range []string{s.Sent, s.From, s.Subject, s.MessageID, s.Preview} {
		b = appendEscaped(append(b, '\t'), text)
	}
	return append(b, '\n')
}

func (s *Summary) appendStructure(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(s.UID), 10)
	for _, text := range []string{s.Envelope, s.Body} {
		b = appendEscaped(append(b, '\t'), text)
	}
	return append(b, '\n')
}

// appendEscaped writes control characters and % as %XX.
func appendEscaped(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; escaped(c) {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	return b
}

func escaped(c byte) bool { return c < ' ' || c == 0x7f || c == '%' }

func unescape(s string) (string, bool) {
	if strings.IndexByte(s, '%') < 0 {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil || !escaped(byte(n)) || strings.ToUpper(s[i+1:i+3]) != s[i+1:i+3] {
			return "", false
		}
		b = append(b, byte(n))
		i += 2
	}
	return string(b), true
}

// Table is the list of a segment.
type Table struct {
	Rows       []Summary // by UID
	structures string    // their hash
}

// ParseList reads the list of the segment with an id. The error wraps
// [ErrDamaged].
func ParseList(list []byte, id string) (*Table, error) {
	if ID(list) != id || !utf8.Valid(list) {
		return nil, fmt.Errorf("%w: the list is not the one that was written", ErrDamaged)
	}
	head, rest, _ := strings.Cut(string(list), "\n")
	f := strings.Split(head, " ")
	if len(f) != 5 || f[0]+" "+f[1] != segmentHead {
		return nil, fmt.Errorf("%w: the head is wrong", ErrDamaged)
	}
	count, err := strconv.Atoi(f[2])
	if err != nil || count < 0 || strconv.Itoa(count) != f[2] || strings.Count(rest, "\n") != count || count > 0 != (rest != "") {
		return nil, fmt.Errorf("%w: the number of rows is wrong", ErrDamaged)
	}
	t := &Table{Rows: make([]Summary, count), structures: f[3]}
	last := uint32(0)
	for i := range t.Rows {
		var row string
		row, rest, _ = strings.Cut(rest, "\n")
		if s := &t.Rows[i]; !s.parseList(row) || s.UID <= last {
			return nil, fmt.Errorf("%w: row %d of the list", ErrDamaged, i+1)
		}
		last = t.Rows[i].UID
	}
	if rest != "" {
		return nil, fmt.Errorf("%w: a row without end", ErrDamaged)
	}
	return t, nil
}

// Find returns the row of a message, or nil.
func (t *Table) Find(uid uint32) *Summary {
	i, ok := slices.BinarySearchFunc(t.Rows, uid, func(s Summary, u uint32) int { return int(int64(s.UID) - int64(u)) })
	if !ok {
		return nil
	}
	return &t.Rows[i]
}

// AddStructures adds to the rows what b, the segment's structures, says of
// them. The error wraps [ErrDamaged]; then nothing is added.
func (t *Table) AddStructures(b []byte) error {
	sum := sha256.Sum256(b)
	if hex.EncodeToString(sum[:]) != t.structures || !utf8.Valid(b) || bytes.Count(b, []byte("\n")) != len(t.Rows) {
		return fmt.Errorf("%w: the structures are not those that were written", ErrDamaged)
	}
	rest := string(b)
	texts := make([][2]string, len(t.Rows))
	for i := range t.Rows {
		var row string
		row, rest, _ = strings.Cut(rest, "\n")
		f := strings.Split(row, "\t")
		if len(f) != 3 || f[0] != strconv.FormatUint(uint64(t.Rows[i].UID), 10) || !unescapeAll(f[1:], &texts[i][0], &texts[i][1]) {
			return fmt.Errorf("%w: row %d of the structures", ErrDamaged, i+1)
		}
	}
	for i, text := range texts {
		t.Rows[i].Envelope, t.Rows[i].Body = text[0], text[1]
	}
	if rest != "" {
		return fmt.Errorf("%w: a row without end", ErrDamaged)
	}
	return nil
}

func unescapeAll(fields []string, into ...*string) bool {
	whole := true
	for i, f := range fields {
		var ok bool
		*into[i], ok = unescape(f)
		whole = whole && ok && !strings.ContainsFunc(f, func(r rune) bool { return r < ' ' || r == 0x7f })
	}
	return whole
}

func (s *Summary) parseList(row string) bool {
	f := strings.Split(row, "\t")
	if len(f) != 10 {
		return false
	}
	var ok bool
	uid, size, date := natural(f[0]), natural(f[1]), int64(0)
	s.UID, s.Size, s.Wire = uint32(uid), size, -1
	if f[2] != "-" {
		if s.Wire = natural(f[2]); s.Wire < 0 {
			return false
		}
	}
	date, err := strconv.ParseInt(f[3], 10, 64)
	if uid <= 0 || uid > 1<<32-2 || size < 0 || err != nil || strconv.FormatInt(date, 10) != f[3] {
		return false
	}
	s.Date = time.Unix(date, 0)
	if s.Marks, ok = marksOf(f[4]); !ok {
		return false
	}
	return unescapeAll(f[5:], &s.Sent, &s.From, &s.Subject, &s.MessageID, &s.Preview)
}

// natural reads a decimal number without leading zeros; -1 if it is none.
func natural(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != s {
		return -1
	}
	return n
}
