package server

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"syscall"
)

// Buffers belong to connections that are at work. One that waits for its
// client, as most do most of the time, has none.
const (
	readSize  = 16 << 10 // bytes read from a socket at a time
	writeSize = 4 << 10  // bytes held back
)

var (
	readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, readSize) }}
	writers = sync.Pool{New: func() any { return new([writeSize]byte) }}
)

func newReader(r io.Reader) *bufio.Reader {
	b := readers.Get().(*bufio.Reader)
	b.Reset(r)
	return b
}

// readable waits until the client has sent something or is gone. Without TLS,
// which keeps what it has read to itself, it waits without a buffer.
func (c *Conn) readable() error {
	socket, ok := c.raw.(syscall.Conn)
	if !ok || c.Reader.Buffered() > 0 {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	released := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		for {
			_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			if !errors.Is(err, syscall.EINTR) {
				if errors.Is(err, syscall.EAGAIN) && !released {
					c.Reader.Reset(nil)
					readers.Put(c.Reader)
					c.Reader, released = nil, true
				}
				return !errors.Is(err, syscall.EAGAIN)
			}
		}
	})
	if released {
		c.Reader = newReader(rawReader{c})
	}
	return err
}

// Writer collects what is written until it is worth a packet, or is flushed.
// After an error nothing more is sent.
type Writer struct {
	raw io.Writer
	buf *[writeSize]byte // nil while there is nothing in it
	n   int
	err error
}

// Write is [io.Writer].
func (w *Writer) Write(p []byte) (int, error) {
	if len(p) < writeSize {
		return hold(w, p)
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	var n int
	n, w.err = w.raw.Write(p)
	return n, w.err
}

// WriteString is [io.StringWriter].
func (w *Writer) WriteString(s string) (int, error) { return hold(w, s) }

func hold[T []byte | string](w *Writer, s T) (int, error) {
	for done := 0; ; {
		if w.buf == nil {
			w.buf = writers.Get().(*[writeSize]byte)
		}
		n := copy(w.buf[w.n:], s[done:])
		if w.n, done = w.n+n, done+n; done == len(s) {
			return len(s), w.err
		}
		if err := w.Flush(); err != nil {
			return done, err
		}
	}
}

// Flush sends what was written.
func (w *Writer) Flush() error {
	if w.n > 0 && w.err == nil {
		_, w.err = w.raw.Write(w.buf[:w.n])
	}
	if w.buf != nil {
		writers.Put(w.buf)
		w.buf, w.n = nil, 0
	}
	return w.err
}
