package netfs

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// memoryMax is how many names a directory remembers.
	memoryMax = 10_000
	// memoryTextMax bounds a file of the memory, in bytes.
	memoryTextMax = 4 << 10
)

// OpenMemory returns a memory in the local directory dir, which the first
// Remember makes. Each name has a file, replaced by a rename; beyond 10,000
// the oldest are dropped. What cannot be written is not remembered, and what
// is damaged was not: see [Memory]. share, the share's directory on this host,
// keeps copies of a share apart.
func OpenMemory(dir, share string) Memory { return localMemory{dir, share} }

type localMemory struct{ dir, share string }

func (m localMemory) file(name string) string {
	sum := sha256.Sum256([]byte(m.share + "\x00" + name))
	return filepath.Join(m.dir, Encode32(sum[:16]))
}

func memoryLine(text string) string {
	return fmt.Sprintf("%08x %s\n", crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli)), text)
}

func (m localMemory) Recall(name string) string {
	f, err := os.Open(m.file(name))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, memoryTextMax))
	_, text, _ := strings.Cut(strings.TrimSuffix(string(b), "\n"), " ")
	if err != nil || memoryLine(text) != string(b) {
		return ""
	}
	return text
}

func (m localMemory) Remember(name, text string) {
	_ = m.write(m.file(name), memoryLine(text)) // see Memory
}

func (m localMemory) write(file, line string) error {
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		m.prune()
	}
	f, err := os.CreateTemp(m.dir, "new.")
	if err != nil {
		return err
	}
	_, err = f.WriteString(line)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// prune makes room in a full directory, for a while.
func (m localMemory) prune() {
	entries, err := os.ReadDir(m.dir)
	if err != nil || len(entries) < memoryMax {
		return
	}
	infos := make([]fs.FileInfo, 0, len(entries))
	for _, e := range entries {
		if i, err := e.Info(); err == nil && i.Mode().IsRegular() {
			infos = append(infos, i)
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, i := range infos[:min(len(infos), len(entries)-memoryMax*9/10)] {
		_ = os.Remove(filepath.Join(m.dir, i.Name()))
	}
}
