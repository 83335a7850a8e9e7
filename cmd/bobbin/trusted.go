package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/bobbinmail/bobbin/delivery/forward"
)

// errUntrusted means that others than the user could have written a file.
var errUntrusted = errors.New("not trusted")

// readTrusted reads a file that says what is done in a user's name: a regular one, no link, that is
// his or root's, as all directories above it are, and that neither group nor others may
// write, as none of these may be, but for sticky ones.
func readTrusted(name string, uid int) (string, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return "", fmt.Errorf("%s: %w: it is a link", name, errUntrusted)
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	i, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !i.Mode().IsRegular() {
		return "", fmt.Errorf("%s: %w: it is no regular file", name, errUntrusted)
	}
	if err := trusted(name, i, uid); err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		i, err := os.Lstat(dir)
		if err != nil {
			return "", err
		}
		if err := trusted(dir, i, uid); err != nil {
			return "", err
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, forward.MaxSize+1))
	return string(b), err
}

func trusted(name string, i fs.FileInfo, uid int) error {
	st, ok := i.Sys().(*syscall.Stat_t)
	sticky := i.IsDir() && i.Mode()&fs.ModeSticky != 0
	switch {
	case !ok || int(st.Uid) != uid && st.Uid != 0:
		return fmt.Errorf("%s: %w: it belongs to somebody else", name, errUntrusted)
	case i.Mode().Perm()&0o022 != 0 && !sticky:
		return fmt.Errorf("%s: %w: others may write it; use chmod go-w", name, errUntrusted)
	case !i.IsDir() && st.Nlink > 1:
		return fmt.Errorf("%s: %w: it has another name", name, errUntrusted)
	}
	return nil
}
