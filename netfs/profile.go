package netfs

import "time"

// Profile says what a share's client and server do, as far as Bobbin's
// primitives depend on it. The zero value is not useful; take one from
// [Detect] or [ProfileFor].
type Profile struct {
	// Kind is the short name of the file system: "nfs3", "nfs4", "smb",
	// "afs", "ceph", "gluster", "lustre", "fuse", "9p", "local" or "unknown".
	Kind string
	// DirSync: a directory's fsync means something and belongs before an
	// acknowledgement (H103).
	DirSync bool
	// Grain is how long a directory's stamp must stand still before it proves
	// anything about the present (H35).
	Grain time.Duration
	// NamesFollow: the client's name cache follows the server's change id, so
	// that a look-up after a forced stat is right even within one grain (H39).
	NamesFollow bool
	// EarlyLookSticks: a name that is looked up in the same tick in which it
	// is created stays absent until the directory changes again (NFSv3, H35).
	EarlyLookSticks bool
	// WeakLists: a listing may miss names although nothing changes (H55).
	WeakLists bool
	// RecordMax is the longest symbolic-link target the share surely takes,
	// in bytes (H126).
	RecordMax int
	// Risk says in words why several hosts must not write here; empty when
	// they may.
	Risk string
}
