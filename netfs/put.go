package netfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
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
	// ViaDir writes a file into a temporary directory and renames that to the
	// slot's name: shares that have neither kind of link (H19). A directory
	// with something in it is never replaced. It takes seven requests, and
	// four to read.
	ViaDir
)

var wayNames = []string{"symlink", "link", "directory"}

// String returns the way's name as the marker file has it.
func (w Way) String() string { return wayNames[w] }

// ParseWay reads a way's name.
func ParseWay(s string) (Way, error) {
	for i, n := range wayNames {
		if n == s {
			return Way(i), nil
		}
	}
	return 0, fmt.Errorf("unknown way %q to create slots: use symlink, link or directory", s)
}

// fileMax is the longest record of the ways that keep it in a file, in bytes.
const fileMax = 64 << 10

// Max returns the longest record that the way takes on a share, in bytes.
func (w Way) Max(p Profile) int {
	if w == ViaSymlink {
		return p.RecordMax
	}
	return fileMax
}

// patience is how long an operation with an unknown outcome is resolved
// before the caller is told so.
const patience = 30 * time.Second

// denials is how many times in a row a way is denied permission before that
// counts. SMB denies to rename a directory while a handle of a file in it is
// held back, which lasts seconds (H14, H60).
func (w Way) denials() int {
	if w == ViaDir {
		return 9 // 3.3 s
	}
	return 4
}

// Get reads the record under name. The error wraps fs.ErrNotExist when there
// is none and [ErrIrregular] when name is something else than a record.
func (w Way) Get(ctx context.Context, f FS, name string) (string, error) {
	switch w {
	case ViaSymlink:
		s, err := f.Readlink(ctx, name)
		if errors.Is(err, syscall.EINVAL) {
			err = fmt.Errorf("readlink %s: %w", name, ErrIrregular)
		}
		return s, err
	case ViaDir:
		return getDir(ctx, f, name)
	}
	b, err := ReadFile(ctx, f, name, fileMax)
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
	if w != ViaSymlink && len(data) > fileMax {
		return "", &fs.PathError{Op: "put", Path: name, Err: syscall.EFBIG}
	}
	p := &put{way: w, h: h, f: f, name: name, data: data}
	defer p.clean(context.WithoutCancel(ctx))
	start := h.Boot()
	for try := 0; ; try++ {
		err := p.create(ctx)
		if err == nil {
			return "", p.done(ctx)
		}
		got, gerr := p.look(ctx, err)
		switch {
		case gerr == nil && got == data:
			return "", p.done(ctx)
		case gerr == nil:
			p.taken = true
			return got, &fs.PathError{Op: "put", Path: name, Err: fs.ErrExist}
		case errors.Is(gerr, ErrIrregular):
			return "", gerr
		}
		exists, denied := errors.Is(err, fs.ErrExist), errors.Is(err, fs.ErrPermission)
		absent := errors.Is(gerr, fs.ErrNotExist)
		told := denied || refused(err) || errors.Is(err, fs.ErrNotExist)
		// What exists and cannot be seen may be our own, sent twice.
		p.doubt = p.doubt || exists || p.sent && !(absent && told)
		final := hopeless(ctx, err) || h.Boot()-start > patience ||
			denied && try >= w.denials() || h.retryPause(ctx, try) != nil
		switch {
		case !final:
		case p.doubt:
			return "", uncertain("put", name, err)
		default:
			return "", p.withdraw(ctx, fmt.Errorf("put %s: %w", name, err))
		}
	}
}

// Remove removes the record under name; one that is already gone is removed
// (H09). A request that comes late removes what was put there meanwhile (H12).
// It also removes what a name of [Temporary] stands for.
func (w Way) Remove(ctx context.Context, h *Host, f FS, name string) error {
	if w == ViaDir {
		return removeDir(ctx, h, f, name)
	}
	return Unlink(ctx, h, f, name)
}

// put is one put-if-absent under way.
type put struct {
	way        Way
	h          *Host
	f          FS
	name, data string
	temp       string // what is complete and waits for its public name
	sent       bool   // the last create came so far as to ask for the name
	doubt      bool   // a create may have been done, or may be done later
	taken      bool   // the name is somebody else's, whatever comes late
}

func (p *put) create(ctx context.Context) error {
	p.sent = false
	if p.way != ViaSymlink && p.temp == "" {
		if err := p.prepare(ctx); err != nil {
			return err
		}
	}
	p.sent = true
	switch p.way {
	case ViaSymlink:
		return p.f.Symlink(ctx, p.data, p.name)
	case ViaDir:
		return p.renameDir(ctx)
	}
	err := p.f.Link(ctx, p.temp, p.name)
	if errors.Is(err, fs.ErrPermission) {
		// Who could make the temporary name beside it has the permission: Samba
		// says so of a file system without hard links (H19).
		err = fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

// prepare writes the record under a temporary name, a new one each time: what
// comes late of an attempt that failed must not reach the next.
func (p *put) prepare(ctx context.Context) error {
	temp, err := tempName(p.h, p.name)
	if err != nil {
		return err
	}
	if p.way == ViaDir {
		err = p.writeDir(ctx, temp)
	} else {
		err = WriteFile(ctx, p.f, temp, []byte(p.data))
	}
	if err == nil {
		p.temp = temp
	}
	return err
}

// look reads what has the name after create failed. That there is nothing is
// believed only as [afresh] says. A name that exists can be looked for at once.
func (p *put) look(ctx context.Context, failed error) (got string, err error) {
	dir := path.Dir(p.name)
	if p.h.Profile.EarlyLookSticks && !errors.Is(failed, fs.ErrExist) {
		if err := afresh(ctx, p.h, p.f, dir); err != nil {
			return "", err
		}
	}
	got, err = p.way.Get(ctx, p.f, p.name)
	if errors.Is(err, fs.ErrNotExist) {
		if err = afresh(ctx, p.h, p.f, dir); err == nil {
			got, err = p.way.Get(ctx, p.f, p.name)
		}
	}
	if errors.Is(err, fs.ErrNotExist) && errors.Is(failed, fs.ErrExist) {
		// A client on NFSv3 that looked for the name in the tick in which it was
		// made goes on taking it for absent after RENAME was refused (H35). A
		// listing is anew since the temporary directory was made, and corrects it.
		if _, lerr := p.f.ReadDir(ctx, dir); lerr != nil {
			return "", lerr
		}
		got, err = p.way.Get(ctx, p.f, p.name)
	}
	return got, err
}

// tempPrefix begins the names of what becomes a record, or was one. No other
// name in a directory of records begins so.
const tempPrefix = ".t."

// Temporary tells whether a name is that of a Put or [Way.Remove] under way or
// broken off. What has such a name may be removed by [Way.Remove] once nobody
// can be at work on it any more.
func Temporary(name string) bool { return strings.HasPrefix(path.Base(name), tempPrefix) }

// tempName makes a name beside name that nobody else has.
func tempName(h *Host, name string) (string, error) {
	token, err := h.Token()
	return path.Join(path.Dir(name), tempPrefix+token), err
}

func (p *put) done(ctx context.Context) error {
	if p.way == ViaDir {
		p.temp = "" // some cache may take the temporary name for the slot (H33)
	}
	if err := SyncDir(ctx, p.h, p.f, path.Dir(p.name)); err != nil {
		return uncertain("put", p.name, err)
	}
	return nil
}

// clean removes what has a temporary name; what a crash leaves is litter, not
// state.
func (p *put) clean(ctx context.Context) {
	switch {
	case p.temp == "":
	case p.way == ViaLink:
		_ = Unlink(ctx, p.h, p.f, p.temp)
	case p.taken: // else a rename that comes late must find the record inside (H12)
		discardDir(ctx, p.h, p.f, p.temp)
	}
}

// ReadFile reads a whole file of at most limit bytes; a longer one is an
// error.
func ReadFile(ctx context.Context, f FS, name string, limit int64) ([]byte, error) {
	r, err := f.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	var room []byte
	if size, serr := r.Size(); serr == nil && size > 0 {
		room = make([]byte, 0, min(size, limit)+bytes.MinRead) // the size is a hint (H31)
		Whole(room)
	}
	b := bytes.NewBuffer(room)
	_, err = b.ReadFrom(io.LimitReader(r, limit+1))
	err = errors.Join(err, r.Close())
	if err == nil && int64(b.Len()) > limit {
		err = fmt.Errorf("read %s: longer than %d bytes: %w", name, limit, syscall.EFBIG)
	}
	return b.Bytes(), err
}
