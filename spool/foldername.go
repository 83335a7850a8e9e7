package spool

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/bobbinmail/bobbin/spool/mutf7"
)

// Inbox is the folder that every user has.
const Inbox = "INBOX"

// publicName is the first part of the names of shared folders.
const publicName = "public"

// A folder's name is Unicode with "/" between its parts. Its directory, by the
// Maildir++ convention, has a dot before each part, and each part in modified
// UTF-7 (RFC 3501 section 5.1.3), which is ASCII: case and normal forms of a
// share do nothing to it but what is said at foldKey. Where a directory's name
// is nothing that this encoding makes, the folder's name shows bytes of it as
// \ and two hexadecimal digits, so that every directory has a name and every
// name one directory. docs/spool-format.md has the rules.

// dirMax is how long a directory's name may be, in bytes (H118).
const dirMax = 255

// nameCoder writes folder names for one kind of share.
type nameCoder struct {
	// reserved are printable ASCII characters that go into base64.
	reserved string
}

// coderFor returns the coder of a spool whose separator in file names is sep:
// where that is not a colon, Windows' reserved characters are none either (H58).
func coderFor(sep string) nameCoder {
	if sep == ":" {
		return nameCoder{"."}
	}
	return nameCoder{`.:*?<>|"\`}
}

// direct tells whether a byte stands for itself in a directory's name.
func (c nameCoder) direct(b byte) bool {
	return b >= ' ' && b < 0x7f && b != '&' && b != '/' && strings.IndexByte(c.reserved, b) < 0
}

// dir returns the directory of a folder below the mail root: "." for INBOX. It
// takes whatever could be there; what may be made is a matter of newFolder. The
// error wraps [ErrBadName].
func (c nameCoder) dir(name string) (string, error) {
	if strings.EqualFold(name, Inbox) {
		return ".", nil
	}
	if name == "" || !utf8.ValidString(name) {
		return "", badFolder(name, "it is empty or not UTF-8")
	}
	var b strings.Builder
	for i, part := range strings.Split(norm.NFC.String(name), "/") {
		if i == 0 && strings.EqualFold(part, Inbox) {
			part = Inbox
		}
		b.WriteByte('.')
		if why := c.encode(&b, part); why != "" {
			return "", badFolder(name, why)
		}
	}
	dir := b.String()
	switch {
	case dir == "..":
		return "", badFolder(name, "no folder can have this directory")
	case len(dir) > dirMax:
		return "", badFolder(name, fmt.Sprintf("it would take %d bytes of a directory's name, and may take %d", len(dir), dirMax))
	}
	return dir, nil
}

func badFolder(name, why string) error {
	return fmt.Errorf("folder %q: %w: %s", name, ErrBadName, why)
}

// encode writes one part of a name, or says why it cannot.
func (c nameCoder) encode(b *strings.Builder, part string) (why string) {
	if part == "" || part == "." || part == ".." {
		return "a slash stands between two names, and . and .. are none"
	}
	for rest := part; ; {
		run, after, escaped := strings.Cut(rest, `\`)
		for _, r := range run {
			if !printable(r) {
				return fmt.Sprintf("the character U+%04X cannot be shown", r)
			}
		}
		b.WriteString(mutf7.EncodeBut(run, func(r rune) bool { return r < utf8.RuneSelf && c.direct(byte(r)) }))
		if !escaped {
			return ""
		}
		if !hexPair(after) {
			return `a backslash comes before two digits of 0-9 A-F, and means a byte of a directory's name`
		}
		raw := unhex(after[0])<<4 | unhex(after[1])
		if raw == 0 || raw == '/' {
			return fmt.Sprintf(`no directory's name has the byte \%02X`, raw)
		}
		b.WriteByte(raw)
		rest = after[2:]
	}
}

const upperHex = "0123456789ABCDEF"

func hexPair(s string) bool {
	return len(s) >= 2 && strings.IndexByte(upperHex, s[0]) >= 0 && strings.IndexByte(upperHex, s[1]) >= 0
}

func unhex(c byte) byte { return byte(strings.IndexByte(upperHex, c)) }

// printable tells whether a name may have the character. Joiners are part of
// emoji and of Persian and Indian words.
func printable(r rune) bool {
	return unicode.IsPrint(r) || r == '\u200c' || r == '\u200d'
}

// nameOf is exact, for "." too.
func (c nameCoder) nameOf(dir string) string {
	if dir == "." {
		return Inbox
	}
	return c.exact(dir)
}

// exact returns the name of a directory that begins with a dot, such that dir
// gives the directory again.
func (c nameCoder) exact(dir string) string {
	parts := strings.Split(dir[1:], ".")
	for i, part := range parts {
		name, ok := c.decode(part)
		var again strings.Builder
		if ok {
			ok = c.encode(&again, norm.NFC.String(name)) == "" && again.String() == part
		}
		if !ok {
			name = c.escape(part)
		}
		parts[i] = name
	}
	return join(parts)
}

// join puts a name together. A first part that means something else gets its
// first byte escaped, and so does a dot that has a part on one side only.
func join(parts []string) string {
	first := parts[0]
	if strings.EqualFold(first, Inbox) && (len(parts) == 1 || first != Inbox) || first == publicName {
		parts[0] = fmt.Sprintf(`\%02X%s`, first[0], first[1:])
	}
	name := parts[0]
	for i, part := range parts[1:] {
		if parts[i] == "" || part == "" {
			name += `\2E` + part
		} else {
			name += "/" + part
		}
	}
	return name
}

// escape writes every byte that does not stand for itself as \XX.
func (c nameCoder) escape(part string) string {
	var b strings.Builder
	for i := range len(part) {
		if part[i] != '\\' && c.direct(part[i]) {
			b.WriteByte(part[i])
		} else {
			fmt.Fprintf(&b, `\%02X`, part[i])
		}
	}
	return b.String()
}

// decode reads modified UTF-7, and UTF-8, which some programs write instead.
// ok is false for what is neither, and for what no name shows.
func (c nameCoder) decode(part string) (name string, ok bool) {
	name, ok = mutf7.Decode(part)
	bad := func(r rune) bool { return r == utf8.RuneError || r == '\\' || r == '/' || !printable(r) }
	return name, ok && name != "" && name != "." && name != ".." && strings.IndexFunc(name, bad) < 0
}

// fair returns the name that people would give to a directory, whoever made
// it, and whether there is one.
func (c nameCoder) fair(dir string) (string, bool) {
	parts := strings.Split(dir[1:], ".")
	for i, part := range parts {
		name, ok := c.decode(part)
		if !ok {
			return "", false
		}
		parts[i] = norm.NFC.String(name)
	}
	return join(parts), true
}

// names gives each directory the name under which its folder is shown: a fair
// one unless another folder has it, whose name is exact.
func (c nameCoder) names(dirs []string) map[string]string {
	byName := map[string]string{}
	var rest []string
	for _, d := range dirs {
		exact := c.exact(d)
		if fair, ok := c.fair(d); ok && fair != exact {
			rest = append(rest, d)
		} else {
			byName[exact] = d
		}
	}
	for _, d := range rest {
		name, _ := c.fair(d)
		if _, taken := byName[name]; taken {
			name = c.exact(d)
		}
		byName[name] = d
	}
	return byName
}

// newFolder returns the normal form of a name for a folder that is to be made,
// and its directory. The error wraps [ErrBadName].
func (c nameCoder) newFolder(name string) (clean, dir string, err error) {
	clean = norm.NFC.String(name)
	if dir, err = c.dir(clean); err != nil {
		return "", "", err
	}
	for i, part := range strings.Split(clean, "/") {
		switch {
		case strings.TrimSpace(part) != part:
			return "", "", badFolder(name, "no space at the beginning or end of a part")
		case strings.Contains(part, `\`):
			return "", "", badFolder(name, "no backslash")
		case i == 0 && part == publicName:
			return "", "", badFolder(name, publicName+" is where the shared folders are")
		case i == 0 && strings.EqualFold(part, Inbox):
			clean = Inbox + clean[len(Inbox):]
		}
	}
	return clean, dir, nil
}

// foldKey is the same for names that some share, or some reader, takes for the
// same.
func foldKey(name string) string {
	return norm.NFC.String(strings.ToLower(strings.ToUpper(name)))
}

// splitPublic tells whether a name is that of a shared folder, and its name
// IsPublic tells whether a folder of that name is a shared one.
func IsPublic(name string) bool {
	_, public := splitPublic(name)
	return public
}

// among these.
func splitPublic(name string) (rest string, public bool) {
	rest, public = strings.CutPrefix(name, publicName+"/")
	return rest, public || name == publicName
}
