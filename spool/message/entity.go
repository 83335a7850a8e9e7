package message

import "io"

// Range is a stretch of the stored bytes.
type Range struct {
	Start, End int64 // offsets in bytes from the start of the message; End is exclusive
	Lines      int64 // LF bytes in the range; a last line without LF is not counted
	BareLF     int64 // those of Lines whose LF has no CR before it
}

// Len returns the number of stored bytes.
func (r Range) Len() int64 { return r.End - r.Start }

// WireLen returns the number of bytes after every bare LF has become CRLF, as
// the network protocols demand. A bare CR counts as one byte.
func (r Range) WireLen() int64 { return r.Len() + r.BareLF }

// Flags tells what was unusual about an entity.
type Flags uint8

const (
	// NoBlankLine: the header ended with its entity, not with a blank line.
	NoBlankLine Flags = 1 << iota
	// NoClosing: the closing delimiter of a multipart is missing.
	NoClosing
	// HeaderLimit: the header is longer than Limits.Header. Its end is the
	// last line end within the limit, what follows is an opaque body.
	HeaderLimit
	// DepthLimit: the body would nest deeper than Limits.Depth; it is opaque.
	DepthLimit
	// PartsLimit: there are more entities than Limits.Parts; those of this
	// body which are missing from Children lie in its unlisted end.
	PartsLimit
)

// Limited tells whether a limit hides some of the structure.
func (f Flags) Limited() bool { return f&(HeaderLimit|DepthLimit|PartsLimit) != 0 }

// Entity is one MIME entity (RFC 2045, section 2.4): a message or a body part.
// The strings hold what the header says, in lower case except for Boundary,
// with the defaults of RFC 2045, section 5.2 and RFC 2046, section 5.1.5.
type Entity struct {
	Header Range // with the blank line that ends it, where there is one
	Body   Range // without the line end that belongs to the next delimiter

	Type     string // "text", "multipart", "message" …; never empty
	Subtype  string // "plain", "mixed", "rfc822" …; never empty
	Charset  string // as declared, for text; empty when it is not
	Boundary string // for a multipart; empty when missing or longer than MaxBoundary
	Encoding string // content transfer encoding: "7bit" when not declared, see NormalEncoding
	Flags    Flags

	Depth    int // 0 for the message itself
	Parent   *Entity
	Children []*Entity // parts of a multipart, or the one message in a message/rfc822
}

// Multipart tells whether the entity is of a multipart type. It may still have
// no children, when it has no boundary or no part.
func (e *Entity) Multipart() bool { return e.Type == "multipart" }

// Nested tells whether the body is itself a message: message/rfc822 (RFC 2046,
// section 5.2.1) or message/global (RFC 6532, section 3.7). It has no child
// when the body is encoded or a limit was reached.
func (e *Entity) Nested() bool {
	return e.Type == "message" && (e.Subtype == "rfc822" || e.Subtype == "global")
}

// Raw reads the stored body from r, which holds the entire message. The only
// errors are those of r.
func (e *Entity) Raw(r io.ReaderAt) *io.SectionReader {
	return io.NewSectionReader(r, e.Body.Start, e.Body.Len())
}

// ReadHeader reads the entity's header from r, which holds the entire message.
// At most Limits.Header bytes and a blank line are read. The only errors are
// those of r; the header then holds what could be read.
func (e *Entity) ReadHeader(r io.ReaderAt) (Header, error) {
	b := make([]byte, e.Header.Len())
	n, err := r.ReadAt(b, e.Header.Start)
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

// Content reads the body from r with the transfer encoding undone. For a
// multipart and for an unknown encoding that is the stored body.
func (e *Entity) Content(r io.ReaderAt) io.Reader {
	if e.Multipart() {
		return e.Raw(r)
	}
	return Decode(e.Raw(r), e.Encoding)
}

// Text reads the body from r as UTF-8: transfer encoding undone and, for text
// types, the charset converted. The output of a text type is valid UTF-8.
func (e *Entity) Text(r io.ReaderAt) io.Reader {
	if e.Type != "text" {
		return e.Content(r)
	}
	return ToUTF8(e.Content(r), e.Charset)
}

// Message is the structure of one message. It is not changed after it was
// returned and may be used by several goroutines.
type Message struct {
	Range             // all of the stored bytes
	Flags    Flags    // union of the flags of all entities
	Entities []Entity // in the order of their headers; the first is the message itself
}

// Root returns the entity that is the message itself. It is never nil for a
// message made by this package.
func (m *Message) Root() *Entity { return &m.Entities[0] }
