package message

import (
	"bytes"
	"iter"
	"strings"
	"time"
)

// Header is the bytes of a header as they are stored. Bytes behind a blank
// line are ignored, so that an entire message will do as well. The methods
// never fail and do not change the bytes; every call reads them anew. Names of
// fields are compared without case.
type Header []byte

// Field tells where a header field stands, as offsets in bytes into its Header.
// A line that is no field has an empty name and is all value.
type Field struct {
	Start, NameEnd       int // the name, without white space behind it
	ValueStart, ValueEnd int // the value with its folding, without the last line end
	End                  int // where the next field begins
}

// Name returns the field's name as it is written.
func (h Header) Name(f Field) string { return string(h[f.Start:f.NameEnd]) }

// Raw returns the field's value as it is stored, with the blank after the
// colon and the folding. It shares memory with the header.
func (h Header) Raw(f Field) []byte { return h[f.ValueStart:f.ValueEnd:f.ValueEnd] }

// Value returns the field's value unfolded (RFC 5322, section 2.2.3) and
// without white space around it.
func (h Header) Value(f Field) string { return unfold(h.Raw(f)) }

// Fields yields the fields in their order, and lines that are none.
func (h Header) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for at := 0; ; {
			f, ok := h.next(at)
			if !ok || !yield(f) {
				return
			}
			at = f.End
		}
	}
}

// Named yields the fields with a name, in their order.
func (h Header) Named(name string) iter.Seq[Field] {
	name = strings.ToLower(name)
	return func(yield func(Field) bool) {
		for f := range h.Fields() {
			if f.NameEnd > f.Start && equalFold(h[f.Start:f.NameEnd], name) && !yield(f) {
				return
			}
		}
	}
}

// next finds the field that begins at an offset.
func (h Header) next(at int) (f Field, ok bool) {
	if at >= len(h) {
		return f, false
	}
	end, text := h.lineEnd(at)
	if blank(h[at:text]) {
		return f, false
	}
	f = Field{Start: at, NameEnd: at, ValueStart: at}
	if nameEnd, value, ok := splitField(h[at:text]); ok {
		f.NameEnd, f.ValueStart = at+nameEnd, at+value
	}
	for end < len(h) && (h[end] == ' ' || h[end] == '\t') {
		end, text = h.lineEnd(end)
	}
	f.End, f.ValueEnd = end, max(f.ValueStart, trimCR(h, text))
	return f, true
}

// lineEnd returns where the line at an offset ends, with and without its LF.
func (h Header) lineEnd(at int) (end, text int) {
	if i := bytes.IndexByte(h[at:], '\n'); i >= 0 {
		return at + i + 1, at + i
	}
	return len(h), len(h)
}

func trimCR(h Header, end int) int {
	for end > 0 && h[end-1] == '\r' {
		end--
	}
	return end
}

// splitField finds name and value in the first line of a field. A name is
// printable ASCII without a colon (RFC 5322, section 2.2); blanks before the
// colon are obsolete but allowed (section 4.5).
func splitField(line []byte) (nameEnd, value int, ok bool) {
	i := 0
	for i < len(line) && line[i] > ' ' && line[i] < 0x7f && line[i] != ':' {
		i++
	}
	nameEnd = i
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	if nameEnd == 0 || i == len(line) || line[i] != ':' {
		return 0, 0, false
	}
	return nameEnd, i + 1, true
}

// unfold removes line ends and the white space around the value.
func unfold(raw []byte) string {
	raw = bytes.Trim(raw, " \t\r\n")
	if bytes.IndexByte(raw, '\n') < 0 {
		return string(raw)
	}
	var b strings.Builder
	b.Grow(len(raw))
	for line := range bytes.SplitSeq(raw, []byte{'\n'}) {
		b.Write(bytes.TrimRight(line, "\r"))
	}
	return b.String()
}

// Has tells whether there is a field with that name.
func (h Header) Has(name string) bool {
	for range h.Named(name) {
		return true
	}
	return false
}

// Get returns the unfolded value of the first field with that name, or "". It
// is not decoded.
func (h Header) Get(name string) string {
	for f := range h.Named(name) {
		return h.Value(f)
	}
	return ""
}

// Values returns the unfolded values of all fields with that name.
func (h Header) Values(name string) []string {
	var all []string
	for f := range h.Named(name) {
		all = append(all, h.Value(f))
	}
	return all
}

// Text returns the value of the first field with that name, decoded with
// DecodeText. The result is valid UTF-8; it may hold control characters.
func (h Header) Text(name string) string { return DecodeText(h.Get(name)) }

// Addresses returns the addresses of all fields with that name. The members
// of a group are among them, its name is not; see ParseAddresses.
func (h Header) Addresses(name string) []Address {
	var all []Address
	for f := range h.Named(name) {
		for _, a := range ParseAddresses(h.Value(f)) {
			if a.Kind == Mailbox {
				all = append(all, a)
			}
		}
	}
	return all
}

// Date returns the time in the first Date field, or the zero time; see ParseDate.
func (h Header) Date() time.Time { return ParseDate(h.Get("Date")) }

// MessageID returns the identifier in the first Message-ID field without its
// angle brackets, or "".
func (h Header) MessageID() string {
	if ids := ParseMessageIDs(h.Get("Message-ID")); len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// MediaType returns what the first Content-Type field says, text/plain when
// there is none. The default within a multipart/digest is known to Entity only.
func (h Header) MediaType() MediaType { return ParseMediaType(h.Get("Content-Type")) }

// Disposition returns what the first Content-Disposition field says.
func (h Header) Disposition() (string, Params) {
	return ParseDisposition(h.Get("Content-Disposition"))
}

// ParseMessageIDs returns the message identifiers in the value of a field such
// as References (RFC 5322, section 3.6.4), without angle brackets. Words that
// have none count only when nothing in the value has.
func ParseMessageIDs(value string) []string {
	var ids []string
	for rest := value; ; {
		_, after, ok := strings.Cut(rest, "<")
		if !ok {
			break
		}
		id, next, ok := strings.Cut(after, ">")
		if !ok {
			break
		}
		if id = strings.Join(strings.Fields(id), ""); id != "" {
			ids = append(ids, id)
		}
		rest = next
	}
	if ids == nil {
		for word := range strings.FieldsSeq(value) {
			if word = strings.Trim(word, "<>"); word != "" {
				ids = append(ids, word)
			}
		}
	}
	return ids
}
