package simfs

import (
	"io"
	"io/fs"
	"slices"
	"syscall"
)

// file is a client's open file. One for reading sees the content of the
// instant in which it was opened; one for writing keeps what was written in
// buf until it is flushed.
type file struct {
	p      *proc
	tree   *tree
	lane   string
	num    int // of the process's trees and files, in the order of opening
	name   string
	node   *inode
	write  bool
	closed bool
	snap   []byte
	off    int // of the next byte to read, or of the first in buf
	buf    []byte
	size   int // as the client knew it last

	sillyDir *inode // where the file has the name silly, which f's end removes
	silly    string
}

func (f *file) call(o op, p []byte, off int) (int, error) {
	err := error(fs.ErrClosed)
	n := 0
	if !f.closed {
		r := f.p.sim.do(call{p: f.p, tree: f.tree, lane: f.lane, op: o, name: f.name, file: f, buf: p, off: off})
		n, err = r.n, r.err
	}
	if err == io.EOF {
		return n, err
	}
	return n, pathError(o, f.name, err)
}

// Read reads from the snapshot.
func (f *file) Read(p []byte) (int, error) { return f.call(opRead, p, 0) }

// ReadAt reads from the snapshot without moving the place of the next Read.
func (f *file) ReadAt(p []byte, off int64) (int, error) { return f.call(opReadAt, p, int(off)) }

// Write adds to the page cache.
func (f *file) Write(p []byte) (int, error) { return f.call(opWrite, p, 0) }

// Sync sends what is in the page cache.
func (f *file) Sync() error {
	_, err := f.call(opSync, nil, 0)
	return err
}

// Close sends what is in the page cache and ends the handle, whatever the
// outcome.
func (f *file) Close() error {
	_, err := f.call(opClose, nil, 0)
	return err
}

// Size costs no request and passes no gate.
func (f *file) Size() (int64, error) {
	f.p.sim.mu.Lock()
	defer f.p.sim.mu.Unlock()
	if f.closed {
		return 0, &fs.PathError{Op: "stat", Path: f.name, Err: fs.ErrClosed}
	}
	if len(f.buf) == 0 {
		return int64(f.size), nil
	}
	return int64(max(f.size, f.off+len(f.buf))), nil
}

func (f *file) read(p []byte) (int, error) {
	switch {
	case f.write:
		return 0, syscall.EBADF
	case len(p) == 0:
		return 0, nil
	case f.off >= len(f.snap):
		return 0, io.EOF
	}
	n := copy(p, f.snap[f.off:])
	f.off += n
	return n, nil
}

func (f *file) readAt(p []byte, off int) (int, error) {
	switch {
	case f.write:
		return 0, syscall.EBADF
	case off < 0:
		return 0, syscall.EINVAL
	}
	n := copy(p, f.snap[min(off, len(f.snap)):])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// cache takes p into the page cache.
func (f *file) cache(p []byte) (int, error) {
	if !f.write {
		return 0, syscall.EBADF
	}
	f.buf = append(f.buf, p...)
	return len(p), nil
}

// flush sends the first n bytes of the page cache.
func (f *file) flush(n int) error {
	if !f.write || len(f.buf) == 0 {
		return nil
	}
	if err := f.p.sim.server.write(f.node, f.buf[:n], f.off); err != nil {
		return err
	}
	f.off += n
	f.buf = f.buf[:copy(f.buf, f.buf[n:])]
	f.size = len(f.node.data)
	return nil
}

// flushAll sends the page cache. A server that has forgotten the file does not
// know its handle.
func (f *file) flushAll() error {
	if f.write && f.node.lost {
		f.lose()
		return syscall.ESTALE
	}
	err := f.flush(len(f.buf))
	if err != nil {
		f.lose()
	}
	return err
}

// lose forgets the page cache, as a kernel does after a write error: a later
// write leaves a hole.
func (f *file) lose() {
	f.off += len(f.buf)
	f.buf = nil
	f.size = max(f.off, len(f.node.data)) // what the kernel says, which wrote it
}

// end closes the handle.
func (f *file) end() {
	f.closed = true
	if i := slices.Index(f.p.files, f); i >= 0 {
		f.p.files = slices.Delete(f.p.files, i, i+1)
		f.closedLast(false)
	}
}
