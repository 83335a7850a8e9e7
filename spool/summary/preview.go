package summary

import (
	"html"
	"io"
	"strings"
	"unicode"

	"github.com/bobbinmail/bobbin/spool/message"
)

// previewRead is how much decoded text a preview is made from, in bytes.
const previewRead = 16 << 10

// preview returns the beginning of the first text of a message on one line:
// plain text if there is one, else HTML without its tags.
func preview(m *message.Message, r io.ReaderAt) string {
	var htm *message.Entity
	for i := range m.Entities {
		e := &m.Entities[i]
		if e.Type != "text" || e.Parent != nil && e.Parent.Nested() && e.Parent.Parent != nil {
			continue
		}
		switch e.Subtype {
		case "html":
			if htm == nil {
				htm = e
			}
		case "plain":
			if line := oneLine(beginning(e, r)); line != "" {
				return line
			}
		}
	}
	if htm == nil {
		return ""
	}
	return oneLine(html.UnescapeString(withoutTags(beginning(htm, r))))
}

func beginning(e *message.Entity, r io.ReaderAt) string {
	b, _ := io.ReadAll(io.LimitReader(e.Text(r), previewRead))
	return strings.ToValidUTF8(string(b), "")
}

// oneLine joins words with single blanks, as far as a preview goes.
func oneLine(s string) string {
	var b strings.Builder
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if b.WriteString(word); b.Len() > maxPreview {
			break
		}
	}
	return cut(b.String(), maxPreview)
}

// withoutTags drops the tags of HTML, comments and what nobody sees.
func withoutTags(s string) string {
	var b strings.Builder
	for {
		text, rest, ok := strings.Cut(s, "<")
		b.WriteString(text)
		b.WriteByte(' ')
		if !ok {
			return b.String()
		}
		end := ">"
		switch {
		case strings.HasPrefix(rest, "!--"):
			end = "-->"
		case hidden(rest, "style"):
			end = "</style>"
		case hidden(rest, "script"):
			end = "</script>"
		case hidden(rest, "title"):
			end = "</title>"
		}
		i := indexFold(rest, end)
		if i < 0 {
			return b.String()
		}
		s = rest[i+len(end):]
	}
}

func hidden(rest, tag string) bool {
	return len(rest) > len(tag) && strings.EqualFold(rest[:len(tag)], tag) && strings.IndexByte(" \t\r\n>", rest[len(tag)]) >= 0
}

// indexFold finds ASCII text in any case.
func indexFold(s, lower string) int {
	for at := 0; ; {
		i := strings.IndexByte(s[at:], lower[0])
		if i < 0 || at+i+len(lower) > len(s) {
			return -1
		}
		if at += i; strings.EqualFold(s[at:at+len(lower)], lower) {
			return at
		}
		at++
	}
}
