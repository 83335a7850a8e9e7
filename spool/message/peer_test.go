package message

import (
	"bytes"
	"fmt"
	"io"
	"net/textproto"
	"strings"

	gomessage "github.com/emersion/go-message"
)

// peer compares what go-message reads with what the scanner found.
type peer struct {
	b      []byte
	bodies bool // compare decoded leaves too
}

// errPeer means that go-message gave up.
type errPeer struct{ error }

// message compares an entity with stored bytes that go-message reads anew.
func (p peer) message(stored []byte, e *Entity) error {
	theirs, err := gomessage.Read(bytes.NewReader(stored))
	if err != nil {
		return errPeer{err}
	}
	return p.entity(theirs, e)
}

func (p peer) entity(theirs *gomessage.Entity, e *Entity) error {
	if err := p.header(theirs, e); err != nil {
		return err
	}
	typ, _, err := theirs.Header.ContentType()
	if err != nil {
		return errPeer{err}
	}
	ours := e.Type + "/" + e.Subtype
	switch {
	case ours == typ:
	case ours == "text/plain" && !strings.Contains(typ, "/"):
	case ours == "message/rfc822" && e.Parent != nil && e.Parent.Subtype == "digest":
		return nil // go-message does not know the default of RFC 2046, section 5.1.5
	default:
		return fmt.Errorf("type %s, go-message %s", ours, typ)
	}
	if parts := theirs.MultipartReader(); parts != nil {
		return p.parts(parts, e)
	}
	body, err := io.ReadAll(theirs.Body)
	if err != nil {
		return errPeer{err}
	}
	if len(e.Children) == 1 {
		return p.message(body, e.Children[0])
	}
	if !p.bodies {
		return nil
	}
	text, err := io.ReadAll(e.Text(bytes.NewReader(p.b)))
	if err != nil || !bytes.Equal(text, body) {
		return fmt.Errorf("%s: body %q, go-message %q, %v", typ, text, body, err)
	}
	return nil
}

func (p peer) parts(parts gomessage.MultipartReader, e *Entity) error {
	for i := 0; ; i++ {
		part, err := parts.NextPart()
		switch {
		case err == io.EOF && i == len(e.Children):
			return nil
		case err == io.EOF:
			return fmt.Errorf("%d parts, go-message %d", len(e.Children), i)
		case err != nil:
			return errPeer{err}
		case i == len(e.Children):
			return fmt.Errorf("%d parts, go-message more", i)
		}
		if err := p.entity(part, e.Children[i]); err != nil {
			return err
		}
	}
}

func (p peer) header(theirs *gomessage.Entity, e *Entity) error {
	h := Header(p.b[e.Header.Start:e.Header.End])
	fields := theirs.Header.Fields()
	for f := range h.Fields() {
		if !fields.Next() {
			return fmt.Errorf("field %q, go-message none", h.Name(f))
		}
		name := textproto.CanonicalMIMEHeaderKey(h.Name(f))
		if name != fields.Key() {
			return fmt.Errorf("field %q, go-message %q", name, fields.Key())
		}
		value, other := squeeze(h.Value(f)), squeeze(fields.Value())
		if value != other {
			return fmt.Errorf("%s: %q, go-message %q", name, value, other)
		}
		text, err := fields.Text()
		if p.bodies && err == nil && squeeze(DecodeText(h.Value(f))) != squeeze(text) {
			return fmt.Errorf("%s: %q, go-message %q", name, DecodeText(h.Value(f)), text)
		}
	}
	if fields.Next() {
		return fmt.Errorf("no field, go-message %q", fields.Key())
	}
	return nil
}

// squeeze makes folding white space comparable: go-message keeps one blank of it.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
