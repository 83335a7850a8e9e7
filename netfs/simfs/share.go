package simfs

import (
	"strings"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// Abilities say what a server cannot do, or does in its own way. The zero
// value is a server that does all that POSIX asks for.
type Abilities struct {
	// NoSymlinks and NoLinks are the errors of the calls (H67, H19).
	NoSymlinks, NoLinks syscall.Errno
	// OneDir: a hard link goes to the same directory alone, and a file with
	// two names stays in its directory (AFS, H20, H21).
	OneDir bool
	// Refused are characters that no name may have (H58).
	Refused string
	// Fold: names that differ in the case of letters are one (H59).
	Fold bool
	// Silly is how names begin that a client gives to a file with one name that
	// a process of its own has open, instead of removing or replacing it; the
	// last handle removes that name (NFS, AFS, H15, H25). Empty if it does not.
	Silly string
	// Busy: what is open anywhere is not replaced, a directory with it in is
	// not renamed, and what is removed keeps its only name, which can neither
	// be opened nor made, until the last handle is closed (SMB, H14, H27).
	Busy bool
	// Strict: nor is what is open renamed (SMB with an older client, H14).
	Strict bool
	// Gap: a rename that replaces a name removes that first (SMB, sshfs, H13,
	// H17).
	Gap bool
	// General: the client tells EIO or EPERM of all failures (sshfs, H17).
	General bool
	// DirSync is what a directory's fsync says; nil if zero (H66, H79).
	DirSync syscall.Errno
}

// Share is one kind of share with its clients.
type Share struct {
	Name     string
	Profile  netfs.Profile
	Tick     time.Duration // of the server's time stamps
	HoldDirs bool          // requests name directories by handle
	Able     Abilities
	Cache    Caches
}

// Set makes o a simulation of the share.
func (s Share) Set(o *Options) {
	o.Profile, o.Tick, o.HoldDirs, o.Able, o.Cache = s.Profile, s.Tick, s.HoldDirs, s.Able, s.Cache
}

// Way is the way to put slots that bobbin init chooses on the share: the first
// that works.
func (s Share) Way() netfs.Way {
	switch {
	case s.Able.NoSymlinks == 0:
		return netfs.ViaSymlink
	case s.Able.NoLinks == 0:
		return netfs.ViaLink
	}
	return netfs.ViaDir
}

// nfs are the default mount options: a directory's attributes are believed for
// at least 30 seconds.
const acdirmin = 30 * time.Second

const nfsSilly = ".nfs"

// Shares lists the kinds of shares that are simulated.
func Shares() []Share {
	local := netfs.ProfileFor("local", nil)
	smb := netfs.ProfileFor("smb", nil)
	smbCache := Caches{Names: time.Second, Absent: time.Second, ByPath: true}
	return []Share{
		{
			Name: "nfs3", Profile: netfs.ProfileFor("nfs", []string{"vers=3"}), Tick: 40 * time.Millisecond, HoldDirs: true,
			Able:  Abilities{Silly: nfsSilly},
			Cache: Caches{Names: acdirmin, ByChange: true, Coarse: true},
		},
		{
			Name: "nfs4", Profile: netfs.ProfileFor("nfs", nil), Tick: 10 * time.Millisecond, HoldDirs: true,
			Able:  Abilities{Silly: nfsSilly},
			Cache: Caches{Names: acdirmin, ByChange: true},
		},
		{
			Name: "smb", Profile: smb, Tick: 16 * time.Millisecond, Cache: smbCache,
			Able: Abilities{NoSymlinks: syscall.EOPNOTSUPP, Fold: true, Busy: true},
		},
		{
			Name: "smb-plain", Profile: smb, Tick: 16 * time.Millisecond, Cache: smbCache,
			Able: Abilities{
				NoSymlinks: syscall.EOPNOTSUPP, NoLinks: syscall.EOPNOTSUPP, Fold: true, Busy: true, Strict: true, Gap: true,
				Refused: `:*?<>|"\`, DirSync: syscall.EINVAL,
			},
		},
		{
			// As the lab's Samba on vfat does it.
			Name: "smb-fat", Profile: smb, Tick: 2 * time.Second, Cache: smbCache,
			Able: Abilities{NoSymlinks: syscall.EOPNOTSUPP, NoLinks: syscall.EACCES, Fold: true, Busy: true},
		},
		{
			Name: "afs", Profile: netfs.ProfileFor("afs", nil), Tick: time.Second, HoldDirs: true,
			Able: Abilities{OneDir: true, Silly: ".__afs", DirSync: syscall.EINVAL},
		},
		{Name: "ceph", Profile: netfs.ProfileFor("ceph", nil), Tick: time.Millisecond, HoldDirs: true},
		{
			Name: "fuse", Profile: netfs.ProfileFor("fuse", nil), Tick: time.Second,
			Able:  Abilities{NoLinks: syscall.ENOSYS, DirSync: syscall.ENOSYS, General: true, Gap: true},
			Cache: Caches{Names: time.Second, ByPath: true, Lists: time.Second},
		},
		{Name: "local", Profile: local, Tick: 4 * time.Millisecond, HoldDirs: true},
	}
}

// ShareNamed returns the kind of share of that name.
func ShareNamed(name string) (Share, bool) {
	for _, s := range Shares() {
		if s.Name == name {
			return s, true
		}
	}
	return Share{}, false
}

// keepsOpen tells whether it matters to others which files are open.
func (a *Abilities) keepsOpen() bool { return a.Busy || a.Silly != "" }

// checkName tells why leaf cannot be a name.
func (a *Abilities) checkName(leaf string) error {
	switch {
	case len(leaf) > nameMax:
		return syscall.ENAMETOOLONG
	case a.Refused != "" && strings.ContainsAny(leaf, a.Refused):
		return syscall.EINVAL
	}
	return nil
}

func errnoOf(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
