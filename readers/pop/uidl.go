package pop

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// maxUnique is how long what UIDL says of a message may be (RFC 1939 §7).
const maxUnique = 70

// own is made of the name of a message's file, which remains when the mailbox
// is numbered anew: it is the same on all hosts and for ever.
func own(name string) string {
	// Names that Bobbin made have a number of 128 bits in them.
	if at, rest, _ := strings.Cut(name, "."); at != "" && strings.Trim(at, "0123456789") == "" {
		if token, _, more := strings.Cut(rest, "."); more && netfs.IsToken(token) {
			return token
		}
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:20]))
}

// templates are what other servers say.
var templates = map[string]string{
	"own": "", "dovecot": "%08Xu%08Xv", "courier": "UID%u-%v", "cyrus": "%v.%u", "uw": "%08Xv%08Xu",
}

// UIDL is what UIDL says of messages, which must be another for each and remain.
// The zero value is made of the number in the file's name that Bobbin gave, and
// of a hash of any other name.
type UIDL struct{ pieces []piece }

// piece is some text and a variable after it.
type piece struct {
	text  string
	what  byte // 'u', 'v', 'f'; 0 for none
	hex   bool
	width int // filled with zeros
}

// ParseUIDL reads how UIDL is made: "own", which is the zero value, the name of
// a server whose form it has (dovecot, courier, cyrus, uw), or a template in
// Dovecot's manner: %u is the UID, %v the UIDVALIDITY and %f the name of the
// file without flags; 08 and X after the percent sign make a number eight
// hexadecimal digits.
func ParseUIDL(s string) (u UIDL, err error) {
	template, ok := templates[s]
	if !ok {
		template = s
	}
	variable := regexp.MustCompile(`%(0\d)?(X)?([uvf])`)
	unique, end := template == "", 0
	for _, m := range variable.FindAllStringSubmatchIndex(template, -1) {
		p := piece{text: template[end:m[0]], what: template[m[6]], hex: m[4] >= 0}
		if m[2] >= 0 {
			p.width, _ = strconv.Atoi(template[m[2]:m[3]])
		}
		unique = unique || p.what != 'v'
		u.pieces, end = append(u.pieces, p), m[1]
	}
	u.pieces = append(u.pieces, piece{text: template[end:]})
	bad := slices.ContainsFunc(u.pieces, func(p piece) bool { return strings.Contains(p.text, "%") || p.text != "" && !fits(p.text) })
	if bad || !unique {
		return UIDL{}, fmt.Errorf("%q is neither own, dovecot, courier, cyrus nor uw, nor a template with %%u or %%f", s)
	}
	if template == "" {
		u.pieces = nil
	}
	return u, nil
}

// of is what UIDL says of a message: 1 to 70 characters of 0x21 to 0x7E. What a
// template makes otherwise gives way to the zero value's.
func (u UIDL) of(m *spool.Message, validity uint32) string {
	var b strings.Builder
	for _, p := range u.pieces {
		b.WriteString(p.text)
		base := 10
		if p.hex {
			base = 16
		}
		var text string
		switch p.what {
		case 'u':
			text = strconv.FormatUint(uint64(m.UID), base)
		case 'v':
			text = strconv.FormatUint(uint64(validity), base)
		case 'f':
			text = m.Name
		}
		b.WriteString(strings.Repeat("0", max(p.width-len(text), 0)) + text)
	}
	if text := b.String(); fits(text) {
		return text
	}
	return own(m.Name)
}

// fits tells whether UIDL may say so.
func fits(s string) bool {
	return s != "" && len(s) <= maxUnique && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
