package pop

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// chunk is how much of a message is read at a time, in bytes. Of each byte at
// most two are written.
const chunk = 32 << 10

type buffers struct {
	in  [chunk]byte
	out [2*chunk + 2]byte
}

var free = sync.Pool{New: func() any { return new(buffers) }}

// converter writes a stored message with CRLF at the end of each line, and with
// a dot more where a line begins with one, if it is to stuff (RFC 1939 §3).
type converter struct {
	w     io.Writer
	stuff bool
	left  int // lines of the body still to be sent by copyTop

	written int64 // bytes, those of the message
	begun   bool  // the line has begun
	cr      bool  // what was written last is a CR of this line
	text    bool  // the line has something before its end
	body    bool  // the header has ended
}

// copyAll sends a message.
func (c *converter) copyAll(r io.Reader) error {
	return c.copy(r, func() bool { return false })
}

// copyTop sends a header, the empty line after it, and the first lines of the
// body.
func (c *converter) copyTop(r io.Reader) error {
	return c.copy(r, func() bool {
		switch {
		case c.body:
			c.left--
		case !c.text:
			c.body = true
		}
		return c.body && c.left <= 0
	})
}

// copy sends what r has up to a line after whose end enough says so.
func (c *converter) copy(r io.Reader, enough func() bool) error {
	b := free.Get().(*buffers)
	defer free.Put(b)
	for {
		n, err := r.Read(b.in[:])
		out, done := c.convert(b.out[:0], b.in[:n], enough)
		if _, werr := c.w.Write(out); werr != nil {
			return werr
		}
		c.written += int64(len(out))
		switch {
		case done || errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// convert appends what becomes of p to out.
func (c *converter) convert(out, p []byte, enough func() bool) (all []byte, done bool) {
	for len(p) > 0 {
		line, rest, ended := bytes.Cut(p, []byte("\n"))
		p = rest
		if len(line) > 0 {
			if !c.begun && c.stuff && line[0] == '.' {
				out = append(out, '.')
			}
			out = append(out, line...)
			c.text = c.text || c.begun || len(line) > 1 || line[0] != '\r'
			c.begun, c.cr = true, line[len(line)-1] == '\r'
		}
		if !ended {
			break
		}
		if !c.cr {
			out = append(out, '\r')
		}
		out = append(out, '\n')
		if enough() {
			done = true
		}
		c.begun, c.cr, c.text = false, false, false
		if done {
			break
		}
	}
	return out, done
}

// end ends a message, whose last line may have no end.
func (c *converter) end() error {
	last := ".\r\n"
	if c.begun {
		last = "\r\n.\r\n"
	}
	_, err := io.WriteString(c.w, last)
	return err
}
