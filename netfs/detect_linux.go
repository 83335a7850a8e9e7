package netfs

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// magics are the f_type values of statfs(2).
var magics = map[int64]string{
	0x6969:     "nfs",
	0xfe534d42: "smb",
	0xff534d42: "smb",
	0x517b:     "smb",
	0x5346414f: "afs",
	0x6b414653: "afs",
	0x00c36400: "ceph",
	0x65735546: "fuse",
	0x01021997: "9p",
	0x0bd00bd0: "lustre",

	0xef53:     "local", // ext2, ext3, ext4
	0x58465342: "local", // xfs
	0x9123683e: "local", // btrfs
	0x01021994: "local", // tmpfs
	0x794c7630: "local", // overlayfs
	0xf2f52010: "local", // f2fs
	0x2fc12fc1: "local", // zfs
	0xca451a4e: "local", // bcachefs
}

// ProfileFor returns what is known of a kind of file system with the given
// mount options (the options only matter for NFS versions and caches).
func ProfileFor(kind string, options []string) Profile {
	p := Profile{Kind: kind, Grain: 100 * time.Millisecond, RecordMax: 4000}
	vers := ""
	for _, o := range options {
		if v, ok := strings.CutPrefix(o, "vers="); ok {
			vers = v
		}
		switch {
		case kind == "smb" && (o == "cache=loose" || o == "cache=singleclient"),
			kind == "9p" && (strings.Contains(o, "loose") || strings.Contains(o, "fscache")):
			p.Risk = "mount option " + o + ": this host may never see what others write; use cache=none"
		}
	}
	switch kind {
	case "nfs":
		p.Kind, p.NamesFollow = "nfs4", true
		if strings.HasPrefix(vers, "3") {
			p.Kind, p.NamesFollow, p.EarlyLookSticks = "nfs3", false, true
		}
		if strings.HasPrefix(vers, "2") {
			p.Kind, p.Risk = "nfs2", "NFS version 2: exclusive creation does not exist; mount with vers=4.2 or vers=3"
		}
	case "afs":
		p.NamesFollow, p.RecordMax = true, 1000
		p.Grain = 1100 * time.Millisecond // its times are whole seconds (H78)
	case "smb":
		p.Grain = 1100 * time.Millisecond
	case "ceph", "lustre":
		p.DirSync = true
	case "fuse", "gluster", "9p", "unknown":
		p.DirSync, p.RecordMax, p.WeakLists = true, 1000, true
		p.Grain = 1100 * time.Millisecond
	case "local":
		p.DirSync, p.NamesFollow = true, true
	}
	return p
}

// Detect says which file system the directory is on and how it behaves, by
// statfs(2) and, where mount options count, /proc/self/mountinfo.
func Detect(dir string) (Profile, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Profile{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	kind, known := magics[int64(uint32(s.Type))]
	if !known {
		kind = "unknown"
	}
	if kind == "local" {
		return ProfileFor(kind, nil), nil // whatever its options
	}
	m, err := MountOf(dir)
	if err != nil {
		return Profile{}, err
	}
	if strings.HasPrefix(m.Type, "fuse.glusterfs") {
		kind = "gluster"
	}
	return ProfileFor(kind, m.Options), nil
}

// Mount is where and how a file system is mounted.
type Mount struct {
	// Point is the mount point, Type the kernel's name of the file system,
	// Source the server's or device's name.
	Point, Type, Source string
	// Options are those of the mount and of the file system.
	Options []string
}

// MountOf finds the mount a directory is on: the last one listed among those
// with the longest mount point above it.
func MountOf(dir string) (Mount, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		return Mount{}, err
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Mount{}, err
	}
	defer f.Close()
	var best Mount
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m, ok := parseMount(lines.Text())
		under := m.Point == "/" || dir == m.Point || strings.HasPrefix(dir, m.Point+"/")
		if ok && under && len(m.Point) >= len(best.Point) {
			best = m
		}
	}
	return best, lines.Err()
}

// parseMount reads one line of mountinfo (proc(5)): fields, then a dash, then
// type, source and the file system's own options.
func parseMount(line string) (Mount, bool) {
	before, after, ok := strings.Cut(line, " - ")
	f, g := strings.Fields(before), strings.Fields(after)
	if !ok || len(f) < 6 || len(g) < 3 {
		return Mount{}, false
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	opts := strings.Split(f[5]+","+g[2], ",")
	return Mount{unescape.Replace(f[4]), g[0], unescape.Replace(g[1]), opts}, true
}
