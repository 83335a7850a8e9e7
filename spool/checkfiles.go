package spool

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/bobbinmail/bobbin/netfs"
)

// files compares the state with what is in hold, new and cur.
func (c *checker) files(ctx context.Context) error {
	seen := map[string]string{}
	// hold before new and cur: files move in this direction.
	held, err := c.box.fs.ReadDir(ctx, holdDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, dir := range []string{"new", "cur"} {
		names, err := c.box.fs.ReadDir(ctx, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, n := range names {
			if err := c.file(ctx, dir, n, seen); err != nil {
				return err
			}
		}
	}
	for _, n := range held {
		if err := c.held(ctx, n, seen); err != nil {
			return err
		}
	}
	c.list = slices.DeleteFunc(c.list, func(f Finding) bool { return f.Code == "message-size" && c.twice[f.key] })
	if c.broken {
		return nil // what is not in new or cur may be in the part that cannot be read
	}
	for _, m := range c.state.msgs {
		for try := 0; seen[m.Name] == "" && try < movedTries; try++ {
			dir, name, err := c.box.find(ctx, m.Name)
			if err != nil {
				return err
			}
			if name == "" {
				c.wrong("message-missing", m.Name, "the file of UID %d is missing", m.UID)
				break
			}
			if dir == goneDir {
				break // expunged since
			}
			if err := c.file(ctx, dir, name, seen); err != nil {
				return err
			}
		}
	}
	return nil
}

// movedTries is how often a file is looked for that moves on each time.
const movedTries = 5

// held looks at one file in hold, after those in new and cur.
func (c *checker) held(ctx context.Context, name string, seen map[string]string) error {
	where := holdDir + "/" + name
	_, dead := c.state.tombs[name]
	switch {
	case seen[name] != "": // moved on since, or a second file that does no harm
	case c.state.dropped[name] != 0:
		c.note("hold-dropped", where, "it will not become a message and is cleared away later")
	case dead:
		return c.file(ctx, holdDir, name, seen)
	case c.state.named(name) != nil:
		c.note("hold-left", where, "its message is not shown in cur yet")
		return c.file(ctx, holdDir, name, seen)
	default:
		c.note("hold-waiting", where, "a message under way, or what broken work left; it is cleared away after 36 hours")
	}
	return nil
}

func (c *checker) file(ctx context.Context, dir, name string, seen map[string]string) error {
	where := dir + "/" + name
	base, _, ok := splitName(name)
	if !ok || seen[base] == where { // a listing may have a name twice (H55)
		return nil
	}
	i, err := c.box.fs.Stat(ctx, where)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // moved on while we looked
	case err != nil:
		return err
	case !i.Mode.IsRegular() && c.state.named(base) != nil:
		seen[base] = where
		c.wrong("message-irregular", where, "the file of UID %d has become something else", c.state.named(base).UID)
		return nil
	case !i.Mode.IsRegular():
		c.note("file-irregular", where, "it is not a regular file and is ignored")
		return nil
	}
	c.rights(where, i)
	if first := seen[base]; first != "" {
		c.twice[base] = true // which of them is the message's is not known yet
		c.add(Finding{Code: "name-twice", Where: where, Repair: fixes["name-twice"], Text: "the same message as " + first, key: base})
	}
	seen[base] = where
	m := c.state.named(base)
	_, dead := c.state.tombs[base]
	if dead {
		c.note("expunged-left", where, "the message is expunged; its file has not been moved away yet")
	}
	if c.broken || dead {
		return nil
	}
	return c.content(ctx, where, m, i)
}

// content compares a file with its name and with its message, if it has one.
func (c *checker) content(ctx context.Context, where string, m *Message, i netfs.Info) error {
	base := baseOf(where)
	size := func(format string, args ...any) {
		c.wrong("message-size", where, format, args...)
		c.list[len(c.list)-1].key = base
	}
	said, named := numberIn(base, ",S=")
	switch {
	case m != nil && i.Size != m.Size:
		size("UID %d has %d bytes and was stored with %d", m.UID, i.Size, m.Size)
		return nil
	case m == nil && named && ownName(base) && said != i.Size:
		size("it has %d bytes and its name says %d", i.Size, said)
		return nil
	case len(base)+len(c.state.curName("", "DFPRST")) > 255:
		c.note("name-long", where, "its name leaves no room for flags; they are kept in the log alone")
	}
	wire, named := numberIn(base, ",W=")
	if !c.readAll || !named || !ownName(base) {
		return nil
	}
	got, err := wireSize(ctx, c.box.fs, where)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case got != wire:
		size("it has %d bytes on the wire and its name says %d", got, wire)
	}
	return nil
}

// ownName tells whether a base name is one that Bobbin gives: other programs
// may mean something else by S.
func ownName(base string) bool {
	f := strings.SplitN(base, ".", 3)
	return len(f) == 3 && len(f[1]) == netfs.TokenLen
}

// numberIn reads a number that a base name has after the word, such as ",S=".
func numberIn(base, word string) (int64, bool) {
	_, rest, ok := strings.Cut(base, word)
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, ok && err == nil && n >= 0
}

// wireSize reads a file and counts its bytes with a CR before each LF.
func wireSize(ctx context.Context, f netfs.FS, name string) (int64, error) {
	r, err := f.Open(ctx, name)
	if err != nil {
		return 0, err
	}
	var n int64
	last := byte(0)
	buf := make([]byte, copySize)
	for {
		k, err := r.Read(buf)
		for _, b := range buf[:k] {
			if n++; b == '\n' && last != '\r' {
				n++
			}
			last = b
		}
		if err == io.EOF {
			return n, r.Close()
		}
		if err != nil {
			return 0, errors.Join(err, r.Close())
		}
	}
}
