package summary

import (
	"strings"

	"github.com/bobbinmail/bobbin/spool/message"
)

// Envelope is an ENVELOPE taken apart. Its strings are not decoded.
type Envelope struct {
	Date, Subject, InReplyTo, MessageID string
	From, Sender, ReplyTo, To, Cc, Bcc  []message.Address
}

// ParseEnvelope reads what [Summary] has as Envelope; ok is false for anything
// else.
func ParseEnvelope(s string) (e Envelope, ok bool) {
	p := listParser{rest: s}
	texts := []*string{&e.Date, &e.Subject}
	p.take("(")
	for _, t := range texts {
		*t = p.text()
		p.take(" ")
	}
	for _, list := range []*[]message.Address{&e.From, &e.Sender, &e.ReplyTo, &e.To, &e.Cc, &e.Bcc} {
		*list = p.addresses()
		p.take(" ")
	}
	e.InReplyTo = p.text()
	p.take(" ")
	e.MessageID = p.text()
	p.take(")")
	return e, !p.bad && p.rest == ""
}

// listParser reads IMAP's parenthesized lists as writer writes them.
type listParser struct {
	rest string
	bad  bool
}

func (p *listParser) sees(s string) bool {
	rest, ok := strings.CutPrefix(p.rest, s)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *listParser) take(s string) { p.bad = !p.sees(s) || p.bad }

// text reads a string or NIL.
func (p *listParser) text() string {
	if p.sees("NIL") {
		return ""
	}
	p.take(`"`)
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++
		case '"':
			s := p.rest[:i]
			p.rest = p.rest[i+1:]
			if strings.IndexByte(s, '\\') >= 0 {
				s = unquotePairs.Replace(s)
			}
			return s
		}
	}
	p.bad = true
	return ""
}

var unquotePairs = strings.NewReplacer(`\\`, `\`, `\"`, `"`)

func (p *listParser) addresses() (list []message.Address) {
	if p.sees("NIL") {
		return nil
	}
	p.take("(")
	for !p.bad && !p.sees(")") {
		var a message.Address
		p.take("(")
		a.Phrase = p.text()
		p.take(" ")
		a.Route = p.text()
		p.take(" ")
		group := strings.HasPrefix(p.rest, "NIL NIL)")
		a.Local = p.text()
		p.take(" ")
		nohost := strings.HasPrefix(p.rest, "NIL")
		a.Host = p.text()
		p.take(")")
		switch {
		case group:
			a = message.Address{Kind: message.GroupEnd}
		case nohost:
			a = message.Address{Kind: message.GroupStart, Phrase: a.Local}
		}
		list = append(list, a)
	}
	return list
}
