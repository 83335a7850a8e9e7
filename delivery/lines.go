package delivery

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/bobbinmail/bobbin/spool/lines"
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
	digest   hash.Hash // of what copyTo has read
}

func newReader(r io.Reader) (*reader, error) {
	head, err := readHead(r)
	in := &reader{head: head, rest: r, digest: sha256.New()}
	if len(head) < headMax {
		in.rest = nil
	}
	in.fromLine, in.head = SplitFrom(in.head)
	return in, err
}

// readHead reads up to headMax bytes. io.ReadAll begins with so few that most
// messages take several reads.
func readHead(r io.Reader) (head []byte, err error) {
	head = make([]byte, 0, 8<<10)
	for err == nil && len(head) < headMax {
		if len(head) == cap(head) {
			head = slices.Grow(head, min(len(head), headMax-len(head)))
		}
		var n int
		n, err = r.Read(head[len(head):min(cap(head), headMax)])
		head = head[:len(head)+n]
	}
	if err == io.EOF {
		err = nil
	}
	return head, err
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
func (in *reader) copyTo(c *lines.Converter) error {
	head := in.head
	in.head = nil
	in.digest.Write(head)
	if _, err := c.Write(head); err != nil {
		return err
	}
	if in.rest != nil {
		if _, err := io.CopyBuffer(c, onlyReader{io.TeeReader(in.rest, in.digest)}, make([]byte, copySize)); err != nil {
			return err
		}
	}
	return c.End()
}

type onlyReader struct{ io.Reader }
