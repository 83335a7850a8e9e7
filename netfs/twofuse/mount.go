package twofuse

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// Options are how long the kernel believes what a mount told it.
type Options struct {
	// Attributes is the time that attributes are kept: an NFS client's
	// acregmin is 3 s.
	Attributes time.Duration
	// Names is the time that names are kept, present or absent: 1 s is what
	// libfuse takes, and less than the grain of the profile for FUSE.
	Names time.Duration
}

// Usual are the times of most FUSE shares for names, and those of NFS for
// attributes.
var Usual = Options{Attributes: 3 * time.Second, Names: time.Second}

// ErrUnavailable means that this machine cannot mount through FUSE.
var ErrUnavailable = errors.New("no FUSE here")

// Mount is one host's view of a directory. Its methods may be called from
// several goroutines.
type Mount struct {
	d       *daemon
	server  *fuse.Server
	backing string
}

// daemon is what answers the kernel's requests.
type daemon struct {
	fuse.RawFileSystem // answers ENOSYS to what is not here

	o    Options
	root bool

	mu         sync.Mutex
	nodes      nodes
	handles    map[uint64]*os.File
	listings   map[uint64][]string // by handle
	lastHandle uint64
	counts     Counts
	inject     Injector
}

func newDaemon(backing string, o Options) (*daemon, error) {
	fd, err := unix.Open(backing, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: backing, Err: err}
	}
	d := &daemon{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		o:             o,
		root:          os.Geteuid() == 0,
		nodes:         nodes{byID: map[uint64]*node{}, byKey: map[inode]*node{}},
		handles:       map[uint64]*os.File{},
		listings:      map[uint64][]string{},
		counts:        Counts{},
	}
	_, _, err = d.add(fd) // the first gets the number of the root
	return d, err
}

func (d *daemon) String() string { return "twofuse" }

func (d *daemon) Init(*fuse.Server) {}

func (d *daemon) close() (err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.handles {
		err = errors.Join(err, f.Close())
	}
	for _, n := range d.nodes.byID {
		err = errors.Join(err, unix.Close(n.fd))
	}
	return err
}

// New mounts the directory backing at point, another directory. The error
// matches [ErrUnavailable] where there is no /dev/fuse. The caller must
// unmount.
func New(backing, point string, o Options) (*Mount, error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	d, err := newDaemon(backing, o)
	if err != nil {
		return nil, err
	}
	server, err := fuse.NewServer(d, point, &fuse.MountOptions{
		AllowOther:           d.root,
		DirectMount:          true,
		DisableXAttrs:        true,
		EnableSymlinkCaching: true,
		FsName:               backing,
		Name:                 "twofuse",
		MaxWrite:             1 << 20,
		Options:              []string{"default_permissions"},
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("mount %s: %w", point, err), d.close())
	}
	go server.Serve()
	if err := server.WaitMount(); err != nil {
		return nil, errors.Join(fmt.Errorf("mount %s: %w", point, err), server.Unmount())
	}
	return &Mount{d, server, backing}, nil
}

// Unmount ends the mount. It fails while somebody uses it.
func (m *Mount) Unmount() error {
	if err := m.server.Unmount(); err != nil {
		return err
	}
	m.server.Wait()
	return m.d.close()
}

// Backing is the directory behind the mount: the server's own view.
func (m *Mount) Backing() string { return m.backing }

// Inject makes f decide on all requests from now on; nil ends it.
func (m *Mount) Inject(f Injector) {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	m.d.inject = f
}

// Counts returns the requests so far.
func (m *Mount) Counts() Counts {
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	return maps.Clone(m.d.counts)
}
