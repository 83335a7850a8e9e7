// Package simfs simulates several hosts on one file server, with a seeded
// schedule and faults at any operation. It is for tests alone.
//
// Everything happens in a [testing/synctest] bubble. Each process runs the
// shipped code on a [netfs.Host] of its own. Every call of its FS and files
// parks at a gate; when all goroutines are idle the scheduler lets a little
// fake time pass, picks one parked call by the seed, carries it out at the
// server, decides its fate and releases it. [Run] sets all of this up.
//
// # Replay
//
// One seed gives one run, bit for bit, which [Sim.Digest] proves. Parked calls
// are ordered by process, lane, operation and arguments, never by arrival.
// What stays for the code under test: goroutines of one process that become
// runnable in the same instant must not race for Host.Rand or for the same
// call with the same arguments. Goroutines started with [Sim.Go] are lanes of
// their own; [Lane] makes more.
//
// # What is simulated
//
// Directories, files, symbolic and hard links on a server that carries out
// each request atomically and stamps it with a coarse clock; clients whose
// written data stays in their page cache until Sync or Close, and who remember
// names as [Caches] says; what becomes of files that are open when they are
// removed, renamed or replaced, and the moment in which a replaced name is
// missing ([Abilities]); the faults of [Faults], among them handles of files and
// directories that go stale; copies of computers ([Sim.Clone]). [Shares] lists
// the kinds of shares, each with the abilities of its server and the caches of
// its clients.
package simfs
