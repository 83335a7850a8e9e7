package imap

import "strings"

// withoutExtensions makes BODY of a BODYSTRUCTURE: the same without the
// extension data (RFC 9051 §7.5.2).
func withoutExtensions(s string) string {
	var b strings.Builder
	if bodyForm(&b, s) == 0 {
		return s
	}
	return b.String()
}

// bodyForm writes the BODY of the structure with which s begins and tells its
// length in s; 0 if it is none.
func bodyForm(b *strings.Builder, s string) int {
	if s == "" || s[0] != '(' {
		return 0
	}
	b.WriteByte('(')
	i := 1
	if i < len(s) && s[i] == '(' {
		for i < len(s) && s[i] == '(' {
			n := bodyForm(b, s[i:])
			if n == 0 {
				return 0
			}
			i += n
			for i < len(s) && s[i] == ' ' && i+1 < len(s) && s[i+1] == '(' {
				i++
			}
		}
		n := value(s[i:]) // the subtype, with the space before it
		b.WriteString(s[i : i+n])
		i += n
	} else {
		kind := s[i : i+value(s[i:])]
		subtype := ""
		for k := 0; k < basicFields(kind, subtype); k++ {
			n := value(s[i:])
			if n == 0 {
				return 0
			}
			if k == 1 {
				subtype = strings.TrimSpace(s[i : i+n])
			}
			if k == 8 && basicFields(kind, subtype) == 10 { // the body of a message in a message
				b.WriteByte(' ')
				if n = bodyForm(b, s[i+1:]); n == 0 {
					return 0
				}
				n++
			} else {
				b.WriteString(s[i : i+n])
			}
			i += n
		}
	}
	b.WriteByte(')')
	for i < len(s) && s[i] != ')' {
		n := value(s[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	if i == len(s) {
		return 0
	}
	return i + 1
}

// basicFields is how many fields a part has that are no extensions.
func basicFields(kind, subtype string) int {
	switch {
	case strings.EqualFold(kind, `"TEXT"`):
		return 8
	case strings.EqualFold(kind, `"MESSAGE"`) && (strings.EqualFold(subtype, `"RFC822"`) || strings.EqualFold(subtype, `"GLOBAL"`)):
		return 10
	}
	return 7
}

// value is the length of the value with which s begins, with the space before
// it: a string, a word or a list.
func value(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case ' ':
			if i > 0 && depth == 0 {
				return i
			}
		case '"':
			_, n := unquote(s[i:])
			i += n - 1
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return len(s)
}
