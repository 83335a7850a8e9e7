package server

import (
	"bufio"
	"bytes"
	"io"
)

// DotReader reads the text of a message from a client up to its end: a line that
// is a single dot, with CRLF before it and CRLF after it (RFC 5321 §4.1.1.4).
// Nothing else ends it. It takes away the first dot of other lines that begin
// with one; lines end in CRLF, may be of any length and contain any byte.
//
// A dot alone between line ends of which one is a bare CR or a bare LF ends no
// message; some servers believe that it does, so somebody may want to smuggle
// a second message through one of them. Such a message is read to its end and
// marked.
type DotReader struct {
	// Smuggling is set if there was such a dot in what was read.
	Smuggling bool

	r    *bufio.Reader
	last [2]byte // what came before, as it was sent
	done bool
}

// NewDotReader returns a reader of the message that begins in r.
func NewDotReader(r *bufio.Reader) *DotReader {
	return &DotReader{r: r, last: [2]byte{'\r', '\n'}}
}

// WriteTo writes the message without its end; it is [io.WriterTo]. The error is
// [io.ErrUnexpectedEOF] if the client is gone before.
func (d *DotReader) WriteTo(w io.Writer) (n int64, err error) {
	write := func(p []byte) error {
		k, err := w.Write(p)
		n += int64(k)
		return err
	}
	for !d.done {
		if _, err := d.r.Peek(1); err != nil {
			return n, noEOF(err)
		}
		block, _ := d.r.Peek(d.r.Buffered())
		if out, used := d.unstuff(block); used > 0 {
			if err := write(block[:out]); err != nil {
				return n, err
			}
			_, _ = d.r.Discard(used)
			continue
		}
		keep, err := d.dot()
		if err != nil {
			return n, noEOF(err)
		}
		if d.done {
			break
		}
		if keep {
			if err := write([]byte{'.'}); err != nil {
				return n, err
			}
		}
		d.pass([]byte{'.'})
		_, _ = d.r.Discard(1)
	}
	return n, nil
}

// unstuff makes p[:out] of p[:used], where p is what comes next. It stops before the
// end of the message and before a dot after a line end that has not two bytes behind
// it: dot looks at these.
func (d *DotReader) unstuff(p []byte) (out, used int) {
	for {
		rest := p[used:]
		n := d.lineDot(rest)
		if n > 0 {
			d.pass(rest[:n])
		}
		if out < used {
			copy(p[out:], rest[:n])
		}
		out, used, rest = out+n, used+n, rest[n:]
		strict := d.last == [2]byte{'\r', '\n'}
		if len(rest) < 3 || strict && rest[1] == '\r' && rest[2] == '\n' {
			return out, used
		}
		if rest[1] == '\r' || rest[1] == '\n' {
			d.Smuggling = true
		}
		if !strict {
			p[out] = '.'
			out++
		}
		d.pass(rest[:1])
		used++
	}
}

// lineDot finds the first dot with a CR or LF before it; len(p) if there is
// none.
func (d *DotReader) lineDot(p []byte) int {
	ended := d.last[1] == '\n' || d.last[1] == '\r'
	for at := 0; at < len(p); {
		if ended && p[at] == '.' {
			return at
		}
		i := bytes.IndexByte(p[at:], '.')
		if i < 0 {
			break
		}
		if at += i; i > 0 && (p[at-1] == '\n' || p[at-1] == '\r') {
			return at
		}
		// The next one stands behind the next line end.
		line := p[at:]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		if i := bytes.IndexByte(line, '\r'); i >= 0 && string(line[i:]) != "\r\n" {
			line = line[:i+1]
		}
		at += len(line)
		ended = true
	}
	return len(p)
}

// dot looks at what follows a dot after a line end: the end of the message,
// which it takes, or else whether the dot belongs to the message.
func (d *DotReader) dot() (keep bool, err error) {
	strict := d.last == [2]byte{'\r', '\n'}
	next, err := d.r.Peek(2)
	if err != nil {
		return false, err
	}
	if next[1] == '\r' && strict {
		if next, err = d.r.Peek(3); err != nil {
			return false, err
		}
		if next[2] == '\n' {
			d.done = true
			_, _ = d.r.Discard(3)
			return false, nil
		}
	}
	if next[1] == '\r' || next[1] == '\n' {
		d.Smuggling = true
	}
	return !strict, nil
}

// pass notes what went by.
func (d *DotReader) pass(p []byte) {
	if len(p) == 1 {
		d.last = [2]byte{d.last[1], p[0]}
	} else {
		copy(d.last[:], p[len(p)-2:])
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
