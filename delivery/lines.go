package delivery

import (
	"bytes"
	"errors"
	"hash"
	"io"
	"regexp"
	"strings"
	"sync"
)

// headMax is how much of a message is kept in memory: what is not longer is
// looked at as a whole before it is written.
const headMax = 1 << 20

// reader is a message being read, without the mbox "From " line that some
// MTAs put before it.
type reader struct {
	fromLine string
	head     []byte // the beginning, at most headMax
	rest     io.Reader
}

func newReader(r io.Reader) (*reader, error) {
	head, err := io.ReadAll(io.LimitReader(r, headMax))
	in := &reader{head: head, rest: r}
	if len(head) < headMax {
		in.rest = nil
	}
	in.fromLine, in.head = SplitFrom(in.head)
	return in, err
}

// SplitFrom takes the line off a message's beginning that is the envelope of
// mbox (RFC 4155), if there is one.
func SplitFrom(head []byte) (line string, rest []byte) {
	first, after, ok := bytes.Cut(head, []byte("\n"))
	if ok && len(first) < 1000 && bytes.HasPrefix(first, []byte("From ")) && fromLine().Match(first) {
		return strings.TrimRight(string(first), "\r"), after
	}
	return "", head
}

// fromLine is the envelope of an mbox message: sender and date as asctime(3)
// writes it, perhaps with a zone (RFC 4155). Other lines that begin with "From"
// are somebody's text.
var fromLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^From \S* *(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ` +
		`(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 0-3]?\d \d\d:\d\d(:\d\d)?( [-+A-Z0-9]{1,6})? \d{4}`)
})

// SenderOf takes the sender out of a line "From SENDER DATE".
func SenderOf(fromLine string) string {
	sender, _, _ := strings.Cut(strings.TrimPrefix(fromLine, "From "), " ")
	return sender
}

// strip guesses from the head whether all lines end in CRLF. For a message
// that is all head it is no guess.
func (in *reader) strip() bool {
	lf := bytes.Count(in.head, []byte("\n"))
	return lf == bytes.Count(in.head, []byte("\r\n"))
}

// copySize is how much is read and written at a time, in bytes.
const copySize = 256 << 10

// copyTo writes what has not been read yet.
func (in *reader) copyTo(c *converter) error {
	head := in.head
	in.head = nil
	if _, err := c.Write(head); err != nil {
		return err
	}
	if in.rest != nil {
		if _, err := io.CopyBuffer(c, onlyReader{in.rest}, make([]byte, copySize)); err != nil {
			return err
		}
	}
	return c.end()
}

type onlyReader struct{ io.Reader }

// errMixed means that a line without CR came after lines with CR had lost it.
var errMixed = errors.New("line ends of both kinds")

// converter takes the CR from lines that end in CRLF, as long as all do, and
// counts line ends.
type converter struct {
	w        io.Writer
	digest   hash.Hash
	strip    bool
	crlf, lf int64  // line ends seen
	cr       bool   // the last byte was a CR, which strip holds back
	left     []byte // what was not converted when errMixed came
}

// mixed tells whether both kinds of line ends were there.
func (c *converter) mixed() bool { return c.crlf > 0 && c.lf > 0 }

// wire is how many CRs the wire form has more than the stored one.
func (c *converter) wire() int64 {
	if c.strip {
		return c.crlf
	}
	return c.lf
}

func (c *converter) Write(p []byte) (int, error) {
	c.digest.Write(p)
	if !c.strip {
		c.count(p)
		return c.w.Write(p)
	}
	return len(p), c.convert(p)
}

// count notes the line ends of a chunk that is stored as it is.
func (c *converter) count(p []byte) {
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
func (c *converter) convert(p []byte) error {
	out := make([]byte, 0, len(p)+1)
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
			c.left = bytes.Clone(p)
			if _, err := c.w.Write(out); err != nil {
				return err
			}
			return errMixed
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
	_, err := c.w.Write(append(out, p...))
	return err
}

// end writes a CR that no LF followed.
func (c *converter) end() error {
	if c.strip && c.cr {
		c.cr = false
		_, err := c.w.Write([]byte("\r"))
		return err
	}
	return nil
}

// crAdder puts a CR before every LF.
type crAdder struct{ w io.Writer }

func (a *crAdder) Write(p []byte) (int, error) {
	_, err := a.w.Write(bytes.ReplaceAll(p, []byte("\n"), []byte("\r\n")))
	return len(p), err
}
