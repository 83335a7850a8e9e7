package pop

import (
	"context"
	"errors"
	"io"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool/message"
)

// errUTF8 means that a message cannot be made fit for a client that did not
// give UTF8.
var errUTF8 = errors.New("the header is too long to be converted")

// utf8Mode lets messages be sent as they are (RFC 6856 §2.1).
func (x *session) utf8Mode(context.Context, []string) {
	x.utf8 = true
	x.ok("UTF8 mode")
}

// ahead is a message whose beginning was read already.
type ahead struct {
	buffers *buffers
	begun   []byte
	rest    io.Reader
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(a.begun) == 0 {
		return a.rest.Read(p)
	}
	n := copy(p, a.begun)
	a.begun = a.begun[n:]
	return n, nil
}

// conventional returns a message as a client gets it that did not give UTF8. One whose own
// header has no UTF-8 goes as it is, even if headers of its parts have: to lose the
// names of its files would harm more than bytes that every client has seen.
// done gives back what it holds.
func conventional(f netfs.File) (r io.Reader, surrogate bool, done func(), err error) {
	b := free.Get().(*buffers)
	done = func() { free.Put(b) }
	n, err := io.ReadFull(f, b.in[:])
	whole := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if err != nil && !whole {
		return nil, false, done, err
	}
	a := &ahead{b, b.in[:n], f}
	header, end := message.Header(b.in[:n]), 0
	for field := range header.Fields() {
		end = field.End
	}
	if (whole || end < n) && !header.Internationalized() {
		return a, false, done, nil
	}
	var scan message.Scanner
	if _, err := io.Copy(&scan, a); err != nil {
		return nil, false, done, err
	}
	m := scan.Finish()
	if header, err = m.Root().ReadHeader(f); err != nil {
		return nil, false, done, err
	}
	if m.Flags&message.HeaderLimit != 0 && header.Internationalized() {
		return nil, false, done, errUTF8
	}
	if !header.Internationalized() {
		return io.NewSectionReader(f, m.Start, m.Len()), false, done, nil
	}
	return message.Surrogate(f, m), true, done, nil
}
