// Package probe finds out what a share can do, and what Bobbin will do there.
//
// [Choose] picks how a new spool creates slots and names files. [Run] tries
// everything that one host can see. [Peer] does it together with a second
// host, or a second mount on the same host; the two find each other through
// the share. What they try on lies in a directory of its own below the
// share's root and is removed afterwards.
package probe
