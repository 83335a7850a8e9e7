package summary

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/spool/message"
)

// writer writes IMAP's parenthesized lists. It stops when more was written
// than is kept, so that a message of ten thousand parts costs no more than one
// of some hundred.
type writer struct {
	strings.Builder
	r   io.ReaderAt
	err error
}

func (w *writer) full() bool { return w.Len() > maxStructure || w.err != nil }

// text writes a string, NIL for "".
func (w *writer) text(s string) {
	if s == "" {
		w.WriteString("NIL")
		return
	}
	w.WriteString(quoted(s))
}

var quotedPairs = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", " ", "\n", " ", "\x00", "")

func quoted(s string) string { return `"` + quotedPairs.Replace(valid(s)) + `"` }

// envelope writes the ENVELOPE of a header (RFC 9051, section 7.5.2).
func envelope(h message.Header) string {
	var w writer
	w.envelope(h)
	return w.String()
}

func (w *writer) envelope(h message.Header) {
	w.WriteByte('(')
	w.text(h.Get("Date"))
	w.WriteByte(' ')
	w.text(h.Get("Subject"))
	from := addresses(h, "From")
	for _, name := range []string{"From", "Sender", "Reply-To", "To", "Cc", "Bcc"} {
		w.WriteByte(' ')
		list := addresses(h, name)
		if list == "" && (name == "Sender" || name == "Reply-To") {
			list = from
		}
		if list == "" {
			list = "NIL"
		}
		w.WriteString(list)
	}
	w.WriteByte(' ')
	w.text(h.Get("In-Reply-To"))
	w.WriteByte(' ')
	w.text(h.Get("Message-ID"))
	w.WriteByte(')')
}

func addresses(h message.Header, name string) string {
	var w writer
	for f := range h.Named(name) {
		for _, a := range message.ParseAddresses(h.Value(f)) {
			if w.full() {
				break
			}
			w.address(a)
		}
	}
	if w.Len() == 0 {
		return ""
	}
	return "(" + w.String() + ")"
}

func (w *writer) address(a message.Address) {
	w.WriteByte('(')
	switch a.Kind {
	case message.GroupStart:
		w.WriteString("NIL NIL " + quoted(a.Phrase) + " NIL")
	case message.GroupEnd:
		w.WriteString("NIL NIL NIL NIL")
	default:
		w.text(a.Phrase)
		w.WriteByte(' ')
		w.text(a.Route)
		// Without a host it would be taken for a group.
		w.WriteString(" " + quoted(a.Local) + " " + quoted(a.Host))
	}
	w.WriteByte(')')
}

// bodyStructure writes the BODYSTRUCTURE of a message. What is longer than is
// kept has no end.
func bodyStructure(m *message.Message, r io.ReaderAt) (string, error) {
	w := writer{r: r}
	w.body(m.Root())
	return w.String(), w.err
}

const noPart = `("text" "plain" NIL NIL NIL "7bit" 0 0 NIL NIL NIL NIL)`

func (w *writer) body(e *message.Entity) {
	if w.full() {
		return
	}
	h, err := e.ReadHeader(w.r)
	if err != nil {
		w.err = fmt.Errorf("read header: %w", err)
		return
	}
	params := h.MediaType().Params
	w.WriteByte('(')
	if e.Multipart() {
		for _, c := range e.Children {
			w.body(c)
		}
		if len(e.Children) == 0 {
			w.WriteString(noPart) // the grammar wants one
		}
		w.WriteByte(' ')
		w.text(e.Subtype)
		w.params(params)
	} else {
		w.text(e.Type)
		w.WriteByte(' ')
		w.text(e.Subtype)
		w.params(params)
		for _, s := range []string{h.Get("Content-ID"), h.Get("Content-Description"), e.Encoding} {
			w.WriteByte(' ')
			w.text(s)
		}
		w.number(e.Body.WireLen())
		if e.Nested() {
			w.nested(e)
		}
		if e.Nested() || e.Type == "text" {
			w.number(e.Body.Lines)
		}
		w.WriteByte(' ')
		w.text(h.Get("Content-MD5"))
	}
	w.extension(h)
	w.WriteByte(')')
}

// nested writes the envelope and the structure of the message in a part.
func (w *writer) nested(e *message.Entity) {
	w.WriteByte(' ')
	if len(e.Children) == 0 { // it is encoded, or too deep
		w.envelope(nil)
		w.WriteString(" " + noPart)
		return
	}
	h, err := e.Children[0].ReadHeader(w.r)
	if err != nil {
		w.err = fmt.Errorf("read header: %w", err)
		return
	}
	w.envelope(h)
	w.WriteByte(' ')
	w.body(e.Children[0])
}

func (w *writer) number(n int64) { w.WriteString(" " + strconv.FormatInt(n, 10)) }

func (w *writer) params(p message.Params) {
	w.WriteByte(' ')
	all := p.All()
	if len(all) == 0 {
		w.WriteString("NIL")
		return
	}
	for i, one := range all {
		w.WriteByte("( "[min(i, 1)])
		w.WriteString(quoted(one.Name) + " " + quoted(one.Value))
		if w.full() {
			break
		}
	}
	w.WriteByte(')')
}

// extension writes disposition, languages and location.
func (w *writer) extension(h message.Header) {
	if d, params := h.Disposition(); d == "" {
		w.WriteString(" NIL")
	} else {
		w.WriteString(" (" + quoted(d))
		w.params(params)
		w.WriteByte(')')
	}
	w.WriteByte(' ')
	languages := strings.FieldsFunc(h.Get("Content-Language"), func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
	switch len(languages) {
	case 0:
		w.WriteString("NIL")
	case 1:
		w.text(languages[0])
	default:
		for i, l := range languages {
			w.WriteByte("( "[min(i, 1)])
			w.text(l)
		}
		w.WriteByte(')')
	}
	w.WriteByte(' ')
	w.text(h.Get("Content-Location"))
}
