package imap

import (
	"bytes"
	"slices"
	"strings"

	"github.com/bobbinmail/bobbin/spool"
)

// fetchItems is what FETCH is asked for.
type fetchItems struct {
	names    []string // the items without sections, in the order asked for
	sections []*section
	seen     bool // \Seen is set
}

// section is a part of a message, or of its content (RFC 9051 §6.4.5).
type section struct {
	part    []uint32
	text    string   // "", HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT or MIME
	fields  []string // their names, as the client writes them
	binary  bool     // without transfer encoding (RFC 3516)
	size    bool     // the size alone
	partial bool
	first   uint64 // where it begins, in bytes
	most    uint64 // how many
	label   string // what stands before the content
}

// macros are FETCH items for several (RFC 9051 §6.4.5).
var macros = map[string][]string{
	"FAST": {"FLAGS", "INTERNALDATE", "RFC822.SIZE"},
	"ALL":  {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE"},
	"FULL": {"FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY"},
}

func (p *parser) fetchItems() *fetchItems {
	items := &fetchItems{}
	if p.peek() == '(' {
		p.list(func() { items.one(p) })
		for _, name := range items.names {
			if macros[name] != nil {
				p.bad("%s stands alone", name)
			}
		}
		if len(items.names)+len(items.sections) == 0 {
			p.bad("FETCH of nothing")
		}
		return items
	}
	items.one(p)
	if len(items.names) == 1 && macros[items.names[0]] != nil {
		items.names = macros[items.names[0]]
	}
	return items
}

func isItem(c byte) bool { return isAtom(c) && c != '[' && c != '<' }

func (i *fetchItems) one(p *parser) {
	word := strings.ToUpper(p.span("an item", isItem))
	if p.peek() == '[' {
		i.section(p, word)
		return
	}
	switch word {
	case "FLAGS", "INTERNALDATE", "RFC822.SIZE", "ENVELOPE", "BODY", "BODYSTRUCTURE", "UID", "FAST", "ALL", "FULL":
	case "PREVIEW":
		if bytes.HasPrefix(p.line, []byte(" (")) && p.take(' ') { // no mail is read for it in a hurry: RFC 8970 lets LAZY be ignored
			p.list(func() { p.atom() })
		}
	case "RFC822", "RFC822.TEXT":
		i.seen = true
		fallthrough
	case "RFC822.HEADER":
		_, text, _ := strings.Cut(word, ".")
		i.sections = append(i.sections, &section{text: text, label: word})
		return
	default:
		p.bad("FETCH has no item %.30s", word)
	}
	if !slices.Contains(i.names, word) {
		i.names = append(i.names, word)
	}
}

// section reads BODY[…]<…> and its relatives.
func (i *fetchItems) section(p *parser, word string) {
	s := &section{}
	kind, peek := strings.CutSuffix(word, ".PEEK")
	switch kind {
	case "BODY":
	case "BINARY":
		s.binary = true
	case "BINARY.SIZE":
		s.binary, s.size, peek = true, true, true
	default:
		p.bad("FETCH has no item %.30s[", word)
	}
	p.want('[')
	s.parse(p)
	p.want(']')
	if !s.size && p.take('<') {
		s.partial = true
		s.first = p.number64()
		p.want('.')
		s.most = p.number64()
		p.want('>')
	}
	if s.binary && s.text != "" {
		p.bad("BINARY has parts alone")
	}
	if len(i.sections) >= maxSections {
		p.bad("[TOOBIG] at most %d sections", maxSections)
	}
	i.seen = i.seen || !peek
	s.setLabel(kind)
	i.sections = append(i.sections, s)
}

func (s *section) parse(p *parser) {
	for isDigit(p.peek()) {
		n := p.number()
		if n == 0 || len(s.part) >= maxDepth {
			p.bad("there can be no such part")
		}
		s.part = append(s.part, n)
		if !p.take('.') {
			return
		}
	}
	if len(s.part) == 0 && p.peek() == ']' {
		return
	}
	s.text = strings.ToUpper(p.span("a section", isAtom))
	switch s.text {
	case "HEADER", "TEXT":
	case "MIME":
		if len(s.part) == 0 {
			p.bad("MIME needs a part")
		}
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		p.sp()
		p.list(func() { s.fields = append(s.fields, p.astring()) })
		if len(s.fields) == 0 {
			p.bad("%s needs a field", s.text)
		}
	default:
		p.bad("there is no section %.30s", s.text)
	}
}

func (s *section) setLabel(kind string) {
	b := append([]byte(kind), '[')
	for i, n := range s.part {
		if i > 0 {
			b = append(b, '.')
		}
		b = appendNumber(b, uint64(n))
	}
	if s.text != "" {
		if len(s.part) > 0 {
			b = append(b, '.')
		}
		b = append(b, s.text...)
	}
	for i, f := range s.fields {
		if i == 0 {
			b = append(b, " ("...)
		} else {
			b = append(b, ' ')
		}
		b = appendAstring(b, f)
	}
	if len(s.fields) > 0 {
		b = append(b, ')')
	}
	b = append(b, ']')
	if s.partial {
		b = append(appendNumber(append(b, '<'), s.first), '>')
	}
	s.label = string(b)
}

// want tells which part of summaries the items need, and whether any.
func (i *fetchItems) want() (w spool.Want, any bool) {
	for _, name := range i.names {
		switch name {
		case "BODY", "BODYSTRUCTURE":
			return spool.Structure, true
		case "ENVELOPE":
			w, any = spool.Envelope, true
		case "PREVIEW":
			any = true
		}
	}
	return w, any
}
