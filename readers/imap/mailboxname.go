package imap

import (
	"strings"
	"unicode/utf8"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/mutf7"
)

// separator stands between the levels of a folder's name.
const separator = "/"

// mailbox reads the name of a folder and returns it as the spool has it. Before
// a client has enabled UTF-8 names are modified UTF-7 (RFC 3501 §5.1.3); what
// is none is taken as it stands, since clients that send UTF-8 without leave
// mean it.
func (p *parser) mailbox(plain bool) string { return p.folder(p.astring(), plain) }

func (p *parser) folder(name string, plain bool) string {
	if p.err != nil {
		return ""
	}
	if decoded, ok := mutf7.Decode(name); ok && !plain {
		name = decoded
	}
	if !utf8.ValidString(name) {
		p.bad("%+q is no name of a mailbox", name)
	}
	if first, rest, more := strings.Cut(name, separator); strings.EqualFold(first, spool.Inbox) {
		if name = spool.Inbox; more {
			name += separator + rest
		}
	}
	return name
}

// appendMailbox writes the name of a folder.
func (x *session) appendMailbox(b []byte, name string) []byte {
	if !x.utf8 {
		name = mutf7.Encode(name)
	}
	return appendString(b, name)
}
