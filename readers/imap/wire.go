package imap

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// chunk is how much of a message is read at a time, in bytes.
const chunk = 64 << 10

// buffers are for a message on its way to a client: of each byte at most two are
// written.
type buffers struct {
	in  [chunk]byte
	out [2 * chunk]byte
}

var free = sync.Pool{New: func() any { return new(buffers) }}

// appendWire appends p with a CR before each LF that has none. cr tells, and is
// told, whether the byte before was a CR.
func appendWire(out, p []byte, cr *bool) []byte {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			*cr = p[len(p)-1] == '\r'
			return append(out, p...)
		}
		out = append(out, p[:i]...)
		if i > 0 {
			*cr = p[i-1] == '\r'
		}
		if !*cr {
			out = append(out, '\r')
		}
		out = append(out, '\n')
		*cr = false
		p = p[i+1:]
	}
	return out
}

// position is a place in the wire form of a stretch of a message, where the next
// part of it can be read on: clients fetch large messages in parts.
type position struct {
	uid        uint32
	start, end int64 // the stretch
	raw, wire  int64 // bytes of it before the place
	cr         bool  // the byte before is a CR
}

// send writes at most length bytes of the wire form, after the first skip, of
// the stretch of r that p names. p was left by an earlier call, or is the
// beginning.
func (p *position) send(w io.Writer, r io.ReaderAt, skip, length int64) error {
	if p.wire > skip {
		p.raw, p.wire, p.cr = 0, 0, false
	}
	b := free.Get().(*buffers)
	defer free.Put(b)
	for next := *p; length > 0 && p.start+next.raw < p.end; {
		*p = next
		n, err := r.ReadAt(b.in[:min(chunk, p.end-p.start-p.raw)], p.start+p.raw)
		out := appendWire(b.out[:0], b.in[:n], &next.cr)
		next.raw, next.wire = next.raw+int64(n), next.wire+int64(len(out))
		out = out[min(max(skip-p.wire, 0), int64(len(out))):]
		out = out[:min(length, int64(len(out)))]
		length -= int64(len(out))
		if _, werr := w.Write(out); werr != nil {
			return werr
		}
		if err != nil && (n == 0 || !errors.Is(err, io.EOF)) {
			return err
		}
	}
	return nil
}

// wireLength is the length of a stretch in wire form.
func wireLength(r io.ReaderAt, start, end int64) (int64, error) {
	b := free.Get().(*buffers)
	defer free.Put(b)
	cr := false
	var n int64
	for at := start; at < end; {
		k, err := r.ReadAt(b.in[:min(chunk, end-at)], at)
		n += int64(len(appendWire(b.out[:0], b.in[:k], &cr)))
		if at += int64(k); err != nil && (k == 0 || !errors.Is(err, io.EOF)) {
			return 0, err
		}
	}
	return n, nil
}
