package simfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/bobbinmail/bobbin/netfs"
)

// at finds the directory that holds name.
func (s *Server) at(name string) (*inode, string, error) {
	if !netfs.ValidPath(name) {
		return nil, "", fs.ErrInvalid
	}
	dir, leaf := split(name)
	d, err := s.root.walk(dir)
	return d, leaf, err
}

// direct runs call on the directory that holds name.
func (s *Server) direct(op, name string, call func(dir *inode, leaf string) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, leaf, err := s.at(name)
	if err == nil {
		err = call(d, leaf)
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: name, Err: err}
	}
	return nil
}

// ReadFile returns the durable content of a regular file.
func (s *Server) ReadFile(name string) (data []byte, err error) {
	err = s.direct("open", name, func(dir *inode, leaf string) error {
		n, err := s.open(dir, leaf)
		if err == nil {
			data = bytes.Clone(n.data)
		}
		return err
	})
	return data, err
}

// WriteFile makes data the content of a regular file, which it creates with
// its directories if they are missing.
func (s *Server) WriteFile(name string, data []byte) error {
	dir, _ := split(name)
	if err := s.MkdirAll(dir); err != nil {
		return err
	}
	return s.direct("create", name, func(dir *inode, leaf string) error {
		n, err := s.create(dir, leaf, 0o600)
		if err == nil {
			n.data = bytes.Clone(data)
			s.changed(n)
		}
		return err
	})
}

// Corrupt replaces the content of a regular file, or the target of a symbolic
// link, by what change makes of it. The time stamps stay.
func (s *Server) Corrupt(name string, change func([]byte) []byte) error {
	return s.direct("corrupt", name, func(dir *inode, leaf string) error {
		n, err := s.lookup(dir, leaf)
		switch {
		case err != nil:
			return err
		case n.isDir():
			return errDir
		case n.mode&fs.ModeSymlink != 0:
			n.target = string(change([]byte(n.target)))
		default:
			n.data = change(bytes.Clone(n.data))
		}
		return nil
	})
}

// Stat describes name.
func (s *Server) Stat(name string) (i netfs.Info, err error) {
	err = s.direct("stat", name, func(dir *inode, leaf string) error {
		n, err := s.lookup(dir, leaf)
		if err == nil {
			i = s.info(n)
		}
		return err
	})
	return i, err
}

// Readlink returns the target of a symbolic link.
func (s *Server) Readlink(name string) (target string, err error) {
	err = s.direct("readlink", name, func(dir *inode, leaf string) (err error) {
		target, err = s.readlink(dir, leaf)
		return err
	})
	return target, err
}

// List returns the names in a directory, sorted.
func (s *Server) List(name string) (names []string, err error) {
	err = s.direct("readdir", name, func(dir *inode, leaf string) error {
		d, err := dir.child(leaf)
		if err == nil {
			names = d.names()
		}
		return err
	})
	return names, err
}

// Symlink makes a symbolic link.
func (s *Server) Symlink(target, name string) error {
	return s.direct("symlink", name, func(dir *inode, leaf string) error {
		return s.symlink(target, dir, leaf)
	})
}

// MkdirAll makes a directory and its parents.
func (s *Server) MkdirAll(name string) error {
	if name == "." {
		return nil
	}
	dir, _ := split(name)
	if err := s.MkdirAll(dir); err != nil {
		return err
	}
	err := s.direct("mkdir", name, func(dir *inode, leaf string) error {
		if _, err := dir.child(leaf); err != syscall.ENOENT {
			return err
		}
		return s.mkdir(dir, leaf, 0o700)
	})
	return err
}

// Remove removes a file, a symbolic link or an empty directory.
func (s *Server) Remove(name string) error { return s.direct("remove", name, s.remove) }

// RemoveAll removes name and all below it; what is missing is removed.
func (s *Server) RemoveAll(name string) error {
	names, _ := s.List(name)
	for _, n := range names {
		if err := s.RemoveAll(name + "/" + n); err != nil {
			return err
		}
	}
	if err := s.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Rename moves oldname to newname.
func (s *Server) Rename(oldname, newname string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, old, err := s.at(oldname)
	if err == nil {
		var b *inode
		var leaf string
		if b, leaf, err = s.at(newname); err == nil {
			err = s.rename(a, old, b, leaf)
		}
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldname, New: newname, Err: err}
	}
	return nil
}

// Dump shows the whole tree, one line for each name, sorted: directories end
// in a slash, links show their target, files their content, both quoted.
func (s *Server) Dump() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	s.root.dump(&b, "")
	return b.String()
}

func (n *inode) dump(b *strings.Builder, prefix string) {
	for _, e := range n.ents {
		name := prefix + e.name
		switch c := e.node; {
		case c.isDir():
			fmt.Fprintf(b, "%s/\n", name)
			c.dump(b, name+"/")
		case c.mode&fs.ModeSymlink != 0:
			fmt.Fprintf(b, "%s -> %q\n", name, c.target)
		default:
			fmt.Fprintf(b, "%s %q\n", name, c.data)
		}
	}
}
