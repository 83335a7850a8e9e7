package imap

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/message"
)

// source is a message of which sections are read.
type source struct {
	x    *session
	uid  uint32
	file netfs.File
	size int64            // bytes in the file
	wire int64            // with CRLF; -1 if not known
	msg  *message.Message // nil before it was scanned
}

// content is what a section is. The zero value is nothing: NIL.
type content struct {
	exists bool
	binary bool
	size   bool  // the size alone is told
	length int64 // bytes
	send   func(w io.Writer) error
}

func (f *fetcher) open(ctx context.Context, m *spool.Message) (*source, error) {
	file, err := f.view.OpenListed(ctx, m)
	if err != nil {
		return nil, err
	}
	size, err := file.Size()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	s := &source{x: f.session, uid: m.UID, file: file, size: size, wire: m.Wire()}
	if f.scanned != nil && f.scannedUID == m.UID && f.scanned.End == size {
		s.msg = f.scanned
	}
	return s, nil
}

func (s *source) close() { _ = s.file.Close() } // it was read from

// find finds sections in the message.
func (s *source) find(list []*section) ([]content, error) {
	parts := make([]content, len(list))
	for i, want := range list {
		part, err := s.section(want)
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	return parts, nil
}

// headPart is how much is read to find the end of a header.
const headPart = 64 << 10

func (s *source) section(want *section) (content, error) {
	if len(want.part) == 0 && want.text == "" {
		c, err := s.stretch(0, s.size, s.wire, want)
		c.binary, c.size = want.binary, want.size
		return c, err
	}
	if err := s.scan(len(want.part) > 0 || want.binary); err != nil {
		return content{}, err
	}
	e, ok := resolve(s.msg.Root(), want.part)
	if !ok {
		return content{size: want.size}, nil
	}
	if want.binary {
		return s.decoded(e, want)
	}
	if len(want.part) > 0 && want.text != "" && want.text != "MIME" {
		if !e.Nested() || len(e.Children) == 0 {
			return content{}, nil
		}
		e = e.Children[0]
	}
	switch want.text {
	case "", "TEXT":
		if e.Depth == 0 { // the body goes to the end, scanned or not
			wire := s.wire
			if wire >= 0 {
				wire -= e.Header.WireLen()
			}
			return s.stretch(e.Header.End, s.size, wire, want)
		}
		return s.stretch(e.Body.Start, e.Body.End, e.Body.WireLen(), want)
	case "HEADER", "MIME":
		return s.stretch(e.Header.Start, e.Header.End, e.Header.WireLen(), want)
	}
	return s.fields(e, want)
}

// scan finds the structure: of the whole message, or as far as its header needs.
func (s *source) scan(whole bool) error {
	if s.msg != nil && (!whole || s.msg.End == s.size) {
		return nil
	}
	most := s.size
	if !whole {
		most = min(most, headPart)
	}
	for {
		var sc message.Scanner
		if _, err := io.CopyBuffer(&sc, io.NewSectionReader(s.file, 0, most), make([]byte, min(most+1, 256<<10))); err != nil {
			return err
		}
		if s.msg = sc.Finish(); whole {
			s.x.scanned, s.x.scannedUID = s.msg, s.uid
		}
		if most == s.size || !whole && s.msg.Root().Header.End < most {
			return nil
		}
		most = s.size
	}
}

// resolve finds a part by its numbers (RFC 9051 §6.4.5.1).
func resolve(root *message.Entity, part []uint32) (e *message.Entity, ok bool) {
	e = root
	single := false // e is the only part of a message that is no multipart
	for i, n := range part {
		if i > 0 {
			switch {
			case e.Multipart() && !single:
			case e.Nested() && len(e.Children) > 0:
				e = e.Children[0]
			default:
				return nil, false
			}
		}
		if e.Multipart() {
			if int64(n) > int64(len(e.Children)) {
				return nil, false
			}
			e, single = e.Children[n-1], false
			continue
		}
		if n != 1 {
			return nil, false
		}
		single = true
	}
	return e, true
}

// stretch is the stored bytes from start to end, which are wire bytes long with
// CRLF.
func (s *source) stretch(start, end, wire int64, want *section) (c content, err error) {
	if wire < 0 {
		if wire, err = wireLength(s.file, start, end); err != nil {
			return content{}, err
		}
	}
	skip, length := want.cut(wire)
	return content{exists: true, length: length, send: func(w io.Writer) error {
		if wire == end-start { // nothing is converted
			_, err := io.Copy(w, io.NewSectionReader(s.file, start+skip, length))
			return err
		}
		if at := &s.x.at; at.uid != s.uid || at.start != start || at.end != end {
			*at = position{uid: s.uid, start: start, end: end}
		}
		return s.x.at.send(w, s.file, skip, length)
	}}, nil
}

// cut is where the part that is wanted of n bytes begins, and how long it is.
func (s *section) cut(n int64) (skip, length int64) {
	if !s.partial {
		return 0, n
	}
	skip = int64(min(s.first, uint64(n)))
	return skip, int64(min(s.most, uint64(n-skip)))
}

// fields is the header with some of its fields, and the empty line.
func (s *source) fields(e *message.Entity, want *section) (content, error) {
	header, err := e.ReadHeader(s.file)
	if err != nil {
		return content{}, err
	}
	not := want.text == "HEADER.FIELDS.NOT"
	listed := map[string]bool{}
	for _, name := range want.fields {
		listed[strings.ToLower(name)] = true
	}
	var b bytes.Buffer
	for f := range header.Fields() {
		if listed[strings.ToLower(header.Name(f))] != not {
			b.Write(header[f.Start:f.End])
		}
	}
	if b.Len() > 0 && b.Bytes()[b.Len()-1] != '\n' {
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	var wire bytes.Buffer
	whole := position{end: int64(b.Len())}
	if err := whole.send(&wire, bytes.NewReader(b.Bytes()), 0, 2*int64(b.Len())); err != nil {
		return content{}, err
	}
	skip, length := want.cut(int64(wire.Len()))
	return content{exists: true, length: length, send: func(w io.Writer) error {
		_, err := w.Write(wire.Bytes()[skip : skip+length])
		return err
	}}, nil
}

// errEncoding means that a part's transfer encoding is unknown (RFC 3516 §4.3).
var errEncoding = errors.New("unknown transfer encoding")

// decoded is a part without its transfer encoding. It is decoded twice: the
// length comes first.
func (s *source) decoded(e *message.Entity, want *section) (content, error) {
	switch e.Encoding {
	case "7bit", "8bit", "binary", "base64", "quoted-printable", "x-uuencode":
	default:
		return content{}, errEncoding
	}
	n, err := io.Copy(io.Discard, e.Content(s.file))
	if err != nil {
		return content{}, err
	}
	skip, length := want.cut(n)
	return content{exists: true, binary: true, size: want.size, length: length, send: func(w io.Writer) error {
		r := e.Content(s.file)
		_, err := io.CopyN(io.Discard, r, skip)
		if err == nil {
			_, err = io.CopyN(w, r, length)
		}
		return err
	}}, nil
}

// content writes a section.
func (f *fetcher) content(c content) error {
	switch {
	case !c.exists && !c.size:
		f.out = append(f.out, "NIL"...)
		return nil
	case c.size:
		f.out = appendNumber(f.out, uint64(c.length))
		return nil
	case c.binary:
		f.out = append(f.out, '~')
	}
	f.out = append(appendNumber(append(f.out, '{'), uint64(c.length)), "}\r\n"...)
	f.flush()
	w := &counted{w: f.conn.Writer}
	err := c.send(w)
	f.sent += w.n
	if err == nil && w.n != c.length {
		err = io.ErrUnexpectedEOF
	}
	return err
}

type counted struct {
	w io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
