package netfs

import (
	"bytes"
	"encoding/binary"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// How many bytes of a directory the first system call asks for, and each later
// one. Each room has twice the size of the one before, up to listRoom.
const (
	listFirst = 8 << 10
	listPiece = 256 << 10
	listRoom  = 64 << 20
)

// nameLen is the usual length of a message's name.
const nameLen = 48

// Where the parts of a linux_dirent64 are (getdents64(2)).
const (
	direntLen  = 16
	direntName = 19
)

// roomful is some of a directory's names, one behind another.
type roomful struct {
	text []byte
	ends []uint32 // of each name
}

// listNames returns the names in an open directory, in the kernel's order.
// Many share one string: a million strings of their own cost more than the
// system calls.
func listNames(d *os.File) ([]string, error) {
	rooms, err := readNames(d)
	total := 0
	for _, r := range rooms {
		total += len(r.ends)
	}
	names := make([]string, 0, total)
	Whole(names)
	for _, r := range rooms {
		text, from := Text(r.text), uint32(0)
		for _, end := range r.ends {
			names = append(names, text[from:end])
			from = end
		}
	}
	return names, err
}

func readNames(d *os.File) (rooms []*roomful, err error) {
	piece := make([]byte, listFirst)
	r := &roomful{}
	for {
		var n int
		err := control(d, func(fd int) (err error) {
			for {
				if n, err = unix.Getdents(fd, piece); err != unix.EINTR {
					return err
				}
			}
		})
		if err != nil || n <= 0 {
			return append(rooms, r), err
		}
		if len(r.text)+n > cap(r.text) {
			size := max(n, min(2*cap(r.text), listRoom))
			if len(r.text) > 0 {
				rooms = append(rooms, r)
			}
			r = &roomful{make([]byte, 0, size), make([]uint32, 0, size/nameLen)}
			Whole(r.text)
		}
		if err := r.add(piece[:n]); err != nil {
			return rooms, err
		}
		if len(piece) < listPiece && n > listFirst/2 {
			piece = make([]byte, listPiece)
		}
	}
}

// add takes in what one call returned.
func (r *roomful) add(dirents []byte) error {
	for rest := dirents; len(rest) > 0; {
		size := 0
		if len(rest) > direntName {
			size = int(binary.NativeEndian.Uint16(rest[direntLen:]))
		}
		if size <= direntName || size > len(rest) {
			return syscall.EIO
		}
		name, _, _ := bytes.Cut(rest[direntName:size], []byte{0})
		rest = rest[size:]
		if string(name) != "." && string(name) != ".." {
			r.text = append(r.text, name...)
			r.ends = append(r.ends, uint32(len(r.text)))
		}
	}
	return nil
}
