// Package twofuse mounts one directory several times through FUSE, so that
// real processes on one machine stand for several hosts on one share. Each
// mount has caches of its own in the kernel; errors can be injected into its
// requests, and the requests that come through the caches are counted. It is
// for tests alone.
//
// # What it models
//
// The daemon behind a mount works like a client of an NFS server: it names
// files by handles, so a file that another host renames stays the same file,
// and what another host removes is ESTALE to whoever has it open (H26, H109).
// What this mount removes while it has it open stays readable, as by silly
// rename.
//
// The caches are the FUSE kernel's, not those of NFS. Attributes live for
// [Options.Attributes]; statx with AT_STATX_FORCE_SYNC, and so [netfs.FS]'s
// Stat, passes them over with a GETATTR of the file that the name led to.
// Names, present or absent, live for [Options.Names] whatever is forced and
// whatever stamps say: a name that another host made, renamed or removed is
// seen late by up to that time, and nothing tells the kernel earlier. Only
// what creates, links or renames to a name asks for it anew. That is worse
// than NFS, where a forced look at a directory that changed makes the kernel
// drop the names in it, and what every FUSE share without notifications does.
// Listings are never cached but bring names and attributes with them
// (READDIRPLUS). The targets of symbolic links stay as long as the file, and
// pages until size or time of the file change.
//
// # What it does not model
//
// A write is sent when it is made, so nothing fails late but by injection.
// Locks of files are this mount's own. The server's disk, clock and order of
// changes are those of the directory below, so stamps are as fine as there.
//
// # Use in one process
//
// The daemon runs in the process that mounts. While one of its goroutines
// starts another program, no file of a mount may be closed or be the
// program's working directory: the child would wait for the daemon, and the
// runtime for the child.
package twofuse
