package lmtp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Scratch is a file that takes what is too large for memory. It is made
// without a name, or removed by Close.
type Scratch interface {
	io.Writer
	io.ReaderAt
	io.Closer
}

// inMemory is the size up to which a message needs no scratch file, in bytes.
const inMemory = 64 << 10

// Message is a message as it was sent, with the lines ends it came with.
type Message struct {
	// Sender is the return path without angle brackets, "" for the null path.
	Sender string
	// QueueID is the mail system's name of the message, "" if it told none.
	QueueID string
	// ID is its name in the log: the QueueID, or one made up here.
	ID string
	// Size is its length in bytes.
	Size int64

	text    bytes.Buffer // the message, as long as there is no scratch file
	scratch Scratch
	limit   int64
	make    func() (Scratch, error)
	broken  error // what Write ended with
}

var errTooLarge = errors.New("message too large")

// Write takes in a part of the message. After an error there is no whole one.
func (m *Message) Write(p []byte) (n int, err error) {
	m.Size += int64(len(p))
	if m.broken == nil {
		n, m.broken = m.write(p)
	}
	return n, m.broken
}

func (m *Message) write(p []byte) (int, error) {
	if m.Size > m.limit {
		return 0, errTooLarge
	}
	if m.scratch == nil && m.text.Len()+len(p) <= inMemory {
		return m.text.Write(p)
	}
	if err := m.spill(); err != nil {
		return 0, err
	}
	n, err := m.scratch.Write(p)
	if err != nil {
		err = fmt.Errorf("scratch file: %w", err)
	}
	return n, err
}

// spill moves to the scratch file what is in memory. Nothing is collected there
// afterwards: p is a block already, and many messages may come at a time.
func (m *Message) spill() (err error) {
	if m.scratch != nil {
		return nil
	}
	if m.scratch, err = m.make(); err != nil {
		return fmt.Errorf("scratch file: %w", err)
	}
	if _, err = m.scratch.Write(m.text.Bytes()); err != nil {
		return fmt.Errorf("scratch file: %w", err)
	}
	m.text = bytes.Buffer{}
	return nil
}

// Open returns the message from its beginning. It may be called again, and is
// good until the recipients have their replies.
func (m *Message) Open() io.Reader {
	if m.scratch == nil {
		return bytes.NewReader(m.text.Bytes())
	}
	return io.NewSectionReader(m.scratch, 0, m.Size)
}

// InMemory tells whether the message needed no scratch file.
func (m *Message) InMemory() bool { return m.scratch == nil }

func (m *Message) close() {
	if m.scratch != nil {
		_ = m.scratch.Close()
	}
}
