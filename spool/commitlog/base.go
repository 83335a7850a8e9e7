package commitlog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// A base is a file below s/ that begins a generation:
//
//	b1 base SEQ NONCE
//	tokens SINCE NEXT SEQ:TOKEN ...
//	part FROM TO SIZE NAME      as often as there are parts, oldest first
//	text FROM
//	...
//
// SEQ is the number of the rotation that names it. The tokens are those of the
// records from SINCE on, which are two generations; the second begins with
// NEXT. The state is what the parts
// and then the text say, each on top of the records up to its FROM; the text
// goes as far as the record before SEQ. A part is a file of the same kind that
// may be named by many bases, so that a base need not repeat a large state:
//
//	b1 part FROM TO NONCE
//	...
//
// The nonce makes each file's id, which is the hash of its content, its
// writer's own.
type base struct {
	parts  []part
	tokens map[string]uint64
	since  uint64
	next   uint64
	from   uint64 // of the text
	text   []byte
}

// part is a file that a base refers to.
type part struct {
	from, to uint64 // it says what the records after from, up to to, did
	size     int64
	file     string
}

func (p part) name() string { return p.file }

// baseMax bounds what is read as a base or a part, in bytes.
const baseMax = 1 << 30

// idOf is the id of a file with this content.
func idOf(content []byte) string {
	sum := sha256.Sum256(content)
	return netfs.Encode32(sum[:hashLen])
}

// encode writes the base for the rotation seq.
func (b *base) encode(seq uint64, nonce string) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s base %d %s\ntokens %d %d", format, seq, nonce, b.since, b.next)
	for _, t := range sortedTokens(b.tokens) {
		if b.tokens[t] >= b.since {
			fmt.Fprintf(&w, " %d:%s", b.tokens[t], t)
		}
	}
	w.WriteByte('\n')
	for _, p := range b.parts {
		fmt.Fprintf(&w, "part %d %d %d %s\n", p.from, p.to, p.size, p.file)
	}
	fmt.Fprintf(&w, "text %d\n", b.from)
	w.Write(b.text)
	return w.Bytes()
}

func sortedTokens(tokens map[string]uint64) []string {
	names := make([]string, 0, len(tokens))
	for t := range tokens {
		names = append(names, t)
	}
	slices.SortFunc(names, func(x, y string) int {
		return cmp.Or(cmp.Compare(tokens[x], tokens[y]), cmp.Compare(x, y))
	})
	return names
}

// readBase reads the base of a generation; the first has an empty one.
func (l *Log) readBase(ctx context.Context, g *generation) (*base, error) {
	if g.first == 0 {
		return &base{since: 1, next: 1, tokens: map[string]uint64{}}, nil
	}
	b, err := l.readFile(ctx, g.name())
	if err != nil {
		return nil, err
	}
	g.size = int64(len(b))
	out, err := parseBase(b, g.first)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path.Join(l.Dir, "s", g.name()), ErrCorrupt, err)
	}
	return out, nil
}

// readFile reads a file below s/ and checks that it is what its name says.
func (l *Log) readFile(ctx context.Context, name string) ([]byte, error) {
	b, err := l.readBytes(ctx, name)
	if err == nil {
		err = l.isNamed(name, b)
	}
	return b, err
}

func (l *Log) readBytes(ctx context.Context, name string) ([]byte, error) {
	return netfs.ReadFile(ctx, l.FS, path.Join(l.Dir, "s", name), baseMax)
}

// isNamed checks that a file's content is what its name says.
func (l *Log) isNamed(name string, content []byte) error {
	if _, id, _ := strings.Cut(name, "."); idOf(content) != id {
		return fmt.Errorf("%s: %w: its %d bytes are not those that were written", path.Join(l.Dir, "s", name), ErrCorrupt, len(content))
	}
	return nil
}

// parseBase is the inverse of encode: what encode does not write is an error.
func parseBase(content []byte, seq uint64) (*base, error) {
	rest := content
	line := func() []string {
		var head []byte
		head, rest, _ = bytes.Cut(rest, []byte("\n"))
		return strings.Split(string(head), " ")
	}
	f := line()
	if len(f) != 4 || f[0] != format || f[1] != "base" || !isToken(f[3]) {
		return nil, errors.New("its head is wrong")
	}
	nonce := f[3]
	b := &base{}
	var err error
	if err = b.parseTokens(line(), seq); err != nil {
		return nil, err
	}
	for {
		f = line()
		switch {
		case f[0] == "part" && len(f) == 5:
			p, err := parsePart(f)
			if err != nil || p.from != b.from || p.to < p.from || p.to >= seq {
				return nil, errors.New("its list of parts is malformed")
			}
			b.parts = append(b.parts, p)
			b.from = p.to
		case f[0] == "text" && len(f) == 2:
			b.text = rest
			if !bytes.Equal(b.encode(seq, nonce), content) {
				return nil, errors.New("it is not written as a base is")
			}
			return b, nil
		default:
			return nil, errors.New("its list of parts has no end")
		}
	}
}

func parsePart(f []string) (p part, err error) {
	var errs [3]error
	p.from, errs[0] = strconv.ParseUint(f[1], 10, 64)
	p.to, errs[1] = strconv.ParseUint(f[2], 10, 64)
	p.size, errs[2] = strconv.ParseInt(f[3], 10, 64)
	p.file = f[4]
	if _, _, ok := parseFileName(p.file); !ok || p.size <= 0 {
		return p, strconv.ErrSyntax
	}
	return p, errors.Join(errs[:]...)
}

func (b *base) parseTokens(f []string, end uint64) (err error) {
	bad := errors.New("its table of commits is malformed")
	if len(f) < 3 || f[0] != "tokens" {
		return bad
	}
	if b.since, err = strconv.ParseUint(f[1], 10, 64); err != nil {
		return bad
	}
	if b.next, err = strconv.ParseUint(f[2], 10, 64); err != nil || b.next < b.since {
		return bad
	}
	b.tokens = make(map[string]uint64, len(f))
	for _, w := range f[3:] {
		digits, token, _ := strings.Cut(w, ":")
		seq, ok := parseSeq(digits)
		if !ok || !isToken(token) || seq >= end {
			return bad
		}
		b.tokens[token] = seq
	}
	return nil
}

// readPart returns the text of a part.
func (l *Log) readPart(ctx context.Context, p part) ([]byte, error) {
	b, err := l.readBytes(ctx, p.file)
	if err != nil {
		return nil, err
	}
	return l.partOf(p, b)
}

// partOf returns the text of a part whose file has this content.
func (l *Log) partOf(p part, content []byte) ([]byte, error) {
	if err := l.isNamed(p.file, content); err != nil {
		return nil, err
	}
	text, err := p.text(content)
	if err != nil || int64(len(content)) != p.size {
		return nil, fmt.Errorf("%w: it is not the part that the base names", ErrCorrupt)
	}
	return text, nil
}

// encode writes the part's file.
func (p part) encode(text []byte, nonce string) []byte {
	return append(fmt.Appendf(nil, "%s part %d %d %s\n", format, p.from, p.to, nonce), text...)
}

// text is the inverse of encode.
func (p part) text(content []byte) ([]byte, error) {
	head, text, ok := bytes.Cut(content, []byte("\n"))
	nonce, fits := strings.CutPrefix(string(head), fmt.Sprintf("%s part %d %d ", format, p.from, p.to))
	if !ok || !fits || !isToken(nonce) {
		return nil, errors.New("its head is wrong")
	}
	return text, nil
}

// writeFile puts content below s/ for the rotation seq and returns its name.
func (l *Log) writeFile(ctx context.Context, seq uint64, content []byte) (string, error) {
	name := fileName(seq, idOf(content))
	full := path.Join(l.Dir, "s", name)
	if err := netfs.WriteFile(ctx, l.FS, full, content); err != nil {
		return "", err
	}
	return name, netfs.SyncDir(ctx, l.Host, l.FS, path.Dir(full))
}
