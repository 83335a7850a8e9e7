package spool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// folderTrash is where folders are that are no longer one, or not yet: in the
// mail root, and without the dot by which Maildir++ programs know a folder.
const folderTrash = "bobbin-trash"

// In a directory of the trash, named by a token, the folder is always called
// grave, so that no second one is moved there, and a file tells its name.
const (
	grave   = "folder"
	epitaph = "name"
)

// folderMark is the empty file by which Courier's deliverer knows a folder.
const folderMark = "maildirfolder"

func (s *Spool) coder() nameCoder { return coderFor(s.Marker.Separator) }

// place tells where a folder's name is looked for, and what is left of it
// there: in the user's mail root, or in that of the shared folders.
func (s *Spool) place(ctx context.Context, user, folder string) (h home, rest string, err error) {
	if h, err = s.home(user); err != nil {
		return home{}, "", err
	}
	rest, public := splitPublic(folder)
	if !public {
		return h, folder, nil
	}
	if rest == folder {
		return home{}, "", badFolder(folder, "a shared folder is called "+publicName+"/NAME")
	}
	if s.owner != "" {
		return home{}, "", h.noFolder(folder) // a mail root of its own has none
	}
	if err := s.needs("shared folders", 2); err != nil {
		return home{}, "", err
	}
	if _, err := s.Host.Share.Stat(ctx, h.dir); errors.Is(err, fs.ErrNotExist) {
		return home{}, "", h.whyNot(ctx, Inbox)
	} else if err != nil {
		return home{}, "", err
	}
	return home{spool: s, dir: publicDir, user: h.user, public: true}, rest, nil
}

// folderName returns the normal form of the name of a folder, be it there or
// not.
func (s *Spool) folderName(folder string) (string, error) {
	rest, public := splitPublic(folder)
	if public && rest == folder {
		return "", badFolder(folder, "a shared folder is called "+publicName+"/NAME")
	}
	dir, err := s.coder().dir(rest)
	if err != nil {
		return "", err
	}
	name := s.coder().nameOf(dir)
	if public {
		name = publicName + "/" + name
	}
	return name, nil
}

// full is the name of a folder of h for people.
func (h home) full(folder string) string {
	if h.public {
		return publicName + "/" + folder
	}
	return folder
}

func (h home) noFolder(folder string) error {
	return fmt.Errorf("folder %s of user %s: %w", h.full(folder), h.user, ErrNoFolder)
}

// alias finds the directory of a folder that another program made in its own
// way. The error wraps fs.ErrNotExist.
func (h home) alias(ctx context.Context, folder string) (string, error) {
	names, err := h.spool.Host.Share.ReadDir(ctx, h.dir)
	if err != nil {
		return "", err
	}
	want, err := h.spool.folderName(folder)
	if err != nil {
		return "", err
	}
	if dir, ok := h.spool.coder().names(folderDirs(names))[want]; ok {
		return dir, nil
	}
	return "", &fs.PathError{Op: "find", Path: path.Join(h.dir, want), Err: fs.ErrNotExist}
}

// folderDirs returns which names in a mail root may be those of folders.
func folderDirs(names []string) (dirs []string) {
	for _, n := range names {
		if len(n) > 1 && n[0] == '.' && n != ".." && !strings.HasPrefix(n, ".nfs") {
			dirs = append(dirs, n)
		}
	}
	return slices.Compact(dirs)
}

// Folder is a folder as [Spool.Folders] lists it.
type Folder struct {
	// Name is as Box takes it: "INBOX", "Work/2026", "public/News".
	Name string
	// Missing: the user has subscribed to it and there is none.
	Missing    bool
	Subscribed bool
	Uses       []Use
}

// Folders lists a user's folders and the shared ones in the order of their
// names, INBOX first. A folder is a directory of the mail root whose name begins
// with a dot and which has a directory cur. It costs an operation for each.
// The error wraps [ErrNoUser].
func (s *Spool) Folders(ctx context.Context, user string) ([]Folder, error) {
	u, err := s.UserState(ctx, user)
	if err != nil {
		return nil, err
	}
	own, err := u.home.list(ctx)
	if err != nil {
		return nil, errors.Join(err, u.fs.Close())
	}
	pub := home{spool: s, dir: publicDir, user: u.home.user, public: true}
	shared, err := pub.list(ctx)
	if err == nil {
		err = u.forgetVanished(ctx, pub, len(shared))
	}
	if err != nil {
		return nil, errors.Join(err, u.fs.Close())
	}
	var out []Folder
	there := map[string]bool{}
	for _, name := range slices.Concat(own, shared) {
		there[name] = true
		out = append(out, Folder{Name: name, Uses: u.usesOf(name)})
	}
	subscribed := map[string]bool{}
	for _, name := range u.Subscriptions() {
		if subscribed[name] = true; !there[name] {
			out = append(out, Folder{Name: name, Missing: true, Uses: u.usesOf(name)})
		}
	}
	for i := range out {
		out[i].Subscribed = subscribed[out[i].Name]
	}
	slices.SortFunc(out, func(a, b Folder) int {
		switch Inbox {
		case a.Name:
			return -1
		case b.Name:
			return 1
		}
		return cmp.Compare(a.Name, b.Name)
	})
	return out, u.fs.Close()
}

// list lists the folders of a mail root by their full names. The shared one
// need not exist, nor have an INBOX.
func (h home) list(ctx context.Context) (names []string, err error) {
	if h.public && h.spool.owner != "" {
		return nil, nil
	}
	root, err := h.open(ctx)
	if h.public && errors.Is(err, ErrNoFolder) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	all, err := root.ReadDir(ctx, ".")
	if err != nil {
		return nil, err
	}
	if !h.public || slices.Contains(all, "cur") {
		names = append(names, h.full(Inbox))
	}
	byName := h.spool.coder().names(folderDirs(all))
	for name, dir := range byName {
		i, err := root.Stat(ctx, dir+"/cur")
		switch {
		case err == nil && i.Mode.IsDir():
			names = append(names, h.full(name))
		case err != nil && !missing(err):
			return nil, fmt.Errorf("folder %s: %w", h.full(name), err)
		}
	}
	slices.Sort(names)
	return names, nil
}

// root is an open mail root in which folders are changed.
type root struct {
	home
	netfs.FS
}

// root opens the mail root, the shared one making it.
func (h home) root(ctx context.Context) (root, error) {
	f, err := h.open(ctx)
	if h.public && errors.Is(err, ErrNoFolder) {
		if err = netfs.MkdirAll(ctx, h.spool.Host, h.spool.Host.Share, h.dir); err == nil {
			f, err = h.open(ctx)
		}
	}
	return root{h, f}, err
}

// CreateFolder makes a folder. Those above it in the hierarchy need not exist,
// and are not made. A name that differs from an existing one in case or normal
// form alone is taken: some shares could not keep the two apart.
//
// After an error nothing was made, unless it matches [netfs.ErrUncertain]. It
// wraps [ErrExists], [ErrBadName] or [ErrNoUser].
func (s *Spool) CreateFolder(ctx context.Context, user, name string) error {
	if err := s.needs("new folders", 2); err != nil {
		return err
	}
	h, rest, err := s.place(ctx, user, name)
	if err != nil {
		return err
	}
	clean, dir, err := s.coder().newFolder(rest)
	if err != nil {
		return err
	}
	r, err := h.root(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.free(ctx, clean, dir, nil); err != nil {
		return err
	}
	return r.make(ctx, clean, dir)
}

// free makes sure that no folder has a name, or one too much like it. Those in
// except do not count.
func (r root) free(ctx context.Context, name, dir string, except []string) error {
	taken := func(by string) error { return fmt.Errorf("folder %s: %w as %s", r.full(name), ErrExists, r.full(by)) }
	if dir == "." {
		return taken(Inbox)
	}
	all, err := r.ReadDir(ctx, ".")
	if err != nil {
		return err
	}
	dirs := slices.DeleteFunc(folderDirs(all), func(d string) bool { return slices.Contains(except, d) })
	for other, d := range r.spool.coder().names(dirs) {
		if asciiLower(d) == asciiLower(dir) || foldKey(other) == foldKey(name) {
			if free, err := r.ended(ctx, d, other); err != nil {
				return err
			} else if !free {
				return taken(other)
			}
		}
	}
	return nil
}

// ended tells whether a folder is gone, or was deleted by somebody who did not
// come to the end of it; then that is done here.
func (r root) ended(ctx context.Context, dir, name string) (bool, error) {
	if id, err := r.identityOf(ctx, dir); err != nil || id == "" || id == "?" {
		return id == "", err
	}
	f, err := r.Sub(ctx, dir)
	if err != nil {
		return missing(err), err
	}
	defer f.Close()
	_, err = r.at(f, dir, name).open(ctx)
	if errors.Is(err, ErrNoFolder) {
		return true, nil
	}
	return false, err
}

// make builds the whole mailbox where no folder is, and gives it its place by
// a rename, which no server does onto a directory that has something in it. So
// of several who make it one wins, and nobody sees half a mailbox.
func (r root) make(ctx context.Context, name, dir string) error {
	token, err := r.spool.Host.Token()
	if err != nil {
		return err
	}
	nest := path.Join(folderTrash, token)
	built := path.Join(nest, grave)
	if err := netfs.MkdirAll(ctx, r.spool.Host, r, built); err != nil {
		return err
	}
	f, err := r.Sub(ctx, built)
	if err != nil {
		return err
	}
	b := r.at(f, built, name)
	_, err = b.open(ctx)
	if err == nil {
		err = netfs.WriteFile(ctx, f, folderMark, nil)
	}
	if err == nil {
		err = netfs.SyncDir(ctx, r.spool.Host, f, ".")
	}
	id := ""
	if err == nil {
		id, err = b.identity(ctx)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := r.give(ctx, built, dir, id); err != nil {
		return fmt.Errorf("folder %s: %w", r.full(name), err)
	}
	_ = netfs.Unlink(context.WithoutCancel(ctx), r.spool.Host, r, nest) // else swept
	return nil
}

// identity is what tells a mailbox from all others, whatever its directory is
// called: the token of its first record, which is never removed.
func (b *Box) identity(ctx context.Context) (string, error) {
	return b.spool.firstToken(ctx, b.fs, logDir)
}

// firstToken returns the token of the first record of the log in dir.
func (s *Spool) firstToken(ctx context.Context, f netfs.FS, dir string) (string, error) {
	text, err := s.way.Fresh(ctx, f, dir+"/g.0/1")
	if f := strings.Fields(text); err == nil && len(f) > 2 {
		return f[2], nil
	}
	return "", cmp.Or(err, error(errNoIdentity))
}

var errNoIdentity = errors.New("the log's first record is no record")

// identityOf is the identity of the mailbox in a directory of the mail root, as
// the server has it now: "" if there is no directory, "?" if it has none.
func (r root) identityOf(ctx context.Context, dir string) (string, error) {
	if _, err := netfs.Fresh(ctx, r, path.Dir(dir)); missing(err) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	f, err := r.Sub(ctx, dir)
	switch {
	case missing(err):
		return "", nil
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return "?", nil
	case err != nil:
		return "", err
	}
	defer f.Close()
	id, err := r.at(f, dir, "").identity(ctx)
	if missing(err) || errors.Is(err, errNoIdentity) || errors.Is(err, netfs.ErrIrregular) {
		return "?", nil
	}
	return id, err
}

// missing tells whether an error says that a name or its directory is not
// there.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// givePatience is how long the outcome of a rename is looked for.
const givePatience = 30 * time.Second

// give renames the directory of the mailbox id. Names of folders are used
// again, so netfs.Move will not do: that the new name is there proves nothing,
// and the mailbox under it is asked who it is. The error wraps [ErrExists] if
// another one has the name, [ErrNoFolder] if the mailbox is not where it was,
// netfs.ErrUncertain, or is the server's and means that nothing was done.
func (r root) give(ctx context.Context, from, to, id string) error {
	h := r.spool.Host
	doubt := false
	uncertain := func(err error) error {
		return fmt.Errorf("rename %s: %w: %v", from, netfs.ErrUncertain, err)
	}
	for start, try := h.Boot(), 0; ; try++ {
		err := r.Rename(ctx, from, to)
		if err == nil {
			return r.given(ctx, from, to)
		}
		there, terr := r.identityOf(ctx, to)
		if terr == nil && there == id {
			return r.given(ctx, from, to)
		}
		here, herr := r.identityOf(ctx, from)
		known := terr == nil && herr == nil
		final := netfs.Refused(err) || missing(err) // nothing was done, nor will be
		doubt = doubt || !known || !final && !errors.Is(err, fs.ErrExist)
		late := ctx.Err() != nil || h.Boot()-start > givePatience
		switch {
		case (late || known && here != id) && doubt:
			return uncertain(err)
		case known && here != id:
			return ErrNoFolder
		case known && there != "":
			return ErrExists
		case late, final && !doubt:
			return err
		}
		if serr := h.Sleep(ctx, min(time.Second, 10*time.Millisecond<<min(try, 7))); serr != nil {
			return uncertain(err)
		}
	}
}

// given makes a rename durable.
func (r root) given(ctx context.Context, from, to string) error {
	for _, dir := range []string{path.Dir(to), path.Dir(from)} {
		if err := netfs.SyncDir(ctx, r.spool.Host, r, dir); err != nil {
			return fmt.Errorf("rename %s: %w: %v", from, netfs.ErrUncertain, err)
		}
	}
	return nil
}
