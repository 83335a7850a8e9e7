package forward

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is what a target is.
type Kind int

// The kinds of targets.
const (
	Address Kind = iota // mail goes on to an address
	Mailbox             // \user: the user's own mailbox, without another look at a .forward
	Command             // |command: the message is its standard input
	Mbox                // /file: appended
	Maildir             // /dir/: a Maildir
	Include             // :include:/file: more targets
)

// Target is one place where a .forward sends mail.
type Target struct {
	Kind  Kind
	Value string // address, user, command line or absolute name of a file
	Line  int    // where it stands, from 1
}

// Limits of a .forward.
const (
	MaxSize    = 64 << 10 // in bytes
	MaxTargets = 200
)

// ErrSyntax means that a .forward cannot be understood.
var ErrSyntax = errors.New("syntax error")

// Parse reads the text of a .forward, or of a file that one includes. Targets
// stand on lines or between commas. Double quotes keep commas, spaces and # from
// meaning anything, and a backslash in them the next character; text in
// parentheses is a comment, and a line that begins with # too. Control characters
// are refused, so a target has none. It is what sendmail(8) reads, but
// for addresses with routes and groups.
func Parse(text string) ([]Target, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrSyntax, MaxSize)
	}
	var list []Target
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		wrong := func(err error) ([]Target, error) { return nil, fmt.Errorf("line %d: %w", number, err) }
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }) {
			return wrong(fmt.Errorf("%w: a control character, or no UTF-8", ErrSyntax))
		}
		words, err := split(line)
		if err != nil {
			return wrong(err)
		}
		for _, w := range words {
			t, err := w.target()
			if err != nil {
				return wrong(err)
			}
			t.Line = number
			list = append(list, t)
		}
		if len(list) > MaxTargets {
			return wrong(fmt.Errorf("%w: more than %d targets", ErrSyntax, MaxTargets))
		}
	}
	return list, nil
}

// word is what stands between commas.
type word struct {
	text  string // without quotes and comments
	angle bool   // it has an address in angle brackets
	addr  string // that
}

// split takes a line apart at its commas.
func split(line string) (words []word, err error) {
	var w word
	var b strings.Builder
	end := func() {
		w.text = strings.TrimSpace(b.String())
		if w.text != "" || w.angle {
			words = append(words, w)
		}
		w = word{}
		b.Reset()
	}
	for i := 0; i < len(line); {
		// A command's own brackets and parentheses are the shell's.
		command := strings.HasPrefix(b.String(), "|")
		switch c := line[i]; {
		case c == '"':
			text, n, err := quoted(line[i:])
			if err != nil {
				return nil, err
			}
			if command {
				text = line[i : i+n]
			}
			b.WriteString(text)
			i += n
		case c == ',':
			end()
			i++
		case c == '(' && !command:
			n, err := comment(line[i:])
			if err != nil {
				return nil, err
			}
			i += n
		case c == '<' && !command:
			n := strings.IndexByte(line[i:], '>')
			if n < 0 || w.angle {
				return nil, fmt.Errorf("%w: a < without its >", ErrSyntax)
			}
			w.angle, w.addr = true, strings.TrimSpace(line[i+1:i+n])
			i += n + 1
		case c == '\\' && b.Len() > 0 && !command && i+1 < len(line):
			b.WriteByte(line[i+1])
			i += 2
		case b.Len() == 0 && (c == ' ' || c == '\t'):
			i++
		default:
			b.WriteByte(c)
			i++
		}
	}
	end()
	return words, nil
}

// quoted reads a quoted string and tells how long it is.
func quoted(s string) (text string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), i + 1, nil
		case c == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("%w: a quotation mark without its other", ErrSyntax)
}

// comment tells how long a comment is. It may hold others.
func comment(s string) (n int, err error) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: a ( without its )", ErrSyntax)
}

const includePrefix = ":include:"

// target tells what a word means.
func (w word) target() (Target, error) {
	if w.angle {
		return address(w.addr)
	}
	switch t := w.text; {
	case t[0] == '|':
		line := strings.TrimSpace(t[1:])
		if line == "" {
			return Target{}, fmt.Errorf("%w: a | without a command", ErrSyntax)
		}
		return Target{Kind: Command, Value: line}, nil
	case t[0] == '/':
		kind := Mbox
		if strings.HasSuffix(t, "/") {
			kind = Maildir
		}
		return file(kind, t)
	case len(t) >= len(includePrefix) && strings.EqualFold(t[:len(includePrefix)], includePrefix):
		return file(Include, strings.TrimSpace(t[len(includePrefix):]))
	case t[0] == '\\':
		a, err := address(t[1:])
		a.Kind = Mailbox
		return a, err
	default:
		return address(t)
	}
}

func file(kind Kind, name string) (Target, error) {
	clean := strings.TrimRight(name, "/")
	if !strings.HasPrefix(clean, "/") || slices.Contains(strings.Split(clean, "/"), "..") {
		return Target{}, fmt.Errorf("%w: %q: a name of a file is absolute and without dots for the directory above", ErrSyntax, name)
	}
	return Target{Kind: kind, Value: clean}, nil
}

// maxAddress is the longest address of a mail (RFC 5321, 4.5.3.1), in bytes.
const maxAddress = 320

// address checks what goes on a command line or into SMTP: no space, no leading dash.
func address(a string) (Target, error) {
	bad := strings.ContainsFunc(a, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`<>()[],;"\|`, r)
	})
	if a == "" || len(a) > maxAddress || bad || strings.ContainsRune("-/:@", rune(a[0])) || strings.HasSuffix(a, "@") || strings.Count(a, "@") > 1 {
		return Target{}, fmt.Errorf("%w: %q is no address", ErrSyntax, a)
	}
	return Target{Kind: Address, Value: a}, nil
}
