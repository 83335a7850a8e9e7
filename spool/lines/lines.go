// Package lines converts the line ends of messages on their way into the spool,
// which stores LF where all lines of a message end in CRLF (spool-format.md).
package lines

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// ErrMixed means that a line without CR came after lines with CR had lost it.
// What was written gives the message back through [AddCR], up to Converter.Left.
var ErrMixed = errors.New("line ends of both kinds")

// Converter takes the CR from lines that end in CRLF, as long as all do, and
// counts line ends.
type Converter struct {
	W io.Writer
	// Strip says that all lines are thought to end in CRLF; otherwise they are
	// only counted.
	Strip bool
	// Left is what was not converted when [ErrMixed] came.
	Left []byte

	crlf, lf int64  // line ends seen
	cr       bool   // the last byte was a CR, which Strip holds back
	out      []byte // for convert, which would leave garbage of the message's size behind
}

// Mixed tells whether both kinds of line ends were there.
func (c *Converter) Mixed() bool { return c.crlf > 0 && c.lf > 0 }

// Wire is how many CRs the wire form has more than the stored one.
func (c *Converter) Wire() int64 {
	if c.Strip {
		return c.crlf
	}
	return c.lf
}

// Write takes the next bytes of the message. The error is [ErrMixed] or that of W.
func (c *Converter) Write(p []byte) (int, error) {
	if !c.Strip {
		c.count(p)
		return c.W.Write(p)
	}
	return len(p), c.convert(p)
}

// count notes the line ends of a chunk that is stored as it is.
func (c *Converter) count(p []byte) {
	if len(p) == 0 {
		return
	}
	all, both := int64(bytes.Count(p, []byte("\n"))), int64(bytes.Count(p, []byte("\r\n")))
	if c.cr && p[0] == '\n' {
		both++
	}
	c.crlf += both
	c.lf += all - both
	c.cr = p[len(p)-1] == '\r'
}

// convert writes p without the CRs of its line ends.
func (c *Converter) convert(p []byte) error {
	c.out = slices.Grow(c.out[:0], len(p)+1)
	out := c.out
	if c.cr && len(p) > 0 && p[0] != '\n' {
		out = append(out, '\r')
		c.cr = false
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			break
		}
		end := i
		switch {
		case i > 0 && p[i-1] == '\r':
			end = i - 1
		case i == 0 && c.cr:
		default:
			c.Left = bytes.Clone(p)
			if _, err := c.W.Write(out); err != nil {
				return err
			}
			return ErrMixed
		}
		c.cr = false
		c.crlf++
		out = append(append(out, p[:end]...), '\n')
		p = p[i+1:]
	}
	if n := len(p); n > 0 && p[n-1] == '\r' {
		c.cr = true
		p = p[:n-1]
	}
	_, err := c.W.Write(append(out, p...))
	return err
}

// End writes a CR that no LF followed. It comes after the last Write.
func (c *Converter) End() error {
	if c.Strip && c.cr {
		c.cr = false
		_, err := c.W.Write([]byte("\r"))
		return err
	}
	return nil
}

// AddCR returns a writer to w that puts a CR before every LF.
func AddCR(w io.Writer) io.Writer { return &crAdder{w} }

type crAdder struct{ w io.Writer }

func (a *crAdder) Write(p []byte) (int, error) {
	_, err := a.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")))
	return len(p), err
}
