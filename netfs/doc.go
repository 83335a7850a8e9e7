// Package netfs is Bobbin's only seam to a shared file system.
//
// Everything above it (spool, delivery, readers) reaches the share through an
// [FS] taken from one [Host], so that the shipped code runs unchanged on a
// local disk, on a network mount and in the simulator (netfs/simfs).
//
// The package also holds every primitive that turns what network file systems
// do into something one can build on. Each file-system lie is one named
// function that says which hazard (H01…H126, see docs/spool-format.md) it
// answers:
//
//   - [Way.Put], put-if-absent with its resolve step (H05, H06, H16, H67);
//   - [Fresh] and [Settled], answers that no cache can have given (H31–H38);
//   - [Witness], the forced look at the predecessor before an acknowledgement;
//   - [WriteFile] and [CreateNew], a file that is durable before it has a public name (H99–H101);
//   - [Move], rename of a name that is used once, with resolve (H08);
//   - [Unlink], which a lost reply cannot fail (H09);
//   - [SyncDir], a directory's fsync where it means something (H66, H79, H103).
//
// A mutating call ends in one of three ways: nil; an error that means "not
// done"; or an error matching [ErrUncertain], "may have been done".
package netfs
