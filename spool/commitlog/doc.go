// Package commitlog is a chain of numbered records on a shared file system
// that any number of hosts extend without a lock.
//
// Record n+1 is created by put-if-absent on top of record n, so all hosts see
// one order. A commit is acknowledged after the put and a forced look at its
// predecessor (the witness). docs/spool-format.md has the layout and the
// reasons; mailboxes and accounts are state machines over it.
package commitlog
