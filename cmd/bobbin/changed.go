package main

import (
	"io/fs"
	"os"
	"slices"
	"time"
)

// changedLook is how often files are looked at, at most: what is new in them
// holds as soon.
const changedLook = time.Second

// watchedFiles are files of the host's own that a server reads again when they
// change. They are used by one goroutine at a time.
type watchedFiles struct {
	names  []string
	seen   []fs.FileInfo // as they were at the last look
	looked time.Time
}

func watchFiles(names ...string) *watchedFiles {
	w := &watchedFiles{names: names, seen: make([]fs.FileInfo, len(names))}
	w.look()
	return w
}

// changed tells, at most once in a while, whether a file was written, replaced or
// removed since the last look.
func (w *watchedFiles) changed() bool {
	return time.Since(w.looked) >= changedLook && w.look()
}

func (w *watchedFiles) look() bool {
	w.looked = time.Now()
	was := slices.Clone(w.seen)
	for i, name := range w.names {
		w.seen[i], _ = os.Stat(name) // nil if it cannot be read
	}
	return !slices.EqualFunc(was, w.seen, sameFile)
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
