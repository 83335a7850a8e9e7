package netfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"syscall"
	"time"
)

// Way is how a share is asked to create a name only if it is absent, with
// its content in the same instant. All hosts of a spool use the same way.
type Way int

// The ways, in order of preference.
const (
	// ViaSymlink makes a symbolic link whose target is the record: one
	// request (NFS, AFS, CephFS, local disks).
	ViaSymlink Way = iota
	// ViaLink writes a file under a temporary name and links it: SMB with
	// hard links, and shares that are used through NFS and SMB at once (H67).
	ViaLink
)

var wayNames = []string{"symlink", "link"}

// String returns the way's name as the marker file has it.
func (w Way) String() string { return wayNames[w] }

// ParseWay reads a way's name.
func ParseWay(s string) (Way, error) {
	for i, n := range wayNames {
		if n == s {
			return Way(i), nil
		}
	}
	return 0, fmt.Errorf("unknown way %q to create slots: use symlink or link", s)
}

// linkMax is the longest record of the link way, in bytes.
const linkMax = 64 << 10

// Max returns the longest record that the way takes on a share, in bytes.
func (w Way) Max(p Profile) int {
	if w == ViaLink {
		return linkMax
	}
	return p.RecordMax
}

// patience is how long an operation with an unknown outcome is resolved
// before the caller is told so.
const patience = 30 * time.Second

// Get reads the record under name. The error wraps fs.ErrNotExist when there
// is none and [ErrIrregular] when name is something else than a record.
func (w Way) Get(ctx context.Context, f FS, name string) (string, error) {
	if w == ViaSymlink {
		s, err := f.Readlink(ctx, name)
		if errors.Is(err, syscall.EINVAL) {
			err = fmt.Errorf("readlink %s: %w", name, ErrIrregular)
		}
		return s, err
	}
	b, err := ReadFile(ctx, f, name, linkMax)
	return string(b), err
}

// Fresh is Get as the server has it now. On NFS that costs one request when
// this client has read or written the record before and nobody replaced it:
// a link's target comes from the client's cache once a forced stat found the
// link to be the same (H31). An open file is fresh by itself (H34).
func (w Way) Fresh(ctx context.Context, f FS, name string) (string, error) {
	if w == ViaSymlink {
		if _, err := f.Stat(ctx, name); err != nil {
			return "", err
		}
	}
	return w.Get(ctx, f, name)
}

// Put creates name with the content data if name is absent. data holds a
// random token, so that nobody else can have written the same.
//
// It returns nil when name now holds data; fs.ErrExist and the content that
// is there when somebody else was first; any other error when nothing was
// done, unless the error matches [ErrUncertain].
//
// Problem: a lost reply makes a call that worked look like EEXIST or EIO, and
// a request may be carried out long after its caller gave up (H05, H06, H10,
// H12). What we do: after every error the name is read and compared, and the
// same record is tried again, never another one.
func (w Way) Put(ctx context.Context, h *Host, f FS, name, data string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	p := &put{way: w, h: h, f: f, name: name, data: data}
	defer p.clean(context.WithoutCancel(ctx))
	doubt := false
	start := h.Boot()
	for try := 0; ; try++ {
		err := p.create(ctx)
		if err == nil {
			return "", p.done(ctx)
		}
		got, gerr := w.Get(ctx, f, name)
		switch {
		case gerr == nil && got == data:
			return "", p.done(ctx)
		case gerr == nil:
			return got, &fs.PathError{Op: "put", Path: name, Err: fs.ErrExist}
		case errors.Is(gerr, ErrIrregular):
			return "", gerr
		}
		absent := errors.Is(gerr, fs.ErrNotExist)
		final := hopeless(ctx, err) || h.Boot()-start > patience ||
			errors.Is(err, fs.ErrPermission) && try >= 4
		// "It exists" and "it is not there" may both speak of our own record: a
		// lost reply and a name cache that is behind.
		doubt = doubt || !absent || !(refused(err) ||
			errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission))
		switch {
		case final && !doubt:
			return "", fmt.Errorf("put %s: %w", name, err)
		case final:
			return "", uncertain("put", name, err)
		}
		if serr := h.retryPause(ctx, try); serr != nil {
			return "", uncertain("put", name, err)
		}
	}
}

// put is one put-if-absent under way.
type put struct {
	way        Way
	h          *Host
	f          FS
	name, data string
	temp       string // the written file of the link way
}

func (p *put) create(ctx context.Context) error {
	if p.way == ViaSymlink {
		return p.f.Symlink(ctx, p.data, p.name)
	}
	if p.temp == "" {
		token, err := p.h.Token()
		if err != nil {
			return err
		}
		temp := path.Join(path.Dir(p.name), ".t."+token)
		if err := WriteFile(ctx, p.f, temp, []byte(p.data)); err != nil {
			return err
		}
		p.temp = temp
	}
	return p.f.Link(ctx, p.temp, p.name)
}

func (p *put) done(ctx context.Context) error {
	if err := SyncDir(ctx, p.h, p.f, path.Dir(p.name)); err != nil {
		return uncertain("put", p.name, err)
	}
	return nil
}

// clean removes the temporary name; what a crash leaves is litter, not state.
func (p *put) clean(ctx context.Context) {
	if p.temp != "" {
		_ = Unlink(ctx, p.h, p.f, p.temp)
	}
}

// ReadFile reads a whole file of at most limit bytes; a longer one is an
// error.
func ReadFile(ctx context.Context, f FS, name string, limit int64) ([]byte, error) {
	r, err := f.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	err = errors.Join(err, r.Close())
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("read %s: longer than %d bytes: %w", name, limit, syscall.EFBIG)
	}
	return b, err
}
