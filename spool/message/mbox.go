package message

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// WriteMbox writes a message as one of an mbox (RFC 4155), as mboxrd has it: a
// line that is "From " after any number of ">" gets one more, and an empty line
// comes last. sender is its return path, in angle brackets or not.
func WriteMbox(w *bufio.Writer, sender string, date time.Time, in *bufio.Reader) error {
	if _, err := w.WriteString(FromLine(sender, date)); err != nil {
		return err
	}
	if err := quoteFrom(w, in); err != nil {
		return err
	}
	return w.WriteByte('\n')
}

// FromLine is the line that begins a message in an mbox.
func FromLine(sender string, date time.Time) string {
	return fmt.Sprintf("From %s %s\n", envelopeSender(sender), date.UTC().Format(time.ANSIC))
}

// envelopeSender is the word after "From " (RFC 4155).
func envelopeSender(sender string) string {
	sender = strings.Trim(strings.TrimSpace(sender), "<>")
	sender = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return '-'
		}
		return r
	}, sender)
	if sender == "" {
		return "MAILER-DAEMON"
	}
	return sender
}

// quoteFrom copies a message's lines and ends the last one.
func quoteFrom(w *bufio.Writer, in *bufio.Reader) error {
	begin, last := true, byte('\n')
	for {
		if begin {
			next, err := in.Peek(len("From "))
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			// The quotes there are come first; it makes no difference where one is added.
			if len(next) > 0 && next[0] == '>' {
				if _, err := in.Discard(1); err != nil {
					return err
				}
				last = '>'
				if err := w.WriteByte('>'); err != nil {
					return err
				}
				continue
			}
			if string(next) == "From " {
				if err := w.WriteByte('>'); err != nil {
					return err
				}
			}
		}
		part, err := in.ReadSlice('\n')
		if len(part) > 0 {
			last = part[len(part)-1]
		}
		if _, werr := w.Write(part); werr != nil {
			return werr
		}
		begin = bytes.HasSuffix(part, []byte("\n"))
		switch {
		case errors.Is(err, io.EOF):
			if last != '\n' {
				return w.WriteByte('\n')
			}
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
