package simfs

import (
	"errors"
	"syscall"
	"time"

	"github.com/bobbinmail/bobbin/netfs"
)

// ErrDead is what every call of a process returns after it crashed or ended.
var ErrDead = errors.New("process is dead")

// ErrStuck means that a run could not end: the processes wait for something
// that never comes, or went on beyond [Options.MaxOps].
var ErrStuck = errors.New("simulation does not end")

// Options describe a simulation. The zero value is one without faults.
type Options struct {
	// Seed decides the schedule, the faults and all random bytes.
	Seed uint64
	// Profile is what the hosts take the share for; that of NFSv4 unless its
	// Kind is set.
	Profile netfs.Profile
	// Tick is the grain of the server's time stamps; 10 ms if zero. It must
	// not exceed Profile.Grain.
	Tick time.Duration
	// WallSkew is how far the hosts' wall clocks may be off, either way.
	WallSkew time.Duration
	// HoldDirs makes clients hold directories open once they walked through
	// them, as the real host does: a directory that somebody renamed goes on
	// being reached under its old name (H28).
	HoldDirs bool
	// Able is what the server can do, Cache what its clients remember.
	Able  Abilities
	Cache Caches
	// Pace is how long a call takes that is made while Run is not at work.
	Pace time.Duration
	// Faults are the chances of faults; [Sim.SetFaults] changes them later.
	Faults Faults
	// MaxFaults is how many faults happen at most; no limit if zero.
	MaxFaults int
	// CrashAt kills a process at one operation.
	CrashAt *At
	// FailAt makes one operation of a process return an error.
	FailAt *At
	// TraceLen is how many operations [Sim.Trace] remembers; 200 if zero.
	TraceLen int
	// MaxOps ends a run with [ErrStuck]; 5,000,000 if zero.
	MaxOps int
}

// At is one operation of one process.
type At struct {
	// Host is the name of the process; of several with one name, the first.
	Host string
	// Op is the number of the process's operation, from 0.
	Op int
	// Applied tells whether the server carries the operation out.
	Applied bool
	// Late makes the server carry the operation out some time afterwards.
	Late bool
	// Err is the error returned by FailAt; EIO if zero.
	Err syscall.Errno
}

// Faults holds the chance of each fault per operation, from 0 (never) to 1.
// Errors come as the errnos that kernels give for them.
type Faults struct {
	// Crash kills the process. The operation is carried out, or not, or
	// later; so is, independently, each other one it has under way.
	Crash float64 `json:",omitzero"`
	// Pause suspends the process for up to PauseMax, either before the
	// operation or between its execution and its reply.
	Pause    float64       `json:",omitzero"`
	PauseMax time.Duration `json:",omitzero"` // 150 ms if zero, some 300 operations
	// Suspend stops all processes of a computer for up to SuspendMax, while
	// Host.Boot goes on and what is left of a Host.Sleep does not (H95).
	Suspend    float64       `json:",omitzero"`
	SuspendMax time.Duration `json:",omitzero"` // 8 hours if zero
	// Jump puts forward or back, by up to JumpMax, the wall clock of a computer
	// or the clock from which the server takes its stamps (H117).
	Jump    float64       `json:",omitzero"`
	JumpMax time.Duration `json:",omitzero"` // 1 hour if zero
	// Fail returns an error for an operation that was not carried out.
	Fail float64 `json:",omitzero"`
	// Lost returns an error for an operation that was carried out.
	Lost float64 `json:",omitzero"`
	// Resent loses the reply to an operation that was carried out; the client
	// sends it again within LateMax and gets the same reply from the server's
	// reply cache. The process's other goroutines go on.
	Resent float64 `json:",omitzero"`
	// Twice carries a change out twice, as a server does that has no reply
	// cache, and returns the outcome of the second time.
	Twice float64 `json:",omitzero"`
	// Late returns an error now and carries the change out within LateMax,
	// whatever has become of the process.
	Late float64 `json:",omitzero"`
	// Echo returns the true outcome and repeats the change within LateMax. A
	// CREATE is not repeated: together with a repeated RENAME it would put an
	// empty file over a delivered message, which only link(2) withstands, and
	// clients send again only what was not answered.
	Echo    float64       `json:",omitzero"`
	LateMax time.Duration `json:",omitzero"` // 150 ms if zero
	// Full returns ENOSPC or EDQUOT for an operation that needs space; data
	// written before but not synced is dropped.
	Full float64 `json:",omitzero"`
	// WriteErr fails a Sync or Close that has data to send, with ENOSPC,
	// EDQUOT or EIO, and drops the data. The next Sync returns nil (H99).
	WriteErr float64 `json:",omitzero"`
	// WriteBack sends a part of the unsynced data to the server after a
	// write, and at a crash or the end of the process, when all of it is lost
	// otherwise.
	WriteBack float64 `json:",omitzero"`
	// Stale fails a read of an open file that has lost its last name with
	// ESTALE (H26).
	Stale float64 `json:",omitzero"`
	// StaleDir makes the server forget the handles by which a tree reaches
	// directories: those below are found anew, and one that the tree begins at
	// is of no use any more. It happens where directories are held (H109).
	StaleDir float64 `json:",omitzero"`
	// SplitList reads a listing in two parts, with other operations between:
	// what is renamed meanwhile may be missing or be there twice (H48).
	SplitList float64 `json:",omitzero"`
	// MissList leaves a name out of a listing although nothing changes, and
	// OldList gives the one that the client read last, within a minute; both
	// where the profile has WeakLists. TwiceList repeats a name (H48, H55).
	MissList  float64 `json:",omitzero"`
	OldList   float64 `json:",omitzero"`
	TwiceList float64 `json:",omitzero"`
	// PowerLoss ends all processes and the server. What was not made durable
	// is lost from some point in time on, where a directory's fsync means
	// something; elsewhere the server answered when it was.
	PowerLoss float64 `json:",omitzero"`
	// EmptyLink is the chance that after a power loss the last change that was
	// not made durable and yet stays is a symbolic link without its target.
	EmptyLink float64 `json:",omitzero"`
	// Forget restarts the server, which has lost up to ForgetMax changes that
	// it had acknowledged (H102). Its clients go on.
	Forget    float64 `json:",omitzero"`
	ForgetMax int     `json:",omitzero"` // 20 if zero
}

// NFS4 is the profile of an NFSv4 mount, the default.
func NFS4() netfs.Profile {
	return netfs.Profile{
		Kind: "nfs4", NamesFollow: true,
		Grain: 100 * time.Millisecond, RecordMax: 4000,
	}
}

func (o Options) withDefaults() Options {
	if o.Profile.Kind == "" {
		o.Profile = NFS4()
	}
	if o.Tick == 0 {
		o.Tick = 10 * time.Millisecond
	}
	if o.TraceLen == 0 {
		o.TraceLen = 200
	}
	if o.MaxOps == 0 {
		o.MaxOps = 5_000_000
	}
	return o
}

func (f Faults) withDefaults() Faults {
	if f.PauseMax == 0 {
		f.PauseMax = 150 * time.Millisecond
	}
	if f.SuspendMax == 0 {
		f.SuspendMax = 8 * time.Hour
	}
	if f.JumpMax == 0 {
		f.JumpMax = time.Hour
	}
	if f.LateMax == 0 {
		f.LateMax = 150 * time.Millisecond
	}
	if f.ForgetMax == 0 {
		f.ForgetMax = 20
	}
	return f
}
