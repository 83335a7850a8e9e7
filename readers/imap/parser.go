package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/readers/server"
)

// What a client may send, in bytes: a line, before and after login, and a
// literal that is no message.
const (
	maxLineBefore = 8 << 10
	maxLine       = 1 << 20
	maxLiteral    = 64 << 10
)

// maxCommand is how many bytes a command may have, but for the messages of APPEND.
const maxCommand = 2 << 20

// What a command may name, so that none costs more than its share.
const (
	maxDepth    = 50 // parentheses in parentheses
	maxKeys     = 1000
	maxSections = 100
)

// errSyntax is why a command cannot be understood; the client is told.
type errSyntax string

func (e errSyntax) Error() string { return string(e) }

// errRefused is why a command that is understood is answered by NO.
type errRefused string

func (e errRefused) Error() string { return string(e) }

// errFlood means that a client sends more than anybody would.
var errFlood = errors.New("too much data")

// parser reads a command (RFC 9051 §9) from a connection as it goes: what a
// literal announces is asked for when the parser gets there. After an error all
// methods return zero values, so only the end has to look.
type parser struct {
	conn  *server.Conn
	limit int    // of a line
	line  []byte // what is left of the line
	own   []byte // holds the line: the connection's buffer may change
	depth int
	keys  int
	total int   // bytes of the command
	most  int64 // bytes of a literal that is not wanted and yet read
	err   error // errSyntax, errRefused, or the connection's
}

// begin reads the first line of a command.
func (p *parser) begin(limit int) error {
	p.limit, p.depth, p.keys, p.total, p.err = limit, 0, 0, 0, nil
	return p.next()
}

func (p *parser) next() error {
	line, err := p.conn.ReadLine(p.limit)
	if err == nil {
		p.own = append(p.own[:0], line...)
		p.spend(len(line))
	} else {
		p.own = p.own[:0]
	}
	p.line = p.own
	return err
}

// spend counts what a command takes.
func (p *parser) spend(n int) {
	if p.total += n; p.total > maxCommand {
		p.bad("[TOOBIG] a command has at most %d bytes", maxCommand)
	}
}

// forget gives memory back that a long command took.
func (p *parser) forget() {
	if cap(p.own) > 4<<10 {
		p.own, p.line = nil, nil
	}
}

func (p *parser) bad(format string, args ...any) {
	if p.err == nil {
		p.err = errSyntax(fmt.Sprintf(format, args...))
	}
}

func (p *parser) refuse(format string, args ...any) {
	if p.err == nil {
		p.err = errRefused(fmt.Sprintf(format, args...))
	}
}

func (p *parser) peek() byte {
	if p.err != nil || len(p.line) == 0 {
		return 0
	}
	return p.line[0]
}

// take takes a byte if it comes next.
func (p *parser) take(c byte) bool {
	if p.peek() != c || p.err != nil || len(p.line) == 0 {
		return false
	}
	p.line = p.line[1:]
	return true
}

func (p *parser) want(c byte) {
	if !p.take(c) {
		p.bad("%s expected at %s", name(c), p.here())
	}
}

func name(c byte) string {
	if c == ' ' {
		return "a space"
	}
	return strconv.QuoteRune(rune(c))
}

// here shows where a command cannot be understood.
func (p *parser) here() string {
	if len(p.line) == 0 {
		return "the end of the line"
	}
	return strconv.QuoteToASCII(string(p.line[:min(len(p.line), 20)]))
}

func (p *parser) sp() { p.want(' ') }

// end is the end of a command.
func (p *parser) end() bool {
	if p.err == nil && len(p.line) > 0 {
		p.bad("nothing more expected at %s", p.here())
	}
	return p.err == nil
}

// span takes the bytes for which ok holds, at least one.
func (p *parser) span(what string, ok func(byte) bool) string {
	if p.err != nil {
		return ""
	}
	n := 0
	for n < len(p.line) && ok(p.line[n]) {
		n++
	}
	if n == 0 {
		p.bad("%s expected at %s", what, p.here())
		return ""
	}
	s := string(p.line[:n])
	p.line = p.line[n:]
	return s
}

func isAtom(c byte) bool {
	return c > ' ' && c < 0x7F && !strings.ContainsRune(`(){%*"\]`, rune(c))
}

func isAstring(c byte) bool { return isAtom(c) || c == ']' || c >= 0x80 }

func isPattern(c byte) bool { return isAstring(c) || c == '%' || c == '*' }

func (p *parser) tag() string {
	return p.span("a tag", func(c byte) bool { return c != '+' && isAtom(c) || c == ']' })
}

// atom is a word; it comes in upper case.
func (p *parser) atom() string { return strings.ToUpper(p.span("a word", isAtom)) }

// word takes a word if it comes next, in any case.
func (p *parser) word(w string) bool {
	if p.err != nil || len(p.line) < len(w) || !strings.EqualFold(string(p.line[:len(w)]), w) {
		return false
	}
	if len(p.line) > len(w) && isAtom(p.line[len(w)]) && isAtom(w[len(w)-1]) {
		return false
	}
	p.line = p.line[len(w):]
	return true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (p *parser) number64() uint64 {
	s := p.span("a number", isDigit)
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil && p.err == nil {
		p.bad("%.20s is no number that can be", s)
	}
	return n
}

func (p *parser) number() uint32 {
	n := p.number64()
	if n > 1<<32-1 {
		p.bad("%d is no number of 32 bits", n)
	}
	return uint32(n)
}

func (p *parser) astring() string {
	if c := p.peek(); c == '"' || c == '{' {
		return p.str()
	}
	return p.span("a string", isAstring)
}

// pattern is a mailbox name in which % and * may be (list-mailbox).
func (p *parser) pattern() string {
	if c := p.peek(); c == '"' || c == '{' {
		return p.str()
	}
	return p.span("a mailbox", isPattern)
}

// nstring is a string or NIL.
func (p *parser) nstring() (s string, isNil bool) {
	if p.word("NIL") {
		return "", true
	}
	return p.str(), false
}

func (p *parser) str() string {
	switch p.peek() {
	case '"':
		return p.quoted()
	case '{':
		size, sync, ok := p.literal()
		if !ok {
			return ""
		}
		return string(p.read(size, sync, maxLiteral))
	}
	p.bad("a string expected at %s", p.here())
	return ""
}

func (p *parser) quoted() string {
	p.want('"')
	var b strings.Builder
	for p.err == nil {
		if len(p.line) == 0 {
			p.bad("a string has no end")
			break
		}
		c := p.line[0]
		p.line = p.line[1:]
		switch {
		case c == '"':
			return b.String()
		case c == '\\' && len(p.line) > 0:
			c = p.line[0]
			p.line = p.line[1:]
		case c == 0:
			p.bad("NUL in a string")
		}
		b.WriteByte(c)
	}
	return ""
}

// literal reads what announces a literal, which ends a line: {5}, {5+} (RFC
// 7888) or ~{5} (RFC 3516) with its size.
func (p *parser) literal() (size uint64, sync, ok bool) {
	p.take('~')
	p.want('{')
	size = p.number64()
	sync = !p.take('+')
	p.want('}')
	if len(p.line) > 0 {
		p.bad("a literal ends the line")
	}
	return size, sync, p.err == nil
}

// read gets a literal into memory and goes on with the line after it.
func (p *parser) read(size uint64, sync bool, most int) []byte {
	if size > uint64(most) {
		if !sync {
			p.discard(size)
		}
		p.bad("[TOOBIG] a string of more than %d bytes", most)
		return nil
	}
	if p.spend(int(size)); p.err != nil {
		if !sync {
			p.discard(size)
		}
		return nil
	}
	b := make([]byte, size)
	p.stream(sync, func(r io.Reader) error {
		_, err := io.ReadFull(r, b)
		return err
	})
	if bytes.IndexByte(b, 0) >= 0 {
		p.bad("NUL in a string")
	}
	return b
}

// stream asks for a literal if the client waits for that, lets f read it, and
// goes on with the line after it. Its error is the connection's.
func (p *parser) stream(sync bool, f func(io.Reader) error) {
	if p.err != nil {
		return
	}
	if sync {
		_, _ = p.conn.Writer.WriteString("+ go on\r\n")
	}
	err := p.conn.Data(func() error { return f(p.conn.Reader) })
	if err == nil {
		err = p.next()
	}
	p.broken(err)
}

// broken notes an error of the connection.
func (p *parser) broken(err error) {
	if err != nil {
		p.err = err
	}
}

// discard skips a literal that comes without being asked for, and goes on with
// the line after it.
func (p *parser) discard(size uint64) {
	if size > uint64(p.most) {
		p.err = errFlood
		return
	}
	err := p.conn.Data(func() error {
		_, err := io.CopyN(io.Discard, p.conn.Reader, int64(size))
		return err
	})
	if err == nil {
		err = p.next()
	}
	p.broken(err)
}

// skip goes to the end of a command that was not understood. What the client
// sends without waiting for leave would be taken for commands else.
func (p *parser) skip() error {
	for {
		// A literal that was read already has another line after it.
		i := bytes.LastIndexByte(p.own, '{')
		if i < 0 || !bytes.HasSuffix(p.own, []byte("+}")) {
			return nil
		}
		size, err := strconv.ParseUint(string(p.own[i+1:len(p.own)-2]), 10, 63)
		if err != nil {
			return nil
		}
		p.err = nil
		if p.discard(size); p.err != nil && !understood(p.err) {
			return p.err
		}
	}
}

// understood tells errors of a command from those of the connection.
func understood(err error) bool {
	switch err.(type) {
	case errSyntax, errRefused:
		return true
	}
	return false
}

// list reads what stands in parentheses, with a space between two.
func (p *parser) list(item func()) {
	if p.want('('); p.take(')') {
		return
	}
	for p.err == nil {
		if item(); !p.take(' ') {
			break
		}
	}
	p.want(')')
}

// nested guards what calls itself.
func (p *parser) nested(f func()) {
	if p.depth++; p.depth > maxDepth {
		p.bad("more than %d levels", maxDepth)
	} else {
		f()
	}
	p.depth--
}

// dateTime is a time such as "17-Jul-1996 02:44:25 -0700".
func (p *parser) dateTime() time.Time {
	s := strings.TrimLeft(p.quoted(), " ")
	t, err := time.Parse("2-Jan-2006 15:04:05 -0700", s)
	if err != nil && p.err == nil {
		p.bad("%q is no time such as \"17-Jul-1996 02:44:25 -0700\"", s)
	}
	return t
}

// date is a day such as 1-Feb-1994, with or without quotes.
func (p *parser) date() time.Time {
	s := p.astring()
	t, err := time.ParseInLocation("2-Jan-2006", s, time.Local) // as INTERNALDATE is shown
	if err != nil && p.err == nil {
		p.bad("%q is no day such as 1-Feb-1994", s)
	}
	return t
}
