package message

import "strings"

// AddressKind tells what an Address stands for.
type AddressKind uint8

const (
	// Mailbox is an address, or text in the place of one.
	Mailbox AddressKind = iota
	// GroupStart is the beginning of a group; Phrase is its name.
	GroupStart
	// GroupEnd is the end of a group; no other field is set.
	GroupEnd
)

// Address is one element of an address list (RFC 5322, section 3.4). What does
// not fit the grammar is kept: text without an address is in Phrase, or in
// Local when it is a single word. IMAP's ENVELOPE wants these fields undecoded.
type Address struct {
	Kind   AddressKind
	Phrase string // display name without quotes, encoded words as they stand; else the comment
	Route  string // obsolete source route, such as "@a.example,@b.example"
	Local  string // local part without quotes
	Host   string // domain; empty when there is none
}

// Name returns the decoded display name, or "".
func (a Address) Name() string { return DecodeText(a.Phrase) }

// Addr returns the address proper: local@domain, the local part quoted where
// it must be, or the local part alone. It is valid UTF-8.
func (a Address) Addr() string {
	local := a.Local
	if a.Host == "" {
		return plainText(local)
	}
	if strings.ContainsAny(local, " \t\r\n\"(),:;<>@[\\]") || local == "" {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	return plainText(local + "@" + a.Host)
}

// String returns the address for people: the decoded name and the address in
// angle brackets, or the one of them there is. It is not for parsing.
func (a Address) String() string {
	name, addr := a.Name(), a.Addr()
	switch {
	case addr == "":
		return name
	case name == "":
		return addr
	}
	return name + " <" + addr + ">"
}

// ParseAddresses reads the unfolded value of an address field. A bad address
// does not lose the others. Groups are marked as in IMAP's ENVELOPE, by a
// GroupStart and a GroupEnd. A semicolon outside a group separates addresses
// like a comma.
func ParseAddresses(value string) []Address {
	p := addressParser{s: value, words: wordScanner{s: value}}
	for p.pos < len(p.s) {
		p.element()
	}
	if p.inGroup {
		p.list = append(p.list, Address{Kind: GroupEnd})
	}
	return p.list
}

type addressParser struct {
	s       string
	pos     int
	words   wordScanner
	quotes  quotes
	list    []Address
	inGroup bool
}

// element collects one address and what separates it from the next.
func (p *addressParser) element() {
	var e addressElement
	for p.pos < len(p.s) {
		rest := p.s[p.pos:]
		switch c := rest[0]; {
		case isSpace(c):
			p.pos++
			e.gap = true
		case c == ',' || c == ';':
			p.pos++
			p.add(e)
			if c == ';' && p.inGroup {
				p.inGroup = false
				p.list = append(p.list, Address{Kind: GroupEnd})
			}
			return
		case c == ':' && !p.inGroup && !e.hasAngle:
			p.pos++
			p.inGroup = true
			p.list = append(p.list, Address{Kind: GroupStart, Phrase: e.phrase(e.runs)})
			return
		case c == '(':
			comment, after := cutComment(rest)
			if e.comment == "" {
				e.comment = strings.TrimSpace(comment)
			}
			e.gap = true
			p.advance(after)
		case c == '<' && !e.hasAngle:
			var after string
			e.angle, after = p.quotes.cutAngle(rest)
			e.hasAngle = true
			p.advance(after)
		case c == '"':
			text, after := p.quotes.cut(rest)
			e.put(run{text: text, quoted: true})
			p.advance(after)
		default:
			e.put(run{text: p.atom(rest)})
		}
	}
	p.add(e)
}

func (p *addressParser) advance(rest string) { p.pos = len(p.s) - len(rest) }

// atom takes a run of ordinary characters, an encoded word with all the commas
// that programs leave in it, or a domain literal.
func (p *addressParser) atom(rest string) string {
	n := 1
	if strings.HasPrefix(rest, "=?") && !p.words.noEnd {
		if end, _, ok := p.words.parse(p.pos + 2); ok {
			n = end - p.pos
			p.pos = end
			return rest[:n]
		}
	}
	if rest[0] == '[' {
		if i := strings.IndexAny(rest[1:], "[],<\" "); i >= 0 && rest[i+1] == ']' {
			n = i + 2
		}
	} else {
		for n < len(rest) && rest[0] != '@' && !isSpace(rest[n]) && strings.IndexByte(`,;:<("[@`, rest[n]) < 0 {
			n++
		}
	}
	p.pos += n
	return rest[:n]
}

func (p *addressParser) add(e addressElement) {
	if a, ok := e.address(); ok {
		p.list = append(p.list, a)
	}
}

// run is a piece of an address without white space.
type run struct {
	text   string
	quoted bool
	gap    bool // white space or a comment stands before it
}

type addressElement struct {
	runs     []run
	gap      bool
	comment  string
	angle    string
	hasAngle bool
}

func (e *addressElement) put(r run) {
	r.gap, e.gap = e.gap && len(e.runs) > 0, false
	e.runs = append(e.runs, r)
}

func (e *addressElement) phrase(runs []run) string {
	if len(runs) == 1 {
		return runs[0].text
	}
	var b strings.Builder
	for i, r := range runs {
		if i > 0 && r.gap {
			b.WriteByte(' ')
		}
		b.WriteString(r.text)
	}
	return b.String()
}

func (e *addressElement) address() (a Address, ok bool) {
	switch {
	case e.hasAngle:
		a.Phrase = e.phrase(e.runs)
		a.Route, a.Local, a.Host = splitAngle(e.angle)
	case len(e.runs) > 0:
		a.Phrase, a.Local, a.Host = e.bare()
	}
	if a.Phrase == "" {
		a.Phrase = e.comment
	}
	return a, a != Address{}
}

// bare finds the address in an element without angle brackets: what stands
// around the last @. Anything else is taken for a name.
func (e *addressElement) bare() (phrase, local, host string) {
	at := -1
	for i, r := range e.runs {
		if r.text == "@" && !r.quoted {
			at = i
		}
	}
	if at < 0 {
		if len(e.runs) == 1 && !e.runs[0].quoted && !strings.HasPrefix(e.runs[0].text, "=?") {
			return "", e.runs[0].text, ""
		}
		return e.phrase(e.runs), "", ""
	}
	from, to := max(at-1, 0), min(at+2, len(e.runs))
	for from > 0 && e.glued(from) {
		from--
	}
	for to < len(e.runs) && e.glued(to) {
		to++
	}
	for i := from; i < to; i++ {
		e.runs[i].gap = false
	}
	local = e.phrase(e.runs[from:at])
	host = e.phrase(e.runs[at+1 : to])
	others := append(e.runs[:from:from], e.runs[to:]...)
	return e.phrase(others), local, host
}

// glued tells whether run i belongs to one address with the run before it:
// blanks around a dot are obsolete but allowed (RFC 5322, section 4.4).
func (e *addressElement) glued(i int) bool {
	return !e.runs[i].gap || strings.HasPrefix(e.runs[i].text, ".") || e.runs[i-1].text == "."
}

// splitAngle takes apart what stands between angle brackets.
func splitAngle(s string) (route, local, host string) {
	if strings.HasPrefix(s, "@") {
		if r, rest, ok := strings.Cut(s, ":"); ok {
			route, s = r, rest
		}
	}
	var e addressElement
	p := addressParser{s: s}
	for p.pos < len(s) {
		switch rest := s[p.pos:]; {
		case isSpace(rest[0]):
			p.pos++
		case rest[0] == '(':
			_, after := cutComment(rest)
			p.advance(after)
		case rest[0] == '"':
			text, after := p.quotes.cut(rest)
			e.put(run{text: text, quoted: true})
			p.advance(after)
		case rest[0] == '@':
			p.pos++
			e.put(run{text: "@"})
		default:
			n := 1
			for n < len(rest) && !isSpace(rest[n]) && strings.IndexByte(`("@`, rest[n]) < 0 {
				n++
			}
			p.pos += n
			e.put(run{text: rest[:n]})
		}
	}
	for i := len(e.runs) - 1; i >= 0; i-- {
		if e.runs[i].text == "@" && !e.runs[i].quoted {
			return route, e.phrase(e.runs[:i]), e.phrase(e.runs[i+1:])
		}
	}
	return route, e.phrase(e.runs), ""
}

// quotes cuts quoted strings. A quote that nothing closes is an ordinary
// character, and so are all behind it: otherwise each of them would be followed
// to the end of the field.
type quotes struct{ broken bool }

// cut takes a quoted string (RFC 5322, section 3.2.4) and removes quotes and
// backslashes.
func (q *quotes) cut(s string) (text, rest string) {
	plain := true
	for i := 1; i < len(s) && !q.broken; i++ {
		switch s[i] {
		case '\\':
			plain = false
			i++
		case '"':
			if plain {
				return s[1:i], s[i+1:]
			}
			return unescape(s[1:i]), s[i+1:]
		}
	}
	q.broken = true
	return s[:1], s[1:]
}

// cutAngle takes what stands between angle brackets. When the closing one is
// missing it ends where the next address begins; only a source route may hold
// commas.
func (q *quotes) cutAngle(s string) (inner, rest string) {
	route := strings.HasPrefix(s, "<@")
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			_, after := q.cut(s[i:])
			i = len(s) - len(after) - 1
		case c == '>':
			return s[1:i], s[i+1:]
		case c == '<' || c == ';' || c == ',' && !route:
			return s[1:i], s[i:]
		case c == ':':
			route = false
		}
	}
	return s[1:], ""
}

func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
