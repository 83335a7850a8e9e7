// Package locking holds Bobbin's locks. They are for efficiency and for old
// conventions, never for the correctness of the spool's own format: no lock
// on a network can keep a holder that was suspended from waking up and
// writing (H94).
//
//   - [Sem] excludes the goroutines of one process;
//   - [Token] excludes processes on any number of hosts that share a directory;
//   - [Flock] and [Fcntl] are the kernel's locks on a local file, for programs
//     that know nothing else.
//
// Whoever takes a lock gets a context that ends when the lock is lost or
// given back, and the function that gives it back. How long to wait is said by
// the context of the call; when its deadline comes the error matches
// [ErrHeld] and is a [*HeldError], which names the holder for people.
package locking
