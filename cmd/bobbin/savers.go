package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bobbinmail/bobbin/spool"
	"github.com/bobbinmail/bobbin/spool/message"
)

// newFile creates a file that must not exist, not even as a link.
func newFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		err = existsError(name)
	}
	return f, err
}

func existsError(name string) error {
	return exitWith(exitCantCreate, fmt.Errorf("%s: %w and is not overwritten", name, fs.ErrExist))
}

// makeDir makes a directory that may be there already.
func makeDir(name string) error {
	err := os.Mkdir(name, 0o700)
	if errors.Is(err, fs.ErrExist) {
		var i fs.FileInfo
		if i, err = os.Stat(name); err == nil && !i.IsDir() {
			err = existsError(name)
		}
	}
	return err
}

// writeNew writes a whole new file with the message's date, or none.
func writeNew(name string, date time.Time, r io.Reader) error {
	f, err := newFile(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Chtimes(name, date, date)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

// fileSaver makes a file for each message.
type fileSaver struct{ dir string }

func newFileSaver(dir string, msgs []*spool.Message) (saver, error) {
	s := &fileSaver{dir}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	for _, msg := range msgs {
		if _, err := os.Lstat(s.name(msg)); !errors.Is(err, fs.ErrNotExist) {
			return nil, errors.Join(err, existsError(s.name(msg)))
		}
	}
	return s, nil
}

func (s *fileSaver) name(msg *spool.Message) string {
	return filepath.Join(s.dir, fmt.Sprintf("%d.eml", msg.UID))
}

func (s *fileSaver) save(msg *spool.Message, r io.Reader) (string, error) {
	return s.name(msg), writeNew(s.name(msg), msg.Date, r)
}

func (s *fileSaver) end(err error) error { return err }

// maildirSaver adds messages to a Maildir. Its names are random, so no name is
// used twice.
type maildirSaver struct{ dir string }

func newMaildirSaver(dir string, _ []*spool.Message) (saver, error) {
	for _, d := range []string{"", "tmp", "new", "cur"} {
		if err := makeDir(filepath.Join(dir, d)); err != nil {
			return nil, err
		}
	}
	return &maildirSaver{dir}, nil
}

func (s *maildirSaver) save(msg *spool.Message, r io.Reader) (string, error) {
	base := fmt.Sprintf("%d.%s.bobbin,S=%d", msg.Date.Unix(), strings.ToLower(rand.Text()), msg.Size)
	temp, name := filepath.Join(s.dir, "tmp", base), filepath.Join(s.dir, "new", base)
	if msg.Flags != 0 {
		name = filepath.Join(s.dir, "cur", base+":2,"+msg.Flags.Letters())
	}
	if err := writeNew(temp, msg.Date, r); err != nil {
		return "", err
	}
	return name, os.Rename(temp, name)
}

func (s *maildirSaver) end(err error) error { return err }

// mboxSaver makes one file of all messages.
type mboxSaver struct {
	name string
	f    *os.File
	w    *bufio.Writer
}

// firstRead is enough for nearly every header, in bytes.
const firstRead = 32 << 10

func newMboxSaver(name string, _ []*spool.Message) (saver, error) {
	f, err := newFile(name)
	if err != nil {
		return nil, err
	}
	return &mboxSaver{name, f, bufio.NewWriter(f)}, nil
}

func (s *mboxSaver) save(msg *spool.Message, r io.Reader) (string, error) {
	in := bufio.NewReaderSize(r, firstRead)
	head, err := in.Peek(firstRead)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return s.name, message.WriteMbox(s.w, message.Header(head).Get("Return-Path"), msg.Date, in)
}

func (s *mboxSaver) end(err error) error {
	if err == nil {
		err = s.w.Flush()
	}
	if err == nil {
		err = s.f.Sync()
	}
	if err = errors.Join(err, s.f.Close()); err != nil {
		err = errors.Join(err, os.Remove(s.name))
	}
	return err
}
