package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/bobbinmail/bobbin/netfs"
	"github.com/bobbinmail/bobbin/netfs/probe"
	"github.com/bobbinmail/bobbin/spool/commitlog"
)

// spoolMarker is the directory of a spool's marker.
const spoolMarker = "."

const (
	markerName = "bobbin.toml"
	markerMax  = 64 << 10
)

// Marker is what all hosts of a spool agree on. It is written once.
type Marker struct {
	// Level is the feature level that the spool was made with; see
	// [Spool.Level].
	Level int `toml:"level"`
	// Share is 26 random characters that tell this spool from all others.
	Share string `toml:"share"`
	// Slots is the way of put-if-absent: "symlink", "link" or "directory".
	Slots string `toml:"slots"`
	// RecordMax is the longest record in bytes; longer ones get a payload.
	RecordMax int `toml:"record_max"`
	// Separator stands between a message file's base name and its flags: ":" or ";".
	Separator string `toml:"separator"`
	// Foreign and Project are "off", or "" for on; see [Marker.HasForeign] and
	// [Marker.ShowsFlags].
	Foreign string `toml:"foreign,omitempty"`
	Project string `toml:"project,omitempty"`
}

const (
	markerOff = "off"
	offLevel  = 2 // the first whose markers say so
)

// HasForeign tells whether other programs may rename, remove and add files in
// cur. If not, cur is not watched and what they do there is not taken over;
// mail that they put into new is found all the same.
func (m Marker) HasForeign() bool { return m.Foreign != markerOff }

// ShowsFlags tells whether files are renamed to show flags.
func (m Marker) ShowsFlags() bool { return m.Project != markerOff }

const markerHead = `# This file makes the directory a Bobbin spool. Every host reads it.
# It was written by "bobbin init" and is never changed by hand.
`

func (m Marker) encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(markerHead)
	err := toml.NewEncoder(&b).Encode(m)
	return b.Bytes(), err
}

func parseMarker(b []byte) (Marker, netfs.Way, error) {
	var m Marker
	fail := func(format string, args ...any) (Marker, netfs.Way, error) {
		return m, 0, fmt.Errorf("%s: %w: "+format, append([]any{markerName, commitlog.ErrCorrupt}, args...)...)
	}
	meta, err := toml.Decode(string(b), &m)
	if err != nil {
		return fail("%v", err)
	}
	if m.Level > Level {
		return m, 0, tooNew(markerName, m.Level)
	}
	if u := meta.Undecoded(); len(u) > 0 {
		return fail("unknown key %s", u[0])
	}
	way, err := netfs.ParseWay(m.Slots)
	switch {
	case err != nil:
		return fail("slots: %v", err)
	case m.Level < 1:
		return fail("level is missing")
	case !netfs.IsToken(m.Share):
		return fail("share is not %d characters of a-z 2-7", netfs.TokenLen)
	case m.Separator != ":" && m.Separator != ";":
		return fail("separator is neither \":\" nor \";\"")
	case m.Foreign != "" && m.Foreign != markerOff:
		return fail("foreign is not \"off\"")
	case m.Project != "" && m.Project != markerOff:
		return fail("project is not \"off\"")
	case m.Level < offLevel && (m.Foreign != "" || m.Project != ""):
		return fail("foreign and project are not known at level %d", m.Level)
	case m.RecordMax < probe.RecordMin || m.RecordMax > 64<<10:
		return fail("record_max is not between 500 and 65536")
	}
	return m, way, nil
}

// readMarker reads the marker in the directory dir.
func readMarker(ctx context.Context, f netfs.FS, dir string) (Marker, netfs.Way, error) {
	name := path.Join(dir, markerName)
	b, err := netfs.ReadFile(ctx, f, name, markerMax)
	if errors.Is(err, fs.ErrNotExist) {
		return Marker{}, 0, fmt.Errorf("%w: there is no %s; is the share mounted?", ErrNotSpool, name)
	}
	if err != nil {
		return Marker{}, 0, err
	}
	return parseMarker(b)
}

// InitOptions choose what Init would otherwise find out.
type InitOptions struct {
	// Slots is "symlink", "link", "directory" or "" to try.
	Slots string
	// Separator is ":", ";" or "" to try.
	Separator string
	// ForeignOff and ProjectOff make a spool without [Marker.HasForeign] and
	// [Marker.ShowsFlags].
	ForeignOff, ProjectOff bool
}

// Init makes h's share a spool. It fails with [ErrExists] if it is one.
func Init(ctx context.Context, h *netfs.Host, o InitOptions) (*Spool, error) {
	_, _, err := readMarker(ctx, h.Share, spoolMarker)
	switch {
	case err == nil:
		return nil, fmt.Errorf("spool: %w", ErrExists)
	case !errors.Is(err, ErrNotSpool):
		return nil, err
	case h.Profile.Risk != "":
		return nil, fmt.Errorf("this mount cannot be shared: %s", h.Profile.Risk)
	}
	if err := mostlyEmpty(ctx, h.Share); err != nil {
		return nil, err
	}
	p := &publisher{h: h, dir: spoolMarker}
	m, err := p.choose(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, d := range append(commitlog.Dirs(accountsDir), usersDir, trashDir) {
		if err := netfs.MkdirPrivate(ctx, h, h.Share, d); err != nil {
			return nil, err
		}
	}
	if err := p.publish(ctx, m); err != nil {
		return nil, err
	}
	return Open(ctx, h)
}

// mostlyEmpty refuses a directory that somebody uses for something else. What
// an earlier try left is fine, and so is what file systems put there (H56).
func mostlyEmpty(ctx context.Context, f netfs.FS) error {
	names, err := f.ReadDir(ctx, ".")
	if err != nil {
		return err
	}
	known := []string{usersDir, accountsDir, trashDir, "lost+found"}
	for _, n := range names {
		if n[0] != '.' && !slices.Contains(known, n) {
			return fmt.Errorf("%w: the directory is not empty, it has %q", ErrExists, n)
		}
	}
	for _, dir := range []string{usersDir, trashDir, accountsDir + "/g.0"} {
		left, err := f.ReadDir(ctx, dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%w: the directory is a spool that lost its %s: restore that file, %s has %q", ErrExists, markerName, dir, left[0])
		}
	}
	return nil
}

// publisher makes a marker in a directory of h's share.
type publisher struct {
	h   *netfs.Host
	dir string
}

// choose makes the text of a new share's marker by trying what works there.
func (p *publisher) choose(ctx context.Context, o InitOptions) (Marker, error) {
	if o.Separator != "" && o.Separator != ":" && o.Separator != ";" {
		return Marker{}, fmt.Errorf("separator %q: %w: use \":\" or \";\"", o.Separator, ErrBadName)
	}
	share, err := p.h.Token()
	if err != nil {
		return Marker{}, err
	}
	c, err := probe.Choose(ctx, p.h, p.dir, probe.Choice{Slots: o.Slots, Separator: o.Separator})
	m := Marker{Level: Level, Share: share, Slots: c.Slots, RecordMax: c.RecordMax, Separator: c.Separator}
	if o.ForeignOff {
		m.Foreign = markerOff
	}
	if o.ProjectOff {
		m.Project = markerOff
	}
	return m, err
}

// firstName holds the marker that was first, where hard links cannot tell.
const firstName = "." + markerName

// publish writes the marker so that one of several hosts wins. The error wraps
// [ErrExists] when another one was first.
//
// Without hard links the text is put by the spool's own way first, under
// another name. Whoever finds one there publishes it and not his own, so all
// renames onto the marker's name bring the same text. The other name stays.
func (p *publisher) publish(ctx context.Context, m Marker) error {
	taken := fmt.Errorf("spool: %w", ErrExists)
	h := p.h
	way, err := netfs.ParseWay(m.Slots)
	if err != nil {
		return err
	}
	b, err := m.encode()
	if err != nil {
		return err
	}
	_, err = netfs.ViaLink.Put(ctx, h, h.Share, path.Join(p.dir, markerName), string(b))
	if errors.Is(err, fs.ErrExist) {
		return taken
	}
	if err == nil || !netfs.Unsupported(err) {
		return err
	}
	text := string(b)
	first, err := way.Put(ctx, h, h.Share, path.Join(p.dir, firstName), text)
	lost := errors.Is(err, fs.ErrExist)
	if lost {
		text = first
		_, _, err = parseMarker([]byte(first))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", firstName, err)
	}
	if _, err := netfs.Fresh(ctx, h.Share, p.dir); err != nil {
		return err
	}
	if _, _, err := readMarker(ctx, h.Share, p.dir); errors.Is(err, ErrNotSpool) {
		if err := p.write(ctx, text); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if lost {
		return taken
	}
	return nil
}

// write gives the marker's name to text.
func (p *publisher) write(ctx context.Context, text string) error {
	h := p.h
	token, err := h.Token()
	if err != nil {
		return err
	}
	temp := path.Join(p.dir, ".marker."+token)
	if err := netfs.WriteFile(ctx, h.Share, temp, []byte(text)); err != nil {
		return err
	}
	err = netfs.Move(ctx, h, h.Share, temp, path.Join(p.dir, markerName))
	if errors.Is(err, netfs.ErrVanished) {
		err = fmt.Errorf("%s: %w: %v", markerName, netfs.ErrUncertain, err)
	}
	return err
}
