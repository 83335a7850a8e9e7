package lines_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/bobbinmail/bobbin/spool/lines"
)

// FuzzConverter: however a message comes in pieces, what is stored gives it back,
// and its counts are those of its bytes.
func FuzzConverter(f *testing.F) {
	for _, s := range []string{"", "a\r\nb\r\n", "a\nb\n", "a\r\nb\n", "\r", "a\r\r\n", "\r\n\n\r"} {
		f.Add([]byte(s), 1, true)
		f.Add([]byte(s), 3, false)
	}
	f.Fuzz(func(t *testing.T, msg []byte, piece int, strip bool) {
		piece = min(max(piece, 1), 1000)
		var stored bytes.Buffer
		c := &lines.Converter{W: &stored, Strip: strip}
		mixed := false
		for rest := msg; len(rest) > 0 && !mixed; {
			n := min(piece, len(rest))
			_, err := c.Write(rest[:n])
			if mixed = errors.Is(err, lines.ErrMixed); err != nil && !mixed {
				t.Fatal(err)
			}
			if rest = rest[n:]; mixed {
				c.Left = append(bytes.Clone(c.Left), rest...)
			}
		}
		lf, crlf := int64(bytes.Count(msg, []byte("\n"))), int64(bytes.Count(msg, []byte("\r\n")))
		if mixed != (strip && lf > crlf) {
			t.Fatalf("%q: mixed %v", msg, mixed)
		}
		if !mixed {
			if err := c.End(); err != nil {
				t.Fatal(err)
			}
			if c.Mixed() != (crlf > 0 && lf > crlf) {
				t.Errorf("%q: mixed %v", msg, c.Mixed())
			}
		}
		back := stored.Bytes()
		if strip {
			var b bytes.Buffer
			if _, err := lines.AddCR(&b).Write(back); err != nil {
				t.Fatal(err)
			}
			back = append(b.Bytes(), c.Left...)
		}
		if !bytes.Equal(back, msg) {
			t.Errorf("%q is given back as %q", msg, back)
		}
		if wire := int64(stored.Len()) + c.Wire(); !mixed && wire != int64(len(msg))+lf-crlf {
			t.Errorf("%q: %d bytes on the wire", msg, wire)
		}
	})
}
