package message

import (
	"bufio"
	"io"
	"strings"
)

// NormalEncoding returns the canonical name of a content transfer encoding
// (RFC 2045, section 6): lower case, without comments, quotes and usual
// misspellings. An empty value gives "7bit"; an unknown one is kept.
func NormalEncoding(value string) string {
	s := strings.ToLower(skipSpace(value))
	s = strings.TrimLeft(s, `"'`)
	if i := strings.IndexAny(s, " \t\r\n;,(\"'"); i >= 0 {
		s = s[:i]
	}
	s = s[:min(len(s), maxToken)]
	switch withoutMarks.Replace(s) {
	case "", "7bit", "7bits", "none", "usascii":
		return "7bit"
	case "8bit", "8bits", "8bitmime":
		return "8bit"
	case "binary":
		return "binary"
	case "base64", "b64":
		return "base64"
	case "quotedprintable", "qp":
		return "quoted-printable"
	}
	return s
}

var withoutMarks = strings.NewReplacer("-", "", "_", "", ".", "")

// Decode undoes a content transfer encoding. The only errors are those of r:
// what is no base64 or quoted-printable is skipped or passed on as it stands.
// A body in any other encoding is passed on unchanged.
func Decode(r io.Reader, encoding string) io.Reader {
	switch NormalEncoding(encoding) {
	case "base64":
		return &base64Reader{r: r}
	case "quoted-printable":
		return &qpReader{r: bufio.NewReader(r)}
	}
	return r
}

// base64State decodes base64 in pieces. Bytes outside the alphabet are
// skipped. Padding ends the data: behind it stand only the footers of mailing
// lists.
type base64State struct {
	bits uint32
	n    int // characters in bits
	done bool
}

const base64Alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

var base64Values = func() (t [256]int8) {
	for i := range t {
		t[i] = -1
	}
	for i, c := range []byte(base64Alphabet) {
		t[c] = int8(i)
	}
	return t
}()

func (d *base64State) decode(dst, src []byte) []byte {
	bits, n := d.bits, d.n
	for _, c := range src {
		v := base64Values[c]
		if v < 0 {
			if c == '=' && n >= 2 {
				d.done = true
				break
			}
			continue
		}
		bits = bits<<6 | uint32(v)
		if n++; n == 4 {
			dst = append(dst, byte(bits>>16), byte(bits>>8), byte(bits))
			bits, n = 0, 0
		}
	}
	d.bits, d.n = bits, n
	return dst
}

// finish appends the bytes of an incomplete last group.
func (d *base64State) finish(dst []byte) []byte {
	switch d.n {
	case 2:
		dst = append(dst, byte(d.bits>>4))
	case 3:
		dst = append(dst, byte(d.bits>>10), byte(d.bits>>2))
	}
	d.n = 0
	return dst
}

type base64Reader struct {
	r    io.Reader
	d    base64State
	in   []byte
	out  []byte // decoded and not yet read
	free []byte // the buffer behind out
	err  error
}

func (b *base64Reader) Read(p []byte) (int, error) {
	if b.in == nil {
		b.in = make([]byte, 8<<10)
		b.free = make([]byte, 0, 7<<10)
	}
	for len(b.out) == 0 && b.err == nil && len(p) > 0 {
		n, err := b.r.Read(b.in)
		b.out = b.d.decode(b.free[:0], b.in[:n])
		if b.d.done && err == nil {
			err = io.EOF
		}
		if err != nil {
			b.out = b.d.finish(b.out)
			b.err = err
		}
	}
	n := copy(p, b.out)
	if b.out = b.out[n:]; len(b.out) == 0 {
		return n, b.err
	}
	return n, nil
}

// qpReader decodes quoted-printable (RFC 2045, section 6.7). An equals sign
// that begins no code stands for itself; white space at the end of a line is
// dropped, up to maxBlanks of it.
type qpReader struct {
	r    *bufio.Reader
	out  []byte // decoded and not yet read
	free []byte
	err  error
}

const maxBlanks = 1 << 10

func (q *qpReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(q.out) == 0 && q.err == nil {
		q.out = q.free[:0]
		for q.err == nil && len(q.out) < 4<<10 {
			q.step()
		}
		q.free = q.out
	}
	n := copy(p, q.out)
	if q.out = q.out[n:]; len(q.out) == 0 {
		return n, q.err
	}
	return n, nil
}

// step decodes one byte, or one run of plain bytes.
func (q *qpReader) step() {
	c, err := q.r.ReadByte()
	if err != nil {
		q.err = err
		return
	}
	switch c {
	case '=':
		q.escape()
	case ' ', '\t':
		q.blanks(c)
	default:
		q.out = append(q.out, c)
		q.run()
	}
}

// run takes the plain bytes that are buffered already.
func (q *qpReader) run() {
	buf, _ := q.r.Peek(q.r.Buffered())
	i := 0
	for i < len(buf) && buf[i] != '=' && buf[i] != ' ' && buf[i] != '\t' {
		i++
	}
	q.out = append(q.out, buf[:i]...)
	q.r.Discard(i)
}

// blanks keeps white space unless a line end or the end of the body follows.
func (q *qpReader) blanks(c byte) {
	start := len(q.out)
	q.out = append(q.out, c)
	for range maxBlanks {
		next, err := q.r.Peek(1)
		if err != nil {
			q.out = q.out[:start]
			return
		}
		if next[0] != ' ' && next[0] != '\t' {
			if q.lineEndAhead() > 0 {
				q.out = q.out[:start]
			}
			return
		}
		q.out = append(q.out, next[0])
		q.r.Discard(1)
	}
}

// lineEndAhead returns the length of the line end that comes next, or 0.
func (q *qpReader) lineEndAhead() int {
	next, _ := q.r.Peek(2)
	switch {
	case len(next) > 0 && next[0] == '\n':
		return 1
	case len(next) > 1 && next[0] == '\r' && next[1] == '\n':
		return 2
	}
	return 0
}

// escape decodes what follows an equals sign: two hexadecimal digits, or a
// line end with white space before it (a soft line break).
func (q *qpReader) escape() {
	next, _ := q.r.Peek(2)
	if len(next) == 2 && unhex(next[0]) >= 0 && unhex(next[1]) >= 0 {
		q.out = append(q.out, byte(unhex(next[0])<<4|unhex(next[1])))
		q.r.Discard(2)
		return
	}
	buf, err := q.r.Peek(maxBlanks)
	i := 0
	for i < len(buf) && (buf[i] == ' ' || buf[i] == '\t') {
		i++
	}
	switch {
	case i == len(buf) && err != nil:
		q.r.Discard(i) // a soft line break at the end of the body
		return
	case i == len(buf):
		q.out = append(q.out, '=')
		return
	}
	q.softBreak(buf, i)
}

// softBreak drops a line end at buf[i:], with the blanks before it.
func (q *qpReader) softBreak(buf []byte, i int) {
	switch {
	case buf[i] == '\n':
		q.r.Discard(i + 1)
	case buf[i] == '\r' && i+1 < len(buf) && buf[i+1] == '\n':
		q.r.Discard(i + 2)
	default:
		q.out = append(q.out, '=')
	}
}
