package readers

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/spool/message"
	"github.com/bobbinmail/bobbin/spool/summary"
)

// TextOptions says how Text shows a message. The zero value stands for the
// defaults.
type TextOptions struct {
	Fields  []string         // header fields in the order they are shown; nil means From, To, Cc, Date, Subject
	MaxText int64            // bytes of decoded text shown in all; 0 means 1 MiB, negative means no limit
	Message *message.Message // the structure of what r holds, where it is known; nil makes Text scan r
}

func (o *TextOptions) setDefaults() {
	if o.Fields == nil {
		o.Fields = []string{"From", "To", "Cc", "Date", "Subject"}
	}
	if o.MaxText == 0 {
		o.MaxText = 1 << 20
	}
}

// Text writes the message of size bytes in r to w as a terminal can show it:
// some header fields, an empty line, the text, and a line in brackets for each
// part that is no text. Of alternatives the plain text is shown. Everything
// goes through SafeWriter, so that w may be a terminal. Memory does not grow
// with the message.
//
// Bad content is no error: it is shown as well as possible. The only errors
// are those of r and w; what was written up to then stays.
func Text(w io.Writer, r io.ReaderAt, size int64, o TextOptions) error {
	o.setDefaults()
	if o.Message == nil {
		m, err := scan(r, size)
		if err != nil {
			return err
		}
		o.Message = m
	}
	safe := SafeWriter(w)
	t := textWriter{r: r, w: safe, o: o, left: o.MaxText}
	t.message(o.Message.Root())
	if err := safe.Close(); t.err == nil {
		t.err = err
	}
	return t.err
}

func scan(r io.ReaderAt, size int64) (*message.Message, error) {
	var s message.Scanner
	if _, err := io.CopyBuffer(&s, io.NewSectionReader(r, 0, size), make([]byte, 128<<10)); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	return s.Finish(), nil
}

// maxValue is how many bytes of one header field, or of one file name, are shown.
const (
	maxValue = 16 << 10
	maxName  = 200
)

type textWriter struct {
	r    io.ReaderAt
	w    io.Writer
	o    TextOptions
	left int64 // text that may still be shown; negative: no limit
	cut  bool  // the limit was reached and said so
	more bool  // a text was shown that the next one must be kept apart from
	err  error
}

func (t *textWriter) print(parts ...string) {
	for _, s := range parts {
		if t.err == nil {
			_, t.err = io.WriteString(t.w, s)
		}
	}
}

func (t *textWriter) header(e *message.Entity) message.Header {
	if t.err != nil {
		return nil
	}
	h, err := e.ReadHeader(t.r)
	if err != nil {
		t.err = fmt.Errorf("read header: %w", err)
	}
	return h
}

// message shows the header and the body of a message.
func (t *textWriter) message(e *message.Entity) {
	h := t.header(e)
	for _, name := range t.o.Fields {
		if !h.Has(name) {
			continue
		}
		value := h.Text(name)
		if addressField[strings.ToLower(name)] {
			value = summary.Addresses(h, name)
		}
		t.print(SafeLine(name), ": ", SafeLine(shorten(value, maxValue)), "\n")
	}
	t.print("\n")
	t.more = false
	t.entity(e)
}

var addressField = map[string]bool{
	"from": true, "sender": true, "reply-to": true, "to": true, "cc": true, "bcc": true,
	"resent-from": true, "resent-sender": true, "resent-to": true, "resent-cc": true, "resent-bcc": true,
}

// shorten cuts s to n bytes, between two characters.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// entity shows one entity: its text, or a line that says what it is.
func (t *textWriter) entity(e *message.Entity) {
	switch {
	case t.err != nil:
	case e.Multipart() && len(e.Children) > 0:
		t.multipart(e)
	case e.Multipart() && !e.Flags.Limited():
		t.text(e) // without parts there is nothing else to show
	case e.Nested() && len(e.Children) > 0 && (e.Parent == nil || e.Parent.Subtype == "digest"):
		t.message(e.Children[0])
	case t.attached(e):
		t.attachment(e)
	case e.Type == "text" && e.Subtype == "html":
		t.print("[", kind(e), ", ", decodedSize(e), ": no plain text]\n")
	case e.Type == "text" || e.Type == "message" && e.Subtype == "delivery-status":
		t.text(e)
	default:
		t.attachment(e)
	}
}

// attached tells whether the sender wants the part to be shown on demand only.
func (t *textWriter) attached(e *message.Entity) bool {
	disposition, _ := t.header(e).Disposition()
	return disposition == "attachment"
}

func (t *textWriter) multipart(e *message.Entity) {
	chosen := 0
	if e.Subtype == "alternative" {
		chosen = bestAlternative(e.Children)
	}
	for i, c := range e.Children {
		switch e.Subtype {
		case "alternative":
			if i == chosen {
				t.entity(c)
			} else {
				t.attachmentsIn(c)
			}
		case "related", "signed":
			if i == chosen {
				t.entity(c)
			} else {
				t.attachment(c)
			}
		default:
			t.entity(c)
		}
	}
	if e.Flags&message.PartsLimit != 0 {
		t.print("[more parts]\n")
	}
}

// bestAlternative returns the first one with plain text in it, otherwise the
// first one: the plainest is to come first (RFC 2046, section 5.1.4).
func bestAlternative(all []*message.Entity) int {
	for i, e := range all {
		if hasPlain(e) {
			return i
		}
	}
	return 0
}

func hasPlain(e *message.Entity) bool {
	if !e.Multipart() {
		return e.Type == "text" && e.Subtype == "plain"
	}
	for _, c := range e.Children {
		if hasPlain(c) {
			return true
		}
	}
	return false
}

// attachmentsIn lists the attachments of an alternative that is not shown:
// some programs put them next to the formatted text.
func (t *textWriter) attachmentsIn(e *message.Entity) {
	if e.Multipart() {
		for _, c := range e.Children {
			t.attachmentsIn(c)
		}
		return
	}
	if t.attached(e) {
		t.attachment(e)
	}
}

func (t *textWriter) attachment(e *message.Entity) {
	h := t.header(e)
	_, params := h.Disposition()
	name := params.Get("filename")
	if name == "" {
		name = h.MediaType().Params.Get("name")
	}
	if name == "" && e.Nested() && len(e.Children) > 0 {
		name = t.header(e.Children[0]).Text("Subject")
	}
	if name = strings.TrimSpace(name); name == "" {
		name = "unnamed"
	}
	t.print("[attachment: ", SafeLine(shorten(name, maxName)), ", ", kind(e), ", ", decodedSize(e), "]\n")
}

// text shows the decoded text of an entity, up to the limit for all of them.
func (t *textWriter) text(e *message.Entity) {
	if t.cut {
		return
	}
	if t.more {
		t.print("\n")
	}
	t.more = true
	text := e.Text(t.r)
	buf := make([]byte, 32<<10)
	last := byte('\n')
	for t.err == nil && t.left != 0 {
		p := buf
		if t.left > 0 {
			p = p[:min(int64(len(p)), t.left)]
		}
		n, err := text.Read(p)
		if n > 0 {
			last = p[n-1]
			if t.left > 0 {
				t.left -= int64(n)
			}
			if t.left == 0 {
				n = wholeRunes(p[:n])
			}
			_, t.err = t.w.Write(p[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil && t.err == nil {
			t.err = fmt.Errorf("read text: %w", err)
		}
	}
	if last != '\n' {
		t.print("\n")
	}
	if t.left == 0 && !t.cut && t.err == nil {
		if n, _ := io.ReadFull(text, buf[:1]); n > 0 {
			t.cut = true
			t.print("[text cut after ", ByteSize(t.o.MaxText), "]\n")
		}
	}
}

// wholeRunes returns the length of p without a character that is cut off.
func wholeRunes(p []byte) int {
	for i := len(p) - 1; i >= 0 && i >= len(p)-utf8.UTFMax; i-- {
		if utf8.RuneStart(p[i]) {
			if !utf8.FullRune(p[i:]) {
				return i
			}
			break
		}
	}
	return len(p)
}

func kind(e *message.Entity) string { return SafeLine(e.Type + "/" + e.Subtype) }

// decodedSize tells the size of an entity's content for people. It is computed
// from the stored size, without reading it.
func decodedSize(e *message.Entity) string {
	n := e.Body.Len()
	if e.Encoding == "base64" {
		lineEnds := 2*e.Body.Lines - e.Body.BareLF
		n = (n - lineEnds) / 4 * 3
	}
	return ByteSize(n)
}

// ByteSize writes a number of bytes for people.
func ByteSize(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
