package main

import (
	"fmt"
	"path"
	"strings"
	"unicode"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/spool"
)

// mailRoot is where a user's mail is, by a template.
type mailRoot struct {
	netfs.Below
	user string
}

// homeTemplate begins a template that is below a home directory.
const homeTemplate = "%h/"

// expand finds a user's mail root. The components of the template up to the
// first that depends on the user are the administrator's, and links in them are
// followed; what comes below is not trusted. home is the user's home directory,
// for templates that begin with %h.
//
// The error wraps spool.ErrBadName for a name, and errConfig for a template,
// that cannot be.
func expand(location, user, home string) (mailRoot, error) {
	user, err := spool.CleanUser(user)
	if err != nil {
		return mailRoot{}, err
	}
	rest, own := strings.CutPrefix(location, homeTemplate)
	if !own {
		if rest, own = strings.CutPrefix(location, "/"); !own {
			return mailRoot{}, badLocation(location, "it begins with %h/ or with a slash")
		}
		own, home = false, "/"
	}
	m := mailRoot{user: user, Below: netfs.Below{Base: home}}
	var below []string
	named := 0 // components of below up to the first that names the user
	for part := range strings.SplitSeq(strings.TrimRight(rest, "/"), "/") {
		name, uses, err := fill(location, part, user)
		if err != nil {
			return mailRoot{}, err
		}
		if !own && uses == "" && len(below) == 0 {
			m.Base = path.Join(m.Base, name)
			continue
		}
		below = append(below, name)
		if named == 0 && strings.ContainsAny(uses, "un") {
			named = len(below)
		}
	}
	if !own && named == 0 {
		return mailRoot{}, badLocation(location, "it needs %u, %n or %h: else all users had one mailbox")
	}
	m.Dir, m.Create = path.Join(below...), len(below)-named
	return m, nil
}

func badLocation(location, why string) error {
	return fmt.Errorf("%w: location %q: %s", errConfig, location, why)
}

// fill puts the user into one component of a template. uses are the letters
// that stood after percent signs.
func fill(location, part, user string) (name, uses string, err error) {
	local, domain := user, ""
	if at := strings.LastIndex(user, "@"); at >= 0 {
		local, domain = user[:at], user[at+1:]
	}
	var b strings.Builder
	for before, after, more := strings.Cut(part, "%"); ; before, after, more = strings.Cut(after, "%") {
		b.WriteString(before)
		if !more {
			break
		}
		letter, value := "", ""
		if after != "" {
			letter, after = after[:1], after[1:]
		}
		switch letter {
		case "%":
			value, letter = "%", ""
		case "u":
			value = user
		case "n":
			value = local
		case "d":
			value = domain
		case "h":
			return "", "", badLocation(location, "%h stands at the beginning only")
		default:
			return "", "", badLocation(location, fmt.Sprintf("unknown sequence %q; there are %%u, %%n, %%d, %%h and %%%%", "%"+letter))
		}
		if value == "" || value[0] == '.' {
			return "", "", fmt.Errorf("user %q: %w: location %q needs a %%%s", user, spool.ErrBadName, location, letter)
		}
		b.WriteString(value)
		uses += letter
	}
	name = b.String()
	odd := strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar })
	if name == "" || name == "." || name == ".." || odd >= 0 {
		return "", "", badLocation(location, fmt.Sprintf("%q is no name of a directory", name))
	}
	return name, uses, nil
}
