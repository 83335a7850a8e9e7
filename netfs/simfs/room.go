package simfs

import "syscall"

// blockSize is the unit in which the server's disk is given away.
const blockSize = 4096

// LeaveRoom makes the server's disk so small that it has n free blocks of 4
// KiB now; negative is one without limit, as at the beginning. Each file,
// directory and symbolic link takes one block, and what a file contains as
// many as it fills. Whatever needs more than is free ends with ENOSPC; a file
// gives its blocks back when it loses its last name.
func (s *Server) LeaveRoom(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.limit = 0; n >= 0 {
		s.limit = s.used() + n
	}
}

// fits tells whether n more blocks can be had.
func (s *Server) fits(n int) error {
	if s.limit == 0 || n == 0 || s.used()+n <= s.limit {
		return nil
	}
	return syscall.ENOSPC
}

func blocks(size int) int { return (size + blockSize - 1) / blockSize }

// used counts the blocks taken. It walks the tree, which may be put back to
// what it was at any time.
func (s *Server) used() int {
	seen := map[*inode]bool{}
	n := 0
	var count func(d *inode)
	count = func(d *inode) {
		if seen[d] {
			return
		}
		seen[d] = true
		n += 1 + blocks(len(d.data))
		for _, e := range d.ents {
			count(e.node)
		}
	}
	count(s.root)
	return n
}
