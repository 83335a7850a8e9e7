package readers

import (
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool/message"
)

// Summary is what a list of messages says about one of them. The strings are
// valid UTF-8 and hold whatever the sender put there: before they reach a
// terminal they go through SafeLine or SafeWriter.
type Summary struct {
	Subject   string `json:"subject"`    // decoded
	From      string `json:"from"`       // decoded; several addresses are separated by ", "
	Date      string `json:"date"`       // RFC 3339 with the sender's zone, or empty
	MessageID string `json:"message_id"` // without angle brackets, or empty
}

// Summarize reads a summary off the bytes of a header. It never fails: what is
// missing or beyond repair is empty.
func Summarize(h message.Header) Summary {
	s := Summary{
		Subject:   h.Text("Subject"),
		From:      addressText(h, "From"),
		MessageID: strings.ToValidUTF8(h.MessageID(), replacement),
	}
	if d := h.Date(); !d.IsZero() {
		s.Date = d.Format(time.RFC3339)
	}
	return s
}

// addressText returns the addresses in all fields with one name, or the text of
// the first when there is no address in it.
func addressText(h message.Header, name string) string {
	var b strings.Builder
	for _, a := range h.Addresses(name) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	if b.Len() == 0 {
		return h.Text(name)
	}
	return b.String()
}
