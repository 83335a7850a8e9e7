package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"

	"github.com/bobbinmail/bobbin/readers/passwd"
)

// passwdFile is a password file that is read again when it changes.
type passwdFile struct {
	name string
	log  *slog.Logger

	mu   sync.Mutex
	was  fs.FileInfo // as it was when it was read
	file *passwd.File
}

// read returns the file as it is now. Lines that are none are passed over, and
// told of once.
func (p *passwdFile) read(context.Context) (*passwd.File, error) {
	now, err := os.Stat(p.name)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.was != nil && os.SameFile(p.was, now) && p.was.Size() == now.Size() && p.was.ModTime().Equal(now.ModTime()) {
		return p.file, nil
	}
	text, err := os.ReadFile(p.name)
	if err != nil {
		return nil, err
	}
	f, err := passwd.Parse(string(text))
	if err != nil {
		p.log.Error("password file", "error", fmt.Errorf("%s: %w", p.name, err))
	}
	p.was, p.file = now, f
	return f, nil
}
