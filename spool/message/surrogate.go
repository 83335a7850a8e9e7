package message

import (
	"bytes"
	"io"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// unknownAddress takes the place of an address that an old client could not
// write to. The domain belongs to nobody (RFC 2606).
const unknownAddress = "invalid@internationalized-address.invalid"

// addressFields are those whose addresses are replaced (RFC 6858 §2.1).
var addressFields = []string{
	"bcc", "cc", "from", "reply-to", "resent-bcc", "resent-cc", "resent-from", "resent-sender", "resent-to", "return-path", "sender", "to",
}

// Internationalized tells whether a header needs a client that knows UTF-8 in
// headers (RFC 6532): it has some, and nothing else that is not ASCII.
func (h Header) Internationalized() bool {
	end := 0
	for f := range h.Fields() {
		end = f.End
	}
	return !ascii(h[:end]) && utf8.Valid(h[:end])
}

// Surrogate reads the message m, which r holds, as clients get it that do not
// know UTF-8 in headers (RFC 6858). The headers of the message and of its parts
// are ASCII then: non-ASCII addresses are replaced by one that nobody has,
// subjects and names encoded, and parameters and fields that cannot be kept
// left out. Bodies are what they were. New lines end in LF. One header is in memory at a
// time; those that exceed [Limits].Header stay as they are. The only errors are those
// of r.
func Surrogate(r io.ReaderAt, m *Message) io.Reader {
	var parts []io.Reader
	at := m.Start
	for i := range m.Entities {
		e := &m.Entities[i]
		if e.Flags&HeaderLimit != 0 || e.Header.Start < at {
			continue
		}
		parts = append(parts, io.NewSectionReader(r, at, e.Header.Start-at), &surrogateHeader{r: r, e: e})
		at = e.Header.End
	}
	return io.MultiReader(append(parts, io.NewSectionReader(r, at, m.End-at))...)
}

// surrogateHeader is a header that is rewritten when its turn comes.
type surrogateHeader struct {
	r    io.ReaderAt
	e    *Entity
	text *bytes.Reader
}

// Read is [io.Reader].
func (s *surrogateHeader) Read(p []byte) (int, error) {
	if s.text == nil {
		h, err := s.e.ReadHeader(s.r)
		if err != nil {
			return 0, err
		}
		s.text = bytes.NewReader(h.surrogate())
	}
	return s.text.Read(p)
}

// surrogate is a header without anything that is not ASCII.
func (h Header) surrogate() []byte {
	if ascii(h) {
		return h
	}
	var out []byte
	at := 0
	for f := range h.Fields() {
		at = f.End
		if ascii(h[f.Start:f.End]) {
			out = append(out, h[f.Start:f.End]...)
			continue
		}
		if value := h.surrogateValue(f); value != "" {
			out = append(out, h.Name(f)+": "+value+"\n"...)
		}
	}
	return append(out, h[at:]...)
}

// surrogateValue is what remains of a field's value; nothing if it is "".
func (h Header) surrogateValue(f Field) string {
	switch name := strings.ToLower(h.Name(f)); {
	case name == "subject":
		return encodeWords(DecodeText(h.Value(f)))
	case slices.Contains(addressFields, name):
		return surrogateAddresses(ParseAddresses(h.Value(f)))
	case name == "content-type" || name == "content-disposition":
		return asciiParams(h.Value(f))
	}
	return ""
}

func surrogateAddresses(list []Address) string {
	var out strings.Builder
	first := true
	for _, a := range list {
		if a.Kind == GroupEnd {
			out.WriteByte(';')
			first = false
			continue
		}
		if !first {
			out.WriteString(",\n ")
		}
		first = a.Kind == GroupStart
		switch name, addr := a.Name(), a.Addr(); {
		case a.Kind == GroupStart:
			out.WriteString(phrase(name) + ": ")
		case !ascii([]byte(addr)):
			out.WriteString(phrase(a.String()) + " <" + unknownAddress + ">")
		case addr == "":
			out.WriteString(phrase(name) + " <" + unknownAddress + ">")
		case name == "":
			out.WriteString(addr)
		default:
			out.WriteString(phrase(name) + " <" + addr + ">")
		}
	}
	return out.String()
}

// phrase is a display name as it stands in a header.
func phrase(name string) string {
	if name == "" || !printable(name) {
		return encodeWords(name)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// encodeWords encodes text (RFC 2047), a word on each line.
func encodeWords(text string) string {
	return strings.ReplaceAll(mime.QEncoding.Encode("utf-8", text), "?= =?", "?=\n =?")
}

// asciiParams leaves out the parameters of a MIME field that are not ASCII; all
// of it if the rest would not be one.
func asciiParams(value string) string {
	var kept []string
	for i, part := range splitParams(value) {
		if part = strings.TrimSpace(part); ascii([]byte(part)) {
			kept = append(kept, part)
		} else if i == 0 {
			return ""
		}
	}
	return strings.Join(kept, ";\n ")
}

// splitParams splits at semicolons outside quotes.
func splitParams(value string) (parts []string) {
	start, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			parts, start = append(parts, value[start:i]), i+1
		}
	}
	return append(parts, value[start:])
}

func ascii(b []byte) bool {
	return !slices.ContainsFunc(b, func(c byte) bool { return c >= utf8.RuneSelf })
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
